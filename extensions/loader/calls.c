// SPDX-License-Identifier: GPL-2.0-only
/*
 * Record the bpf(2) calls that libbpf makes while it loads an object. An errno from
 * libbpf does not say which of them failed, and its messages are for people. So the loader
 * is linked with --wrap=syscall: libbpf makes its calls through the function here.
 */
#include "libbpf_watch.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);

static struct bpf_call last, last_logged;

void forget_calls(void)
{
	last = last_logged = (struct bpf_call){ .command = -1 };
}

const struct bpf_call *last_call(void)
{
	return &last;
}

const struct bpf_call *last_logged_load(void)
{
	return &last_logged;
}

static void remember(int command, const void *attributes, unsigned long size, int error)
{
	union bpf_attr copy = { 0 };

	memcpy(&copy, attributes, size < sizeof(copy) ? size : sizeof(copy));
	last = (struct bpf_call){ .command = command, .error = error };
	if (command == BPF_PROG_LOAD && copy.log_buf) {
		last.log = (const char *)(uintptr_t)copy.log_buf;
		last_logged = last;
	}
}

/* Always pass six words on x86-64; the kernel ignores those that a call does not take. */
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	long result = __real_syscall(number, a, b, c, d, e, f);
	int error = result < 0 ? errno : 0;

	if (number == SYS_bpf && b) {
		remember((int)a, (const void *)b, (unsigned long)c, error);
		if (error)
			errno = error;
	}
	return result;
}
