/* SPDX-License-Identifier: GPL-2.0-only */
/* What an image without Rust is made of. The tables are those of the crate. */
#ifndef IMAGE_H
#define IMAGE_H

typedef unsigned int u32;
typedef unsigned long u64;

struct prog_entry {
	u32 version, prog_type;
	int default_return;
	u32 ctx_size;
	int (*entry)(u64 *);
	char name[64], attach[136];
};

struct map_entry {
	volatile u64 map;
	u32 map_type, key_size, value_size, max_entries, map_flags;
	int lock_offset;
	char name[32];
};

#define MAP_WITH(name, type, key, value, entries, flags, lock)				\
	static struct map_entry name __attribute__((used, section(".rex.maps"))) = {	\
		0, type, key, value, entries, flags, lock, #name }
#define MAP(name, type, key, value, entries, lock)					\
	MAP_WITH(name, type, key, value, entries, 0, lock)

#define ENTRY_OF(type, name, fallback, size, place)					\
	static struct prog_entry entry_of_##name					\
		__attribute__((used, section(".rex.progs"))) = {			\
		1, type, fallback, size, name, #name, place };
#define PROGRAM_OF(type, name, fallback, size, place)					\
	static int name(u64 *context);							\
	ENTRY_OF(type, name, fallback, size, place)					\
	static int name(u64 *context)

#define SAY(text) rex_printk(text, sizeof(text) - 1)
#define PANIC(text) rex_panic(text, sizeof(text) - 1, "image.c", 7, __LINE__)
#define APART __attribute__((noinline))
/* Without room for the kernel's check of the stack. */
#define UNCHECKED __attribute__((noinline, patchable_function_entry(0)))

void rex_printk(const char *text, u32 length);
_Noreturn void rex_panic(const char *text, u32 length, const char *file, u32 file_length,
			 u32 line);
void *rex_map_lookup(u64 map, const void *key);
long rex_map_update(u64 map, const void *key, const void *value, u64 flags);
long rex_map_push(u64 map, const void *value, u64 flags);
long rex_ringbuf_output(u64 map, const void *data, u64 size, u64 flags);
int rex_spin_lock(void *lock);
void rex_spin_unlock(void *lock);
int rex_rcu_lock(void);
u64 rex_ktime_ns(void);
u32 rex_cpu(void);
long rex_map_next_key(u64 map, const void *key, void *next);
u32 rex_packet_len(void *context);
long rex_packet_pull(void *context, u32 size);
void *rex_sk_lookup(void *context, u32 udp, u32 from, u32 to, u32 ports);
void rex_sk_put(void *sk);
void *rex_task_current(void);
void *rex_ringbuf_reserve(u64 map, u64 size);

#endif
