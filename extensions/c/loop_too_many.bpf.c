// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted: one step more than bpf_loop allows. It returns -E2BIG and calls nothing.
 *
 * The verifier replaces the call by code that sets the result with a 32-bit
 * move: as the `long` that the helper is declared with, it is 4294967289.
 */
#include "kext.h"

COUNTERS(counts, 2); /* calls of the body, the negated result */

static long body(__u64 index, void *context)
{
	count(&counts, 0, 1);
	return 0;
}

SEC("tracepoint/syscalls/sys_enter_getpgid")
int loop_too_many(void *ctx)
{
	int result = bpf_loop((8 << 20) + 1, body, NULL, 0);

	count(&counts, 1, -result);
	return 0;
}
