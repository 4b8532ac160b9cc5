// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted: 1000 times 5000 calls of an empty function, by nested bpf_loop.
 *
 * The verifier checks a bpf_loop body once, for any count: five million calls cost
 * the verifier nothing, and the kernel some milliseconds.
 */
#include "kext.h"

#ifndef OUTER
#define OUTER 1000
#define INNER 5000
#endif

COUNTERS(counts, 2); /* calls of the outer and of the inner body */

static long inner(__u64 index, void *sum)
{
	++*(__u64 *)sum;
	return 0;
}

static long outer(__u64 index, void *sum)
{
	bpf_loop(INNER, inner, sum, 0);
	count(&counts, 0, 1);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int loop_nested(void *ctx)
{
	__u64 sum = 0;

	bpf_loop(OUTER, outer, &sum, 0);
	count(&counts, 1, sum);
	return 0;
}
