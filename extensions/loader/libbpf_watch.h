/* SPDX-License-Identifier: GPL-2.0-only */
/* Observe libbpf: its messages, and the bpf(2) calls that it makes. */
#ifndef KEXT_LIBBPF_WATCH_H
#define KEXT_LIBBPF_WATCH_H

#include <stdbool.h>
#include <stddef.h>

/* messages.c: libbpf's warnings since the last `forget_messages`, the last 16 KiB of them. */
const char *libbpf_messages(void);
void forget_messages(void);
void keep_messages(void);
/* Copy the line that says why a load failed, without "libbpf: "; false if there is none. */
bool libbpf_reason(char *reason, size_t size);

/* calls.c: a bpf(2) call. */
struct bpf_call {
	int command; /* -1: there was no call */
	int error;   /* errno; 0: it succeeded */
	const char *log; /* of BPF_PROG_LOAD: the verifier's log buffer, or NULL */
};
void forget_calls(void);
const struct bpf_call *last_call(void);
const struct bpf_call *last_logged_load(void); /* the last BPF_PROG_LOAD with a log */

#endif
