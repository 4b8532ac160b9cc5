// SPDX-License-Identifier: GPL-2.0-only
/* Reading and writing maps. */
#include "answer.h"
#include "loader.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LIMIT 4096 /* entries in one answer */

/* One entry's key and values, as large as this map needs. */
struct entry {
	const struct bpf_map *map;
	size_t key_size, value_size, stride;
	int copies; /* values per key: 1, or one per possible CPU */
	uint8_t *key, *next, *values;
};

static bool per_cpu(const struct bpf_map *map)
{
	switch (bpf_map__type(map)) {
	case BPF_MAP_TYPE_PERCPU_ARRAY:
	case BPF_MAP_TYPE_PERCPU_HASH:
	case BPF_MAP_TYPE_LRU_PERCPU_HASH:
	case BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE:
		return true;
	default:
		return false;
	}
}

static void free_entry(struct entry *entry)
{
	free(entry->key);
	free(entry->next);
	free(entry->values);
}

static int make_entry(struct entry *entry, const struct bpf_map *map, struct json *answer)
{
	entry->map = map;
	entry->key_size = bpf_map__key_size(map);
	entry->value_size = bpf_map__value_size(map);
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

/* The sizes that are numbers; on x86 the first byte is the lowest. */
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
 * "0x" and exactly two digits per byte: the bytes in the order of memory.
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
	return bpf_map_lookup_elem(bpf_map__fd(entry->map), key, entry->values);
}

static void read_one(struct entry *entry, const char *key, struct json *answer)
{
	int error;

	if (parse_bytes("key", key, entry->key, entry->key_size, answer))
		return;
	error = look_up(entry, entry->key);
	if (error) {
		fail(answer, "read", error, "%s[%s]: %s", bpf_map__name(entry->map), key,
		     error == -ENOENT ? "no such key" : error_text(error));
		return;
	}
	json_open(answer, "entries", '[');
	describe_entry(answer, entry, entry->key);
	json_close(answer, ']');
}

static void read_all(struct entry *entry, uint64_t limit, struct json *answer)
{
	int descriptor = bpf_map__fd(entry->map);
	const uint8_t *previous = NULL;
	uint64_t count = 0;
	int error = 0;

	json_open(answer, "entries", '[');
	while (!(error = bpf_map_get_next_key(descriptor, previous, entry->next))) {
		if (count == limit)
			break;
		memcpy(entry->key, entry->next, entry->key_size);
		previous = entry->key;
		/* An entry may be deleted between the two calls; it is then no entry. */
		if (!look_up(entry, entry->key)) {
			describe_entry(answer, entry, entry->key);
			count++;
		}
	}
	json_close(answer, ']');
	json_bool(answer, "truncated", !error);
	if (error && error != -ENOENT)
		fail(answer, "read", error, "%s: its entries can't be listed: %s",
		     bpf_map__name(entry->map), error_text(error));
}

void verb_read(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *key = command_value(command, "key");
	struct entry entry = { 0 };
	struct bpf_map *map;
	uint64_t limit;

	map = handle ? find_map(handle, command, answer) : NULL;
	if (!map || command_number(command, "limit", 1, 1 << 20, DEFAULT_LIMIT, &limit, answer))
		return;
	if (!make_entry(&entry, map, answer)) {
		if (key)
			read_one(&entry, key, answer);
		else
			read_all(&entry, limit, answer);
	}
	free_entry(&entry);
}

void verb_write(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *key = command_value(command, "key");
	const char *value = command_value(command, "value");
	struct entry entry = { 0 };
	struct bpf_map *map = handle ? find_map(handle, command, answer) : NULL;
	int error, i;

	if (!map)
		return;
	if (!make_entry(&entry, map, answer) &&
	    !parse_bytes("key", key, entry.key, entry.key_size, answer) &&
	    !parse_bytes("value", value, entry.values, entry.value_size, answer)) {
		for (i = 1; i < entry.copies; i++) /* the same on every CPU */
			memcpy(entry.values + (size_t)i * entry.stride, entry.values, entry.stride);
		error = bpf_map_update_elem(bpf_map__fd(map), entry.key, entry.values, BPF_ANY);
		if (error)
			fail(answer, "write", error, "%s[%s]: %s", bpf_map__name(map), key,
			     error_text(error));
	}
	free_entry(&entry);
}
