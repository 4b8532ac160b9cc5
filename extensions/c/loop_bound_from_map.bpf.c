// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: sums 0 to n - 1, where n is read from a map.
 *
 * The loop ends for any 32-bit n, but the verifier would have to walk it up to
 * four billion times.
 */
#include "kext.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} bounds SEC(".maps");

COUNTERS(sums, 1);

SEC("xdp")
int sum_up(struct xdp_md *ctx)
{
	__u32 zero = 0, *bound = bpf_map_lookup_elem(&bounds, &zero);
	__u64 sum = 0;

	if (!bound)
		return XDP_ABORTED;
	for (__u32 i = 0, n = *bound; i < n; i++) {
		sum += i;
		barrier_var(sum); /* or clang would replace the loop by the formula */
	}
	count(&sums, 0, sum);
	return XDP_PASS;
}
