// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists in the kernel's memory that no file shows, read through /proc/kcore.
 *
 * The host sends addresses and offsets from its vmlinux. VMCOREINFO shows how far
 * the kernel was moved at boot; `stext` proves that it is the same kernel. Freed
 * memory of modules reads as zeros, so a list that runs through a removed module
 * ends there. If a list does not end, the answer has the entries that were read,
 * and `absent` as well.
 */
#include "core.h"
#include "inventory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#define MAX_ENTRIES 16384 /* of one source; a longer list is corrupted or circular */
#define MAX_DEPTH 8	  /* of a tree of resources */
#define KERNEL_SPACE (1ULL << 63)

static bool peek_pointer(uint64_t address, uint64_t *pointer)
{
	return core_read(address, pointer, sizeof(*pointer));
}

static uint64_t number(const struct command *command, const char *key)
{
	const char *text = command_value(command, key);
	uint64_t value = 0;

	if (text)
		parse_unsigned(text, &value);
	return value;
}

/* Translate the address `key` to this kernel; false with the reason in the answer if that fails. */
static bool address_of(const struct command *command, const char *key, uint64_t *address,
		       struct json *answer)
{
	uint64_t stext = number(command, "stext");
	int error = core_open();

	if (error) {
		source_absent(answer, "/proc/kcore", error);
		return false;
	}
	if (stext && core.stext != stext + core.moved) {
		source_absent(answer, "the host's vmlinux is of another kernel", 0);
		return false;
	}
	*address = number(command, key);
	if (*address)
		*address += core.moved;
	return true;
}

/* Read the text at an address; empty if it can't be read. */
static void peek_text(uint64_t address, char *text, size_t size)
{
	size_t i;

	/* A text near the end of readable memory is shorter than the buffer. */
	for (i = 0; i + 8 < size; i += 8) {
		if (address < KERNEL_SPACE || !core_read(address + i, text + i, 8))
			break;
		text[i + 8] = '\0';
		if (strlen(text + i) < 8)
			return;
	}
	text[i] = '\0';
}

/* Add `NODE VALUE` in hex, and the text at VALUE if requested. */
static void add_node(struct json *answer, uint64_t node, uint64_t value, bool with_text)
{
	char line[128], text[64] = "";
	int length = snprintf(line, sizeof(line), "%" PRIx64 " %" PRIx64, node, value);

	if (with_text) {
		peek_text(value, text, sizeof(text));
		snprintf(line + length, sizeof(line) - (size_t)length, " %s", text);
	}
	json_string(answer, NULL, line);
}

/* Add the object at `node`: the pointer at `show` in it, or with text=inline the text there. */
static void add_object(const struct command *command, uint64_t node, struct json *answer)
{
	const char *text = command_value(command, "text");
	uint64_t value = node + number(command, "show");

	if (!text || strcmp(text, "inline"))
		if (!peek_pointer(value, &value))
			value = 0;
	add_node(answer, node, value, text);
}

/* Close the list of entries; `left` is how many more it could have had. */
static void end_nodes(struct json *answer, size_t left)
{
	json_close(answer, ']');
	if (!left)
		source_absent(answer, "it does not end", 0);
}

/* Walk one list of pointers, up to NULL or the address `end`. */
static void walk_chain(const struct command *command, uint64_t node, uint64_t end, size_t *left,
		       struct json *answer)
{
	uint64_t next = number(command, "next");

	while (node >= KERNEL_SPACE && node != end && *left) {
		--*left;
		add_object(command, node, answer);
		if (!peek_pointer(node + next, &node))
			break;
	}
}

