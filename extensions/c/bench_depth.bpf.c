// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of a given depth; extensions/rust/bench_depth does the same by recursion.
 * level_N makes N tail calls, and indexed_N makes N whose target the kernel can't know;
 * frames_N nests N calls of its own functions, of which the kernel allows 7.
 * docs/benchmarks.md explains their use.
 */
#include "kext.h"

#define TC_ACT_OK 0 /* macros of the kernel, so not in its BTF */
#define TC_ACT_SHOT 2

#define EACH_LEVEL(DO)                                                                 \
	DO(1, 0) DO(2, 1) DO(3, 2) DO(4, 3) DO(5, 4) DO(6, 5) DO(7, 6) DO(8, 7)        \
	DO(9, 8) DO(10, 9) DO(11, 10) DO(12, 11) DO(13, 12) DO(14, 13) DO(15, 14)      \
	DO(16, 15) DO(17, 16) DO(18, 17) DO(19, 18) DO(20, 19) DO(21, 20) DO(22, 21)   \
	DO(23, 22) DO(24, 23) DO(25, 24) DO(26, 25) DO(27, 26) DO(28, 27) DO(29, 28)   \
	DO(30, 29) DO(31, 30) DO(32, 31) DO(33, 32)

#define DECLARE(level, below) int level_##level(struct __sk_buff *packet);
int level_0(struct __sk_buff *packet);
EACH_LEVEL(DECLARE)

#define ENTRY(level, below) [level] = (void *)&level_##level,
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 34);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct __sk_buff *));
} levels SEC(".maps") = {
	.values = { [0] = (void *)&level_0, EACH_LEVEL(ENTRY) },
};

SEC("tc")
int level_0(struct __sk_buff *packet)
{
	return TC_ACT_OK;
}

/* With a constant index, the kernel turns the tail call into a jump. */
#define LEVEL(level, below)                           \
	SEC("tc")                                     \
	int level_##level(struct __sk_buff *packet)   \
	{                                             \
		bpf_tail_call(packet, &levels, below); \
		return TC_ACT_SHOT;                   \
	}
EACH_LEVEL(LEVEL)

#define DECLARE_INDEXED(level, below) int indexed_##level(struct __sk_buff *packet);
EACH_LEVEL(DECLARE_INDEXED)

#define INDEXED_ENTRY(level, below) [level] = (void *)&indexed_##level,
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 34);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct __sk_buff *));
} indexed SEC(".maps") = {
	.values = { [0] = (void *)&level_0, EACH_LEVEL(INDEXED_ENTRY) },
};

/* A packet's mark is 0 here, but the verifier can't know that. */
#define INDEXED(level, below)                                         \
	SEC("tc")                                                     \
	int indexed_##level(struct __sk_buff *packet)                 \
	{                                                             \
		bpf_tail_call(packet, &indexed, below + packet->mark); \
		return TC_ACT_SHOT;                                   \
	}
EACH_LEVEL(INDEXED)

/* Opaque to the compiler: a function needs its frame until the call below has returned. */
#define FRAME(level, below)                              \
	static __noinline int frame_##level(int left)    \
	{                                                \
		asm volatile("" : "+r"(left));           \
		left = frame_##below(left - 1);          \
		asm volatile("" : "+r"(left));           \
		return left;                             \
	}

static __noinline int frame_1(int left)
{
	asm volatile("" : "+r"(left));
	return left;
}

FRAME(2, 1)
FRAME(3, 2)
FRAME(4, 3)
FRAME(5, 4)
FRAME(6, 5)
FRAME(7, 6)

#define FRAMES(level)                                                        \
	SEC("tc")                                                            \
	int frames_##level(struct __sk_buff *packet)                         \
	{                                                                    \
		return frame_##level(level - 1) == 0 ? TC_ACT_OK : TC_ACT_SHOT; \
	}
FRAMES(1)
FRAMES(2)
FRAMES(4)
FRAMES(7)
