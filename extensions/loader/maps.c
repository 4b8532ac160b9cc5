// SPDX-License-Identifier: GPL-2.0-only
/* Read and write maps. */
#include "answer.h"
#include "info.h"
#include "maps.h"
#include "verbs.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT 4096 /* entries in one answer */

/* Buffers for one entry's key and values, in this map's sizes. */
struct entry {
	const struct map *map;
	size_t key_size, value_size, stride;
	int copies; /* values per key: 1, or one per possible CPU */
	uint64_t flags;
	uint8_t *key, *next, *values;
};

static bool per_cpu(const struct map *map)
{
	switch (map->type) {
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		return true;
	default:
		return false;
	}
}

/* True for maps that values are pushed to and popped from. */
static bool is_queue(const struct map *map)
{
	return map->type == BPF_MAP_TYPE_QUEUE || map->type == BPF_MAP_TYPE_STACK;
}

static bool is_ring(const struct map *map)
{
	return map->type == BPF_MAP_TYPE_RINGBUF;
}

static void free_entry(struct entry *entry)
{
	free(entry->key);
	free(entry->next);
	free(entry->values);
}

static int make_entry(struct entry *entry, const struct map *map, uint64_t lock,
		      struct json *answer)
{
	entry->map = map;
	entry->flags = lock ? BPF_F_LOCK : 0;
	entry->key_size = map->key_size;
	entry->value_size = map->value_size;
	entry->stride = entry->value_size;
	entry->copies = 1;
	if (per_cpu(map)) {
		entry->stride = (entry->value_size + 7) & ~(size_t)7;
		entry->copies = libbpf_num_possible_cpus();
		if (entry->copies < 1)
			return fail(answer, "map", entry->copies, "how many CPUs there are is "
								  "unknown");
	}
	entry->key = calloc(1, entry->key_size + 8);
	entry->next = calloc(1, entry->key_size + 8);
	entry->values = calloc((size_t)entry->copies, entry->stride + 8);
	if (!entry->key || !entry->next || !entry->values)
		return fail(answer, "map", ENOMEM, "no memory");
	return 0;
}

/* True for sizes of numbers; on x86 the first byte is the lowest. */
static bool is_number(size_t size)
{
	return size == 1 || size == 2 || size == 4 || size == 8;
}

static uint64_t number_at(const uint8_t *bytes, size_t size)
{
	uint64_t number = 0;

	memcpy(&number, bytes, size);
	return number;
}

/*
 * Parse a value: "0x" and exactly two digits per byte are the bytes in memory order.
 * Anything else must be a decimal number that fits, maybe negative.
 */
static int parse_bytes(const char *what, const char *text, uint8_t *bytes, size_t size,
		       struct json *answer)
{
	bool negative = text[0] == '-';
	uint64_t number, limit;

	if (!strncmp(text, "0x", 2)) {
		if (!parse_hex(text + 2, bytes, size))
			return fail(answer, "command", EINVAL,
				    "%s=%s: after 0x there must be %zu hex digits, the bytes in "
				    "the order of memory", what, text, 2 * size);
		return 0;
	}
	if (!is_number(size))
		return fail(answer, "command", EINVAL,
			    "%s=%s: %zu bytes are no number; write 0x and %zu hex digits", what,
			    text, size, 2 * size);
	limit = size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * size)) - 1;
	if (negative)
		limit = limit / 2 + 1;
	if (!parse_unsigned(text + negative, &number) || number > limit)
		return fail(answer, "command", EINVAL, "%s=%s: not a number of %zu bytes", what,
			    text, size);
	if (negative)
		number = -number;
	memcpy(bytes, &number, size);
	return 0;
}

void describe_value(struct json *answer, const uint8_t *value, size_t size)
{
	json_open(answer, NULL, '{');
	json_hex(answer, "value_hex", value, size);
	if (is_number(size))
		json_unsigned(answer, "value", number_at(value, size));
	json_close(answer, '}');
}

static void describe_entry(struct json *answer, const struct entry *entry, const uint8_t *key)
{
	uint64_t sum = 0;
	int i;

	json_open(answer, NULL, '{');
	json_hex(answer, "key_hex", key, entry->key_size);
	json_hex(answer, "value_hex", entry->values, entry->stride * (size_t)entry->copies);
	if (is_number(entry->key_size))
		json_unsigned(answer, "key", number_at(key, entry->key_size));
	if (is_number(entry->value_size)) {
		for (i = 0; i < entry->copies; i++)
			sum += number_at(entry->values + (size_t)i * entry->stride,
					 entry->value_size);
		json_unsigned(answer, "value", sum);
		if (per_cpu(entry->map)) {
			json_open(answer, "values", '[');
			for (i = 0; i < entry->copies; i++)
				json_unsigned(answer, NULL,
					      number_at(entry->values + (size_t)i * entry->stride,
							entry->value_size));
			json_close(answer, ']');
		}
	}
	json_close(answer, '}');
}

static int look_up(struct entry *entry, const uint8_t *key)
{
	return bpf_map_lookup_elem_flags(entry->map->fd, key, entry->values, entry->flags);
}

