// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: looks for a keyword in the first BOUND bytes of a packet.
 *
 * Each byte is read twice at most, but the verifier walks the loop step by step,
 * once for each number of letters that may have matched before, and gives up
 * after a million instructions. With a bound of 1500
 * (search_payload_short) the same code loads.
 */
#include "kext.h"

#ifndef BOUND
#define BOUND 6000
#endif

/* Its first letter does not occur again, so after a mismatch the match starts over. */
static const char keyword[9] = "verifies";

SEC("xdp")
int search_payload(struct xdp_md *ctx)
{
	const char *data = (const char *)(long)ctx->data;
	const char *end = (const char *)(long)ctx->data_end;
	__u32 matched = 0;
	int i = 0;

	if (data + BOUND > end)
		return XDP_PASS;
	while (i < BOUND) {
		if (data[i] == keyword[matched & 7]) {
			i++;
			if (++matched == sizeof(keyword) - 1)
				return XDP_DROP;
		} else if (matched) {
			matched = 0; /* and compare this letter again */
		} else {
			i++;
		}
	}
	return XDP_PASS;
}
