// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: reads a packet's first byte through a 32-bit move.
 *
 * ctx->data is a 32-bit field, so a compiler may use a 32-bit move; for the verifier
 * only a 64-bit move keeps the pointer. Cilium met this problem. The move is written
 * in assembly here, because no clang version reliably generates it.
 */
#include "kext.h"

SEC("xdp")
int narrow_data_pointer(struct xdp_md *ctx)
{
	__u64 result;

	asm volatile("r2 = *(u32 *)(%[ctx] + %[data])\n"
		     "r4 = *(u32 *)(%[ctx] + %[data_end])\n"
		     "w3 = w2\n" /* not r3 = r2 */
		     "r5 = r2\n"
		     "r5 += 1\n"
		     "r0 = 0\n"
		     "if r5 > r4 goto 1f\n"
		     "r0 = *(u8 *)(r3 + 0)\n"
		     "1: %[result] = r0\n"
		     : [result] "=r"(result)
		     : [ctx] "r"(ctx), [data] "i"(__builtin_offsetof(struct xdp_md, data)),
		       [data_end] "i"(__builtin_offsetof(struct xdp_md, data_end))
		     : "r0", "r2", "r3", "r4", "r5");
	return result ? XDP_PASS : XDP_DROP;
}
