// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: a function that calls itself five times.
 *
 * The verifier counts frames along the code, not along possible executions: a
 * function that calls itself has unlimited depth for it.
 */
#include "kext.h"

static __noinline int sum_to(int n)
{
	int rest;

	if (n <= 0)
		return 0;
	rest = sum_to(n - 1);
	barrier_var(rest); /* or clang would make it a loop */
	return n + rest;
}

SEC("xdp")
int recursion(struct xdp_md *ctx)
{
	return sum_to(5);
}
