// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary tc program: counts packets and their bytes, and lets them through. */
#include "kext.h"

#define TC_ACT_OK 0 /* a macro of the kernel, so not in its BTF */

COUNTERS(counts, 2); /* packets, bytes */

SEC("tc")
int count_packets(struct __sk_buff *ctx)
{
	count(&counts, 0, 1);
	count(&counts, 1, ctx->len);
	return TC_ACT_OK;
}
