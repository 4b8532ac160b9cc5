// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: tests 64 bytes and keeps the results in a bitmap.
 *
 * Each test doubles the number of states for the verifier, because the bitmap
 * differs between the two branches; it would have to follow 2^64 paths.
 */
#include "kext.h"

SEC("xdp")
int test_bitmap(struct xdp_md *ctx)
{
	const unsigned char *data = (const unsigned char *)(long)ctx->data;
	const unsigned char *end = (const unsigned char *)(long)ctx->data_end;
	__u64 bitmap = 0;

	if (data + 64 > end)
		return XDP_PASS;
	for (int i = 0; i < 64; i++)
		if (data[i] > 127)
			bitmap |= 1ULL << i;
	return bitmap == ~0ULL ? XDP_DROP : XDP_PASS;
}
