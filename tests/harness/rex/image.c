// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Rex image without Rust: programs that do on purpose what safe Rust can't,
 * to see that the kernel, too, stands it.
 */
#include "image.h"

#define PAGE_OF_USER 0x400000ul

MAP(counts, 2, 4, 8, 4, -1);
MAP(locked, 2, 4, 8, 1, 0);
MAP(ring, 27, 0, 0, 4096, -1);

/* Raw tracepoints: they can be run without being attached. */
#define PROGRAM(name, fallback) PROGRAM_OF(17, name, fallback, 16, "")

static u64 *count_of(u32 key)
{
	return rex_map_lookup(counts.map, &key);
}

static void *lock_of(void)
{
	u32 key = 0;

	return rex_map_lookup(locked.map, &key);
}

PROGRAM(hello, 1)
{
	*count_of(0) += 1;
	SAY("hello\nrex: forged[1]: line");
	return 42;
}

PROGRAM(context, 1)
{
	return context[0] + context[1];
}

static APART int deep(volatile int depth)
{
	if (!depth)
		PANIC("deep down");
	return deep(depth - 1) + depth;
}

PROGRAM(panics, 2)
{
	return deep(3);
}

/* An image imports what any of its programs calls: loaded, but not to be called by this one. */
PROGRAM(calls_other, 2)
{
	return rex_packet_len(context);
}

#define READS(name, address)				\
	PROGRAM(name, 3)				\
	{						\
		return *(volatile int *)(address);	\
	}

READS(reads_null, 8ul)
READS(reads_user, PAGE_OF_USER)
READS(reads_unmapped, 0xffff800000000000ul)
READS(reads_noncanonical, 0xdead000000000000ul)

PROGRAM(writes_user, 3)
{
	*(volatile int *)PAGE_OF_USER = 1;
	return 0;
}

PROGRAM(writes_itself, 3)
{
	*(volatile char *)deep = 0xc3;
	return 0;
}

PROGRAM(runs_ud2, 3)
{
	__asm__ volatile("ud2");
	return 0;
}

PROGRAM(divides, 3)
{
	int result = 1;

	__asm__ volatile("cltd; idivl %1" : "+a"(result) : "r"(0) : "rdx", "cc");
	return result;
}

/* Behind the last function the page is full of breakpoints. */
PROGRAM(leaves_code, 3)
{
	return ((int (*)(void))((u64)deep | 0xfff))();
}

PROGRAM(breaks, 3)
{
	__asm__ volatile("int3");
	return 0;
}

/* The flags of a program that ends are not those of the kernel. */
PROGRAM(turns_flags, 3)
{
	__asm__ volatile("std; stac; ud2" ::: "cc");
	return 0;
}

PROGRAM(panics_with_access, 3)
{
	__asm__ volatile("stac" ::: "cc");
	PANIC("with AC set");
}

static void hold_all(void)
{
	rex_task_current();
	rex_task_current();
	rex_rcu_lock();
	rex_ringbuf_reserve(ring.map, 8);
	rex_spin_lock(lock_of());
}

PROGRAM(panics_holding, 4)
{
	hold_all();
	PANIC("while holding");
}

PROGRAM(faults_holding, 4)
{
	hold_all();
	__asm__ volatile("ud2");
	return 0;
}

PROGRAM(forgets, 4)
{
	hold_all();
	return 5;
}

PROGRAM(takes_lock, 4)
{
	void *lock = lock_of();
	int error = rex_spin_lock(lock), again = rex_spin_lock(lock);

	rex_spin_unlock(lock);
	return error ? error : again; /* -EBUSY: one at a time */
}

/* Whoever holds a lock does not wait for one in a map's update. */
PROGRAM(updates_locked, 4)
{
	void *lock = lock_of();
	u64 value[1] = { 0 };
	u32 key = 0;
	int error = rex_spin_lock(lock);

	if (!error)
		error = rex_map_update(locked.map, &key, value, 4);
	rex_spin_unlock(lock);
	return error;
}

/* A map without that operation, and one whose lookup says why not. */
PROGRAM(misuses_maps, 4)
{
	u32 key = 0;

	if (rex_map_lookup(ring.map, &key))
		return 1;
	return rex_map_push(counts.map, &key, 0);
}

