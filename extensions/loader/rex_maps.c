// SPDX-License-Identifier: GPL-2.0-only
/*
 * Create the maps of a Rex image. The kernel finds a lock in a map's values by
 * their BTF. Rust emits none, so this code builds a minimal BTF that shows where
 * the lock is; the rest of a value is bytes.
 */
#include "rex.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>

#define LOCK_SIZE 4
#define MAX_VALUE (1u << 24) /* offsets in BTF have 32 bits and count bits */

struct layout {
	struct btf *btf;
	int integer, byte; /* ids of the types of 4 bytes and of 1 byte */
	int error;         /* of the first type that could not be added */
};

static int added(struct layout *layout, int type)
{
	if (type < 0 && !layout->error)
		layout->error = type;
	return type;
}

static int add_bytes(struct layout *layout, uint32_t size)
{
	return added(layout, btf__add_array(layout->btf, layout->integer, layout->byte, size));
}

static void add_member(struct layout *layout, const char *name, int type, uint32_t offset)
{
	added(layout, btf__add_field(layout->btf, name, type, offset * 8, 0));
}

/* struct { u8 before[]; struct bpf_spin_lock lock; u8 after[]; } */
static int add_value(struct layout *layout, uint32_t size, uint32_t offset)
{
	uint32_t after = offset + LOCK_SIZE;
	int lock, before_type, after_type, value;

	lock = added(layout, btf__add_struct(layout->btf, "bpf_spin_lock", LOCK_SIZE));
	add_member(layout, "val", layout->integer, 0);
	before_type = offset ? add_bytes(layout, offset) : 0;
	after_type = after < size ? add_bytes(layout, size - after) : 0;
	value = added(layout, btf__add_struct(layout->btf, "value", size));
	if (offset)
		add_member(layout, "before", before_type, 0);
	add_member(layout, "lock", lock, offset);
	if (after < size)
		add_member(layout, "after", after_type, after);
	return value;
}

/* An array's key must be an integer; any other key is an array of bytes. */
static int add_key(struct layout *layout, uint32_t size)
{
	return size == 4 ? layout->integer : add_bytes(layout, size);
}

static int describe(struct btf *btf, const struct rex_map *entry,
		    struct bpf_map_create_opts *options)
{
	struct layout layout = { .btf = btf };
	int error;

	layout.integer = added(&layout, btf__add_int(btf, "u32", 4, 0));
	layout.byte = added(&layout, btf__add_int(btf, "u8", 1, 0));
	options->btf_key_type_id = (uint32_t)add_key(&layout, entry->key_size);
	options->btf_value_type_id =
		(uint32_t)add_value(&layout, entry->value_size, (uint32_t)entry->lock_offset);
	if (layout.error)
		return layout.error;
	error = btf__load_into_kernel(btf);
	options->btf_fd = (uint32_t)btf__fd(btf);
	return error;
}

int create_map(const struct rex_map *entry)
{
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = entry->map_flags);
	struct btf *btf = NULL;
	char name[BPF_OBJ_NAME_LEN];
	int map = 0;

	snprintf(name, sizeof(name), "%.15s", entry->name);
	if (entry->lock_offset >= 0) {
		if (entry->value_size > MAX_VALUE)
			return -E2BIG;
		btf = btf__new_empty();
		map = btf ? describe(btf, entry, &options) : -ENOMEM;
	}
	if (!map)
		map = bpf_map_create((enum bpf_map_type)entry->map_type, name, entry->key_size,
				     entry->value_size, entry->max_entries, &options);
	btf__free(btf); /* the kernel keeps its own copy for the map */
	return map;
}
