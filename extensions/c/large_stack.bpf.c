// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected by clang: 600 bytes of local data.
 *
 * The kernel's stack has 16 KiB, a BPF program's 512 bytes. large_stack_forced
 * is the same without the compiler's check.
 */
#include "kext.h"

SEC("xdp")
int large_stack(struct xdp_md *ctx)
{
	volatile char scratch[600];
	__u32 index = bpf_get_prandom_u32() & 511;

	scratch[599] = 2;
	scratch[index] = 1;
	return scratch[index] + scratch[599] == 3 ? XDP_PASS : XDP_ABORTED;
}
