// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: moves a unit between two accounts, each with its lock.
 *
 * The locks are always taken in the order of their keys, so there is no
 * deadlock; the verifier allows one lock at a time.
 */
#include "kext.h"

struct account {
	struct bpf_spin_lock lock;
	__u64 units;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct account);
} accounts SEC(".maps");

SEC("xdp")
int two_locks(struct xdp_md *ctx)
{
	__u32 first = 0, second = 1;
	struct account *from = bpf_map_lookup_elem(&accounts, &first);
	struct account *to = bpf_map_lookup_elem(&accounts, &second);

	if (!from || !to)
		return XDP_ABORTED;
	bpf_spin_lock(&from->lock);
	bpf_spin_lock(&to->lock);
	from->units--;
	to->units++;
	bpf_spin_unlock(&to->lock);
	bpf_spin_unlock(&from->lock);
	return XDP_PASS;
}