/* Walk a list of pointers, or `heads` consecutive lists as in a hash table. */
void source_chain(const struct command *command, struct json *answer)
{
	uint64_t at, node, end, heads = number(command, "heads"), i;
	size_t left = MAX_ENTRIES;

	if (!address_of(command, "at", &at, answer) || !address_of(command, "end", &end, answer))
		return;
	if (!peek_pointer(at, &node)) {
		source_absent(answer, "its head can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	for (i = 0; i < (heads ? heads : 1) && i < MAX_ENTRIES; i++)
		if (peek_pointer(at + i * sizeof(node), &node))
			walk_chain(command, node, end, &left, answer);
	end_nodes(answer, left);
}

/* Walk a circular list: its nodes are inside objects, `link` bytes from their start. */
void source_ring(const struct command *command, struct json *answer)
{
	uint64_t head, node, link = number(command, "link");
	size_t left = MAX_ENTRIES;

	if (!address_of(command, "at", &head, answer))
		return;
	if (!peek_pointer(head, &node)) {
		source_absent(answer, "its head can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	while (node >= KERNEL_SPACE && node != head && left) {
		left--;
		add_object(command, node - link, answer);
		if (!peek_pointer(node, &node))
			break;
	}
	end_nodes(answer, left);
}

/* `struct resource` of include/linux/ioport.h, the same since 4.6. */
struct resource {
	uint64_t start, end, name, flags, desc, parent, sibling, child;
};

static void add_resources(struct json *answer, uint64_t node, unsigned int depth, size_t *left)
{
	struct resource one;

	while (node >= KERNEL_SPACE && *left && core_read(node, &one, sizeof(one))) {
		char line[160], text[64] = "";

		--*left;
		peek_text(one.name, text, sizeof(text));
		snprintf(line, sizeof(line), "%" PRIx64 " %" PRIx64 "-%" PRIx64 " %s", node,
			 one.start, one.end, text);
		json_string(answer, NULL, line);
		if (depth)
			add_resources(answer, one.child, depth - 1, left);
		node = one.sibling;
	}
}

/* Walk a tree of `struct resource` below its root: `NODE START-END NAME`. */
void source_resources(const struct command *command, struct json *answer)
{
	size_t left = MAX_ENTRIES;
	uint64_t root;
	struct resource one;

	if (!address_of(command, "at", &root, answer))
		return;
	if (!core_read(root, &one, sizeof(one))) {
		source_absent(answer, "its root can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	add_resources(answer, one.child, MAX_DEPTH, &left);
	end_nodes(answer, left);
}

/* Read an array of `count` entries of `stride` bytes; a NULL pointer at `show` means unused. */
void source_array(const struct command *command, struct json *answer)
{
	uint64_t at, i, value, count = number(command, "count"), stride = number(command, "stride");

	if (!address_of(command, "at", &at, answer))
		return;
	if (!peek_pointer(at, &value)) {
		source_absent(answer, "it can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	for (i = 0; i < count && i < MAX_ENTRIES; i++) {
		uint64_t node = at + i * stride;

		if (peek_pointer(node + number(command, "show"), &value) && value)
			add_node(answer, node, value, command_value(command, "text"));
	}
	json_close(answer, ']');
}

/* Return the sum of a per-CPU number of 4 bytes at `percpu`. */
static int64_t sum_parts(uint64_t percpu, uint64_t offsets)
{
	int cpu, cpus = get_nprocs_conf();
	int64_t sum = 0;

	for (cpu = 0; cpu < cpus; cpu++) {
		uint64_t offset;
		int32_t part = 0;

		if (peek_pointer(offsets + 8 * (uint64_t)cpu, &offset) &&
		    core_read(percpu + offset, &part, sizeof(part)))
			sum += part;
	}
	return sum;
}

/*
 * List network devices as `REFERENCES OPS NAME`, from a ring whose nodes are at `link` in
 * them. The number at `count` is per CPU, or a plain one without `offsets`; `ops` has their
 * kind, if any.
 */
void source_references(const struct command *command, struct json *answer)
{
	uint64_t head, node, offsets, link = number(command, "link");
	size_t left = MAX_ENTRIES;

	if (!address_of(command, "at", &head, answer) ||
	    !address_of(command, "offsets", &offsets, answer))
		return;
	if (!peek_pointer(head, &node)) {
		source_absent(answer, "its head can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	while (node >= KERNEL_SPACE && node != head && left) {
		uint64_t device = node - link, percpu, ops = 0;
		char line[96], name[64];
		int32_t plain = 0;
		int64_t sum = 0;

		left--;
		peek_text(device + number(command, "show"), name, sizeof(name));
		if (offsets && peek_pointer(device + number(command, "count"), &percpu))
			sum = sum_parts(percpu, offsets);
		else if (!offsets && core_read(device + number(command, "count"), &plain, sizeof(plain)))
			sum = plain;
		if (command_value(command, "ops"))
			peek_pointer(device + number(command, "ops"), &ops);
		snprintf(line, sizeof(line), "%" PRId64 " %" PRIx64 " %s", sum, ops, name);
		json_string(answer, NULL, line);
		if (!peek_pointer(node, &node))
			break;
	}
	end_nodes(answer, left);
}

/* Add the sum of a struct percpu_counter: the kernel's files lag behind its per-CPU parts. */
void source_counter(const struct command *command, struct json *answer)
{
	uint64_t at, offsets, percpu, sum;

	if (!address_of(command, "at", &at, answer) ||
	    !address_of(command, "offsets", &offsets, answer))
		return;
	if (!peek_pointer(at + number(command, "count"), &sum) ||
	    !peek_pointer(at + number(command, "percpu"), &percpu)) {
		source_absent(answer, "it can't be read", 0);
		return;
	}
	json_signed(answer, "number", (int64_t)sum + sum_parts(percpu, offsets));
}

/* Add the functions of a tracepoint: {function, data, priority} entries up to a NULL function. */
static void add_functions(struct json *answer, uint64_t tracepoint, uint64_t functions)
{
	uint64_t function;
	size_t left = 64;

	while (left-- && peek_pointer(functions, &function) && function) {
		add_node(answer, tracepoint, function, false);
		functions += 24;
	}
}

/* Read an array of `count` tracepoints of `stride` bytes, which point to their functions. */
void source_probes(const struct command *command, struct json *answer)
{
	uint64_t at, i, functions, count = number(command, "count");
	uint64_t stride = number(command, "stride"), offset = number(command, "funcs");
	char *entries;

	if (!address_of(command, "at", &at, answer))
		return;
	entries = count && stride >= 8 && count <= (4U << 20) / stride ? malloc(count * stride) :
									 NULL;
	if (!entries || offset > stride - sizeof(functions) ||
	    !core_read(at, entries, count * stride)) {
		source_absent(answer, "its array can't be read", 0);
		free(entries);
		return;
	}
	json_open(answer, "nodes", '[');
	for (i = 0; i < count; i++) {
		memcpy(&functions, entries + i * stride + offset, sizeof(functions));
		if (functions >= KERNEL_SPACE)
			add_functions(answer, at - core.moved + i * stride, functions);
	}
	json_close(answer, ']');
	free(entries);
}
