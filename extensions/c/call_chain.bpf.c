// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: ten functions that call each other in a row.
 *
 * The verifier's limit is eight frames; the stack they need is a few bytes.
 */
#include "kext.h"

#define LINK(name, next)                         \
	static __noinline int name(int number)   \
	{                                        \
		barrier_var(number);             \
		return next(number + 1) + 1;     \
	}

static __noinline int link10(int number)
{
	barrier_var(number);
	return number;
}

LINK(link9, link10)
LINK(link8, link9)
LINK(link7, link8)
LINK(link6, link7)
LINK(link5, link6)
LINK(link4, link5)
LINK(link3, link4)
LINK(link2, link3)
LINK(link1, link2)

SEC("xdp")
int call_chain(struct xdp_md *ctx)
{
	return link1(0);
}
