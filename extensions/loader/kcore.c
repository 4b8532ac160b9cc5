// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists in the kernel's memory that no file shows, read through /proc/kcore.
 *
 * The host sends addresses and offsets from its vmlinux. The kernel's
 * VMCOREINFO says how far it was moved at boot; `stext` shows that it is the same
 * kernel. Freed memory of modules reads as zeros, so a list that runs through a
 * module that is gone ends there.
 */
#include "inventory.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#define MAX_SEGMENTS 64
#define MAX_ENTRIES 4096 /* a list that is longer is torn or goes round */
#define KERNEL_SPACE (1ULL << 63)
#define NOTES ((size_t)16 << 10)

static struct {
	int file; /* 0: not yet opened; negative: -errno */
	size_t count;
	Elf64_Phdr segments[MAX_SEGMENTS];
	uint64_t moved; /* the kernel's addresses minus those of its vmlinux */
	uint64_t stext; /* its address after that; 0: not known */
} core;

/* The hex number after `key` in VMCOREINFO; 0 if there is none. */
static uint64_t note_value(const char *notes, size_t size, const char *key)
{
	const char *found = memmem(notes, size, key, strlen(key));

	return found ? strtoull(found + strlen(key), NULL, 16) : 0;
}

static void read_notes(const Elf64_Phdr *segment)
{
	static char notes[NOTES + 1];
	size_t size = segment->p_filesz < NOTES ? segment->p_filesz : NOTES;
	ssize_t got = pread(core.file, notes, size, (off_t)segment->p_offset);

	if (got <= 0)
		return;
	core.moved = note_value(notes, (size_t)got, "\nKERNELOFFSET=");
	core.stext = note_value(notes, (size_t)got, "\nSYMBOL(_stext)=");
}

static int open_core(void)
{
	Elf64_Ehdr header;
	size_t i;

	if (core.file)
		return core.file;
	core.file = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (core.file < 0)
		return core.file = -errno;
	if (pread(core.file, &header, sizeof(header), 0) != sizeof(header) ||
	    header.e_phnum > MAX_SEGMENTS || header.e_phentsize != sizeof(Elf64_Phdr))
		return core.file = -ENOEXEC;
	core.count = header.e_phnum;
	if (pread(core.file, core.segments, core.count * sizeof(Elf64_Phdr),
		  (off_t)header.e_phoff) != (ssize_t)(core.count * sizeof(Elf64_Phdr)))
		return core.file = -ENOEXEC;
	for (i = 0; i < core.count; i++)
		if (core.segments[i].p_type == PT_NOTE)
			read_notes(&core.segments[i]);
	return core.file;
}

static bool peek(uint64_t address, void *data, size_t size)
{
	size_t i;

	for (i = 0; i < core.count; i++) {
		const Elf64_Phdr *one = &core.segments[i];

		if (one->p_type == PT_LOAD && address >= one->p_vaddr &&
		    address - one->p_vaddr + size <= one->p_memsz)
			return pread(core.file, data, size,
				     (off_t)(one->p_offset + (address - one->p_vaddr))) ==
			       (ssize_t)size;
	}
	return false;
}

static bool peek_pointer(uint64_t address, uint64_t *pointer)
{
	return peek(address, pointer, sizeof(*pointer));
}

static uint64_t number(const struct command *command, const char *key)
{
	const char *text = command_value(command, key);
	uint64_t value = 0;

	if (text)
		parse_unsigned(text, &value);
	return value;
}

/* The address `key` in this kernel; false with the reason in the answer if it can't be read. */
static bool address_of(const struct command *command, const char *key, uint64_t *address,
		       struct json *answer)
{
	uint64_t stext = number(command, "stext");
	int file = open_core();