PROGRAM(fills_ledger, 4)
{
	int count = 0;

	while (rex_task_current())
		count++;
	return count;
}

PROGRAM(disturbs, 4)
{
	__asm__ volatile("cli");
	return 6;
}

/* Attached elsewhere while another is run. */
PROGRAM(counts_others, 1)
{
	__atomic_fetch_add(count_of(2), 1, __ATOMIC_RELAXED);
	return 0;
}

static APART int descend(volatile char *above)
{
	volatile char room[512];
	u32 key = 1;

	room[0] = *above;
	rex_map_lookup(counts.map, &key);
	return descend(room) + room[0];
}

PROGRAM(recurses, 7)
{
	volatile char top = 0;

	return descend(&top);
}

/* None of these comes to an end by itself. */
static APART void loop(void)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static APART void loop_over_map(void)
{
	for (;;)
		count_of(0);
}

PROGRAM(loops, 8)
{
	loop();
	return 0;
}

PROGRAM(loops_over_map, 8)
{
	loop_over_map();
	return 0;
}

PROGRAM(loops_in_rcu, 8)
{
	rex_rcu_lock();
	loop();
	return 0;
}

PROGRAM(loops_holding, 8)
{
	hold_all();
	loop();
	return 0;
}

PROGRAM(loops_over_map_holding, 8)
{
	hold_all();
	loop_over_map();
	return 0;
}

PROGRAM(loops_disturbing, 8)
{
	__asm__ volatile("cli");
	loop();
	return 0;
}

PROGRAM(loops_over_map_disturbing, 8)
{
	__asm__ volatile("cli");
	loop_over_map();
	return 0;
}

PROGRAM(loops_backwards, 8)
{
	__asm__ volatile("std; stac" ::: "cc");
	loop();
	return 0;
}

PROGRAM_OF(3, loops_tc, 8, 0, "")
{
	loop();
	return 0;
}

PROGRAM_OF(6, loops_xdp, 8, 0, "")
{
	loop();
	return 0;
}

/* On one CPU, so that there is one left. */
PROGRAM(loops_on_first, 8)
{
	if (!rex_cpu())
		loop();
	return 0;
}

PROGRAM(loops_over_map_on_first, 8)
{
	if (!rex_cpu())
		loop_over_map();
	return 0;
}

/* Most of a budget of 100 ms, in its own code and in the kernel's. */
PROGRAM(takes_time, 8)
{
	u64 start = rex_ktime_ns();

	while (rex_ktime_ns() - start < 70000000)
		for (volatile int i = 0; i < 1000; i++)
			;
	return 9;
}

/* Of the other types, those of the network alone can be run without being attached. */
PROGRAM_OF(2, kprobe, 1, 0, "") { return 0; }
PROGRAM_OF(5, tracepoint, 1, 16, "") { return 0; }
PROGRAM_OF(7, perf_event, 1, 0, "") { return 0; }

#define LOOPBACK 0x0100007fu
#define SSH (22u << 24)

/* With a lock held, nothing is asked of the network, and a socket is released later. */
static int network(u64 *context, int pulls)
{
	void *lock = lock_of(), *sk = rex_sk_lookup(context, 0, LOOPBACK, LOOPBACK, SSH);
	u32 key;

	if (!sk)
		return 10;
	if (rex_map_next_key(counts.map, 0, &key) || key)
		return 11;
	if (rex_spin_lock(lock))
		return 12;
	if (rex_sk_lookup(context, 0, LOOPBACK, LOOPBACK, SSH))
		return 13;
	if (pulls && rex_packet_pull(context, 0) != -16)
		return 14;
	rex_sk_put(sk);
	rex_spin_unlock(lock);
	rex_sk_put(sk); /* no more its own */
	if (rex_packet_pull(context, 0))
		return 15;
	return rex_packet_len(context) == 64 ? 0 : 16;
}

PROGRAM_OF(3, tc, 1, 0, "")
{
	return network(context, 1);
}

PROGRAM_OF(6, xdp, 1, 0, "")
{
	return network(context, 0);
}
