// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted: a program that ends by calling itself.
 *
 * The 34th call fails silently: the body runs 34 times, first directly and then
 * after each of 33 calls.
 */
#include "kext.h"

COUNTERS(counts, 2); /* bodies run, calls that did not happen */

int tail_call_self(void *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(void *));
} programs SEC(".maps") = {
	.values = { [0] = (void *)&tail_call_self },
};

SEC("tracepoint/syscalls/sys_enter_getpgid")
int tail_call_self(void *ctx)
{
	count(&counts, 0, 1);
	bpf_tail_call(ctx, &programs, 0);
	count(&counts, 1, 1);
	return 0;
}
