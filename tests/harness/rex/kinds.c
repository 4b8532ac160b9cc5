// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Rex image for the tests of the loader: programs of each type that say where
 * they go, and maps of each type. Each program counts its runs under its type's
 * key, so that those of the others don't show.
 */
#include "image.h"

#define GETPGID 121

struct guarded {
	u64 count;
	u32 lock, nothing;
	u64 twice;
};

MAP(counts, 2, 4, 8, 32, -1);
MAP(hash, 1, 8, 8, 16, -1);
MAP(lru, 9, 4, 4, 16, -1);
MAP(per_cpu, 6, 4, 8, 2, -1);
MAP(queue, 22, 0, 8, 4, -1);
MAP(stack, 23, 0, 2, 4, -1);
MAP(ring, 27, 0, 0, 4096, -1);
MAP(guarded, 2, 4, sizeof(struct guarded), 1, 8);
MAP_WITH(guarded_by_its_first_bytes, 1, 12, 12, 4, 1 /* BPF_F_NO_PREALLOC */, 0);

static void count(u32 type)
{
	u64 *value = rex_map_lookup(counts.map, &type);

	if (value)
		*value += 1;
}

PROGRAM_OF(2, on_kprobe, 0, 0, "kprobe:__x64_sys_getpgid")
{
	count(2);
	return 0;
}

PROGRAM_OF(3, on_tc, 0, 0, "tc:lo/ingress")
{
	count(3);
	return 0; /* TC_ACT_OK */
}

PROGRAM_OF(5, on_tracepoint, 0, 24, "tracepoint:syscalls/sys_enter_getpgid")
{
	count(5);
	return 0;
}

PROGRAM_OF(6, on_xdp, 2, 0, "xdp:lo")
{
	count(6);
	return 2; /* XDP_PASS */
}

PROGRAM_OF(7, on_perf, 0, 0, "perf:software/cpu-clock@100")
{
	count(7);
	return 0;
}

PROGRAM_OF(17, on_raw_tracepoint, 0, 16, "raw_tracepoint:sys_enter")
{
	if (context[1] == GETPGID)
		count(17);
	return 0;
}

/* The number of its first argument into each map. */
PROGRAM_OF(17, fills_the_maps_of_each_type, 1, 16, "")
{
	u64 number = context[0];
	u32 key = 1, short_number = number;
	unsigned char bytes[3] = { number, number, number };
	u64 *value = rex_map_lookup(per_cpu.map, &key);

	if (value)
		*value += number;
	return !value || rex_map_update(hash.map, &number, &number, 0) ||
	       rex_map_update(lru.map, &short_number, &short_number, 0) ||
	       rex_map_push(queue.map, &number, 0) || rex_map_push(stack.map, &number, 0) ||
	       rex_ringbuf_output(ring.map, &number, 8, 0) ||
	       rex_ringbuf_output(ring.map, bytes, 3, 0);
}

PROGRAM_OF(17, counts_guarded, 1, 16, "")
{
	u32 key = 0;
	struct guarded *value = rex_map_lookup(guarded.map, &key);

	if (!value || rex_spin_lock(&value->lock))
		return 1;
	value->count += 1;
	value->twice += 2;
	rex_spin_unlock(&value->lock);
	return 0;
}

PROGRAM_OF(17, leaves_a_sample, 1, 16, "")
{
	return !rex_ringbuf_reserve(ring.map, 8);
}

PROGRAM_OF(17, panics, 9, 16, "")
{
	PANIC("on purpose");
}

PROGRAM_OF(17, faults, 9, 16, "")
{
	__asm__ volatile("ud2");
	return 0;
}

PROGRAM_OF(17, says, 9, 16, "")
{
	SAY("hello");
	return 0;
}
