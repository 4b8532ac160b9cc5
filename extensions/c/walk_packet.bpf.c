// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: adds up the first bytes of a packet's records of 64, each
 * record checked against data_end.
 *
 * The verifier knows of a packet pointer only how far it is from the start,
 * with 16 bits; a walk without a fixed end leaves those.
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
