// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a helper slow: a caller that gets a random number waits for 4000 times 5000 calls.
 *
 * The helper is a kernel function with a kprobe, which runs this program. For its callers
 * it is a helper that does not return for a while.
 */
#include "kext.h"

#ifndef OUTER
#define OUTER 4000
#define INNER 5000
#endif

COUNTERS(counts, 1); /* calls of the outer body */

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

SEC("kprobe/bpf_user_rnd_u32")
int loop_in_helper(void *ctx)
{
	__u64 sum = 0;

	bpf_loop(OUTER, outer, &sum, 0);
	return 0;
}
