// SPDX-License-Identifier: GPL-2.0-only
/*
 * The operations that `lab bench rex` measures for eBPF. extensions/rust/bench does the
 * same steps under the same names; docs/benchmarks.md explains the use.
 */
#include "kext.h"

#define TC_ACT_OK 0 /* macros of the kernel, so not in its BTF */
#define TC_ACT_SHOT 2
#define BPF_F_ZERO_SEED (1U << 6)

#define ENTRIES 5000
#define AT_A_TIME 100
/* Repetitions of the measured operation, so that the entry takes little of the time. */
#define STEPS 16
#define STEP_KEY(step) (7 + 311 * (step))
#define EACH_STEP _Pragma("clang loop unroll(full)") for (int step = 0; step < STEPS; step++)
/* Values are keys + 1. */
#define EXPECTED_SUM (STEPS * 8 + 311 * (STEPS * (STEPS - 1) / 2))

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, __u64);
} array_map SEC(".maps");

/* Without a random seed: each key has the same bucket in each run. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENTRIES);
	__uint(map_flags, BPF_F_ZERO_SEED);
	__type(key, __u32);
	__type(value, __u64);
} hash_map SEC(".maps");

struct locked {
	struct bpf_spin_lock lock;
	__u64 value;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, ENTRIES);
	__type(key, __u32);
	__type(value, struct locked);
} lock_map SEC(".maps");

COUNTERS(cursor, 1);

int calls(struct __sk_buff *packet);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct __sk_buff *));
} next SEC(".maps") = {
	.values = { [0] = (void *)&calls },
};

static long fill_one(__u64 index, void *start)
{
	__u32 key = *(__u64 *)start + index;
	__u64 value = (__u64)key + 1;

	bpf_map_update_elem(&array_map, &key, &value, BPF_ANY);
	bpf_map_update_elem(&hash_map, &key, &value, BPF_ANY);
	return 0;
}

/* Insert the next entries into the maps; run it until all are there. */
SEC("tc")
int fill(struct __sk_buff *packet)
{
	__u32 zero = 0;
	__u64 *done = bpf_map_lookup_elem(&cursor, &zero), start;

	if (!done)
		return TC_ACT_SHOT;
	start = *done;
	bpf_loop(AT_A_TIME, fill_one, &start, 0);
	*done = start + AT_A_TIME;
	return TC_ACT_OK;
}

SEC("tc")
int empty(struct __sk_buff *packet)
{
	return TC_ACT_OK;
}

SEC("tc")
int array(struct __sk_buff *packet)
{
	__u64 sum = 0;

	EACH_STEP {
		__u32 key = STEP_KEY(step);
		volatile __u64 *value = bpf_map_lookup_elem(&array_map, &key);

		if (!value)
			return TC_ACT_SHOT;
		sum += *value;
	}
	return sum == EXPECTED_SUM ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int hash(struct __sk_buff *packet)
{
	__u64 sum = 0;

	EACH_STEP {
		__u32 key = STEP_KEY(step);
		volatile __u64 *value = bpf_map_lookup_elem(&hash_map, &key);

		if (!value)
			return TC_ACT_SHOT;
		sum += *value;
	}
	return sum == EXPECTED_SUM ? TC_ACT_OK : TC_ACT_SHOT;
}

/* Look up a value as `array` does, and change it under its lock. */
SEC("tc")
int spin(struct __sk_buff *packet)
{
	EACH_STEP {
		__u32 key = STEP_KEY(step);
		struct locked *locked = bpf_map_lookup_elem(&lock_map, &key);

		if (!locked)
			return TC_ACT_SHOT;
		bpf_spin_lock(&locked->lock);
		locked->value++;
		bpf_spin_unlock(&locked->lock);
	}
	return TC_ACT_OK;
}

/* Tail-call itself as often as the kernel allows: 33 times. */
SEC("tc")
int calls(struct __sk_buff *packet)
{
	bpf_tail_call(packet, &next, 0);
	return TC_ACT_OK;
}
