// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: reads the clock while it holds a spin lock.
 *
 * Reading a clock neither sleeps nor takes a lock, but the verifier allows no
 * call at all under a lock.
 */
#include "kext.h"

struct stamped {
	struct bpf_spin_lock lock;
	__u64 when;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct stamped);
} stamps SEC(".maps");

SEC("xdp")
int helper_under_lock(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct stamped *stamp = bpf_map_lookup_elem(&stamps, &zero);

	if (!stamp)
		return XDP_ABORTED;
	bpf_spin_lock(&stamp->lock);
	stamp->when = bpf_ktime_get_ns();
	bpf_spin_unlock(&stamp->lock);
	return XDP_PASS;
}
