// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: adds up the first bytes of a packet's records of 64, each
 * record checked against data_end.
 *
 * The verifier tracks only a packet pointer's offset from the start, in 16 bits;
 * a walk without a fixed end exceeds them.
 */
#include "kext.h"

SEC("xdp")
int walk_packet(struct xdp_md *ctx)
{
	const unsigned char *at = (const unsigned char *)(long)ctx->data;
	const unsigned char *end = (const unsigned char *)(long)ctx->data_end;
	__u32 sum = 0;

	for (; at + 64 <= end; at += 64)
		sum += *at;
	return sum & 1 ? XDP_DROP : XDP_PASS;
}
