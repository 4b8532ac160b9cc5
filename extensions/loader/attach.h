/* SPDX-License-Identifier: GPL-2.0-only */
/* Attach programs to hooks. */
#ifndef KEXT_ATTACH_H
#define KEXT_ATTACH_H

#include "handle.h"

#include <bpf/libbpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A program attached to one place. */
struct attachment {
	struct attachment *next;
	char *program;
	char *target; /* as in `to=`, with its kind as prefix */
	uint32_t id;  /* of the first link, 0 if the kernel gives none */
	/* Descriptors of links: one, or for perf events one per CPU. */
	int *links;
	size_t link_count;
	struct bpf_link *libbpf_link; /* for targets that only libbpf can attach to, or NULL */
	/* tc has no link: the arguments of bpf_tc_detach. */
	struct bpf_tc_hook tc_hook;
	struct bpf_tc_opts tc_filter;
};

/* attach.c: take over a link's descriptor, or return it if it is a negative errno. */
int keep_link(struct attachment *attachment, int link);
void detach_all(struct handle *handle);

/* events.c: attach through perf events. Returns 0 or -errno; `cpu` < 0: on all CPUs. */
int attach_kprobe(struct attachment *attachment, int program, const char *place, bool at_return);
int attach_tracepoint(struct attachment *attachment, int program, const char *place);
int attach_perf(struct attachment *attachment, int program, const char *event, int cpu);

/* net.c: attach to network devices. Returns 0 or -errno. */
int attach_xdp(struct attachment *attachment, int program, const char *device);
int attach_tc(struct attachment *attachment, int program, const char *where);
void detach_tc(struct attachment *attachment);

/* netlink.c: call `found` for each tc filter of kind bpf on a device's clsact qdisc. */
typedef void (*tc_found)(void *context, int ifindex, const char *kind, uint32_t program);
int tc_filters(int ifindex, tc_found found, void *context);

#endif
