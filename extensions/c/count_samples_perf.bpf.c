// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary perf-event program: counts the samples taken on each CPU. */
#include "kext.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

SEC("perf_event")
int count_samples(struct bpf_perf_event_data *ctx)
{
	count(&counts, 0, 1);
	return 0;
}
