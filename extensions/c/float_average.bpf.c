// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected by clang: half of a packet's length, in floating point.
 *
 * BPF has no floating-point instructions, and no library that could replace them.
 */
#include "kext.h"

SEC("xdp")
int float_average(struct xdp_md *ctx)
{
	double length = ctx->data_end - ctx->data;

	return length * 0.5 > 100.0 ? XDP_DROP : XDP_PASS;
}
