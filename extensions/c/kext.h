/* SPDX-License-Identifier: GPL-2.0-only */
/* Common definitions for the C extensions of the lab. */
#ifndef KEXT_H
#define KEXT_H

#include "vmlinux.h" /* the types of the flavor's own kernel */

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";

/* An array map `name` of numbers. */
#define COUNTERS(name, entries)                      \
	struct {                                     \
		__uint(type, BPF_MAP_TYPE_ARRAY);    \
		__uint(max_entries, entries);        \
		__type(key, __u32);                  \
		__type(value, __u64);                \
	} name SEC(".maps")

/* Add to one of them; atomic, because several CPUs may count at once. */
static __always_inline void count(void *counters, __u32 index, __u64 more)
{
	__u64 *counter = bpf_map_lookup_elem(counters, &index);

	if (counter)
		__sync_fetch_and_add(counter, more);
}

#endif
