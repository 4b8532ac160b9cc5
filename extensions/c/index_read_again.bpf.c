// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rejected: checks an index in memory, then reads it from there again.
 *
 * Nothing else writes it, but the verifier derives its knowledge from the check of a
 * register, not of memory in a map. (With another writer the second read would be
 * a real bug: the verifier can't distinguish the two cases.)
 */
#include "kext.h"

struct table {
	__u32 index;
	__u32 values[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct table);
} tables SEC(".maps");

SEC("xdp")
int index_read_again(struct xdp_md *ctx)
{
	__u32 zero = 0;
	volatile struct table *table = bpf_map_lookup_elem(&tables, &zero);

	if (!table)
		return XDP_ABORTED;
	if (table->index >= 16)
		return XDP_DROP;
	return table->values[table->index] & 1 ? XDP_DROP : XDP_PASS;
}