static void read_one(struct entry *entry, const char *key, struct json *answer)
{
	int error;

	if (parse_bytes("key", key, entry->key, entry->key_size, answer))
		return;
	error = look_up(entry, entry->key);
	if (error) {
		fail(answer, "read", error, "%s[%s]: %s", entry->map->name, key,
		     error == -ENOENT ? "no such key" : error_text(error));
		return;
	}
	json_open(answer, "entries", '[');
	describe_entry(answer, entry, entry->key);
	json_close(answer, ']');
}

static void read_all(struct entry *entry, uint64_t limit, struct json *answer)
{
	const uint8_t *previous = NULL;
	uint64_t count = 0;
	int error = 0;

	json_open(answer, "entries", '[');
	while (!(error = bpf_map_get_next_key(entry->map->fd, previous, entry->next))) {
		if (count == limit)
			break;
		memcpy(entry->key, entry->next, entry->key_size);
		previous = entry->key;
		/* An entry may be deleted between the two calls; it is skipped then. */
		if (!look_up(entry, entry->key)) {
			describe_entry(answer, entry, entry->key);
			count++;
		}
	}
	json_close(answer, ']');
	json_bool(answer, "truncated", !error);
	if (error && error != -ENOENT)
		fail(answer, "read", error, "%s: its entries can't be listed: %s",
		     entry->map->name, error_text(error));
}

/* Pop up to `limit` values. Reading removes them. */
static void read_queue(struct entry *entry, uint64_t limit, struct json *answer)
{
	uint64_t count;
	int error = 0;

	json_open(answer, "entries", '[');
	for (count = 0; count < limit; count++) {
		error = bpf_map_lookup_and_delete_elem(entry->map->fd, NULL, entry->values);
		if (error)
			break;
		describe_value(answer, entry->values, entry->value_size);
	}
	json_close(answer, ']');
	if (!error) /* a lookup only peeks: the value stays */
		error = bpf_map_lookup_elem(entry->map->fd, NULL, entry->values);
	json_bool(answer, "truncated", !error);
	if (error && error != -ENOENT)
		fail(answer, "read", error, "%s: nothing can be popped: %s", entry->map->name,
		     error_text(error));
}

/* Check if a key is given: all maps but queues, stacks and ring buffers have keys. */
static int check_key(const struct map *map, const char *key, bool needed, struct json *answer)
{
	bool keyless = is_queue(map) || is_ring(map);

	if (key && keyless)
		return fail(answer, "command", EINVAL, "%s has no keys", map->name);
	if (!key && needed && !keyless)
		return fail(answer, "command", EINVAL, "%s needs a key", map->name);
	return 0;
}

void verb_read(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *key = command_value(command, "key");
	struct entry entry = { 0 };
	const struct map *map;
	uint64_t limit, lock;

	map = handle ? find_map(handle, command, answer) : NULL;
	if (!map || check_key(map, key, false, answer) ||
	    command_number(command, "limit", 1, 1 << 20, DEFAULT_LIMIT, &limit, answer) ||
	    command_number(command, "lock", 0, 1, 0, &lock, answer))
		return;
	if (!make_entry(&entry, map, lock, answer)) {
		if (key)
			read_one(&entry, key, answer);
		else if (is_ring(map))
			read_ring(map, limit, answer);
		else if (is_queue(map))
			read_queue(&entry, limit, answer);
		else
			read_all(&entry, limit, answer);
	}
	free_entry(&entry);
}

/* Set the value of a key, or push it. */
static void write_entry(struct entry *entry, const char *key, const char *value,
			struct json *answer)
{
	int error, i;

	if ((key && parse_bytes("key", key, entry->key, entry->key_size, answer)) ||
	    parse_bytes("value", value, entry->values, entry->value_size, answer))
		return;
	for (i = 1; i < entry->copies; i++) /* the same on every CPU */
		memcpy(entry->values + (size_t)i * entry->stride, entry->values, entry->stride);
	error = bpf_map_update_elem(entry->map->fd, key ? entry->key : NULL, entry->values,
				    BPF_ANY | entry->flags);
	if (error && key)
		fail(answer, "write", error, "%s[%s]: %s", entry->map->name, key,
		     error_text(error));
	else if (error)
		fail(answer, "write", error, "%s: not pushed: %s", entry->map->name,
		     error == -E2BIG ? "it is full" : error_text(error));
}

void verb_write(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *key = command_value(command, "key");
	const struct map *map = handle ? find_map(handle, command, answer) : NULL;
	struct entry entry = { 0 };
	uint64_t lock;

	if (!map || check_key(map, key, true, answer) ||
	    command_number(command, "lock", 0, 1, 0, &lock, answer))
		return;
	if (is_ring(map)) {
		fail(answer, "write", EOPNOTSUPP, "%s: only programs write to a ring buffer",
		     map->name);
		return;
	}
	if (!make_entry(&entry, map, lock, answer))
		write_entry(&entry, key, command_value(command, "value"), answer);
	free_entry(&entry);
}