	if (file < 0) {
		source_absent(answer, "/proc/kcore", file);
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

/* The text at an address, ASCII characters only; empty if it is gone. */
static void peek_text(uint64_t address, char *text, size_t room)
{
	size_t i;

	/* A text near the end of readable memory is shorter than the buffer. */
	for (i = 0; i + 8 < room; i += 8) {
		if (address < KERNEL_SPACE || !peek(address + i, text + i, 8))
			break;
		text[i + 8] = '\0';
		if (strlen(text + i) < 8)
			return;
	}
	text[i] = '\0';
}

/* `NODE VALUE` in hex, and the text at VALUE if it is asked for. */
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

/* One list of pointers, up to NULL or the address `end`. */
static void walk_chain(const struct command *command, uint64_t node, uint64_t end,
		       struct json *answer)
{
	uint64_t next = number(command, "next");
	size_t left = MAX_ENTRIES;

	while (node >= KERNEL_SPACE && node != end && left--) {
		add_object(command, node, answer);
		if (!peek_pointer(node + next, &node))
			break;
	}
}

/* A list of pointers, or `heads` lists one after the other as in a hash table. */
void source_chain(const struct command *command, struct json *answer)
{
	uint64_t at, node, end, heads = number(command, "heads"), i;

	if (!address_of(command, "at", &at, answer) || !address_of(command, "end", &end, answer))
		return;
	if (!peek_pointer(at, &node)) {
		source_absent(answer, "its head can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	for (i = 0; i < (heads ? heads : 1) && i < MAX_ENTRIES; i++)
		if (peek_pointer(at + i * sizeof(node), &node))
			walk_chain(command, node, end, answer);
	json_close(answer, ']');
}

/* A circular list: its nodes are inside objects, `link` bytes from their start. */
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
	while (node >= KERNEL_SPACE && node != head && left--) {
		add_object(command, node - link, answer);
		if (!peek_pointer(node, &node))
			break;
	}
	json_close(answer, ']');
}

/* `struct resource` of include/linux/ioport.h, the same since 4.6. */
struct resource {
	uint64_t start, end, name, flags, desc, parent, sibling, child;
};

static void add_resources(struct json *answer, uint64_t node, unsigned int depth, size_t *left)
{
	struct resource one;

	while (node >= KERNEL_SPACE && *left && peek(node, &one, sizeof(one))) {
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

/* A tree of `struct resource` below its root: `NODE START-END NAME`. */
void source_resources(const struct command *command, struct json *answer)
{
	size_t left = MAX_ENTRIES;
	uint64_t root;
	struct resource one;

	if (!address_of(command, "at", &root, answer))
		return;
	if (!peek(root, &one, sizeof(one))) {
		source_absent(answer, "its root can't be read", 0);
		return;
	}
	json_open(answer, "nodes", '[');
	add_resources(answer, one.child, 8, &left);
	json_close(answer, ']');
}

/* An array of `count` entries, `stride` bytes each; one whose pointer at `show` is NULL is free. */
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

/* The sum of a per-CPU number of 4 bytes at `percpu`. */
static int64_t sum_parts(uint64_t percpu, uint64_t offsets)
{
	int cpu, cpus = get_nprocs_conf();
	int64_t sum = 0;

	for (cpu = 0; cpu < cpus; cpu++) {
		uint64_t offset;
		int32_t part = 0;

		if (peek_pointer(offsets + 8 * (uint64_t)cpu, &offset) &&
		    peek(percpu + offset, &part, sizeof(part)))
			sum += part;
	}
	return sum;
}

/*
 * Network devices: `REFERENCES OPS NAME`, from a ring whose nodes are at `link` in them. The
 * number at `count` is per CPU, or without `offsets` a plain one; `ops` has their kind, if any.
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
	while (node >= KERNEL_SPACE && node != head && left--) {
		uint64_t device = node - link, percpu, ops = 0;
		char line[96], name[64];
		int32_t plain = 0;
		int64_t sum = 0;

		peek_text(device + number(command, "show"), name, sizeof(name));
		if (offsets && peek_pointer(device + number(command, "count"), &percpu))
			sum = sum_parts(percpu, offsets);
		else if (!offsets && peek(device + number(command, "count"), &plain, sizeof(plain)))
			sum = plain;
		if (command_value(command, "ops"))
			peek_pointer(device + number(command, "ops"), &ops);
		snprintf(line, sizeof(line), "%" PRId64 " %" PRIx64 " %s", sum, ops, name);
		json_string(answer, NULL, line);
		if (!peek_pointer(node, &node))
			break;
	}
	json_close(answer, ']');
}

/* The sum of a struct percpu_counter: the kernel's own files lag behind its per-CPU parts. */
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

/* The functions of one tracepoint: {function, data, priority} up to one without a function. */
static void add_functions(struct json *answer, uint64_t tracepoint, uint64_t functions)
{
	uint64_t function;
	size_t left = 64;

	while (left-- && peek_pointer(functions, &function) && function) {
		add_node(answer, tracepoint, function, false);
		functions += 24;
	}
}

/* An array of `count` tracepoints, `stride` bytes each, that point to their functions. */
void source_probes(const struct command *command, struct json *answer)
{
	uint64_t at, i, functions, count = number(command, "count");
	uint64_t stride = number(command, "stride"), offset = number(command, "funcs");
	char *room;

	if (!address_of(command, "at", &at, answer))
		return;
	room = count && stride >= 8 && count <= (4U << 20) / stride ? malloc(count * stride) : NULL;
	if (!room || offset > stride - sizeof(functions) || !peek(at, room, count * stride)) {
		source_absent(answer, "its array can't be read", 0);
		free(room);
		return;
	}
	json_open(answer, "nodes", '[');
	for (i = 0; i < count; i++) {
		memcpy(&functions, room + i * stride + offset, sizeof(functions));
		if (functions >= KERNEL_SPACE)
			add_functions(answer, at - core.moved + i * stride, functions);
	}
	json_close(answer, ']');
	free(room);
}
