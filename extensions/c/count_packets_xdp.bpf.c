// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary XDP program: counts packets and their bytes, and passes them on. */
#include "kext.h"

COUNTERS(counts, 2); /* packets, bytes */

SEC("xdp")
int count_packets(struct xdp_md *ctx)
{
	count(&counts, 0, 1);
	count(&counts, 1, ctx->data_end - ctx->data);
	return XDP_PASS;
}
