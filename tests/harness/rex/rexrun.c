// SPDX-License-Identifier: GPL-2.0-only
#define _GNU_SOURCE
/*
 * Loads a Rex image as no loader would, runs its programs, and says in JSON
 * what came of it. For the tests of the kernel alone.
 *
 *	rexrun run FILE PROGRAM [TIMES [TRACEPOINT PROGRAM]...]
 *			others are attached meanwhile; those of timers see many
 *	rexrun cpus FILE PROGRAM...	the first on CPU 0, the next on CPU 1, ...
 *	rexrun load FILE IMAGE [nobody]	IMAGE for all programs of FILE, none is run
 *	rexrun fuzz FILE SEED COUNT	mutants of the file, none is run
 */
#include <elf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/btf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BPF_REX_PROG_LOAD 37
#define MAPS 3

struct prog_entry {
	uint32_t version, prog_type;
	int32_t default_return;
	uint32_t ctx_size;
	uint64_t entry;
	char name[64], attach[136];
};

struct map_entry {
	uint64_t map;
	uint32_t map_type, key_size, value_size, max_entries, map_flags;
	int32_t lock_offset;
	char name[32];
};

union attribute {
	union bpf_attr bpf;
	struct {
		uint64_t image;
		uint32_t image_size, prog_offset;
		uint64_t maps;
		uint32_t map_count, flags;
		char name[16];
		uint32_t prog_type;
	} rex;
};

struct table {
	uint64_t offset, address, size;
};

static unsigned char file[1 << 21], mutant[1 << 21];
static size_t size;
static struct table programs, maps, frames;
static struct { uint32_t offset, fd; } bound[MAPS];
static int descriptors[MAPS];

static int bpf(int command, union attribute *attribute)
{
	return (int)syscall(SYS_bpf, command, attribute, sizeof(*attribute));
}

/* BTF of an int and of struct value { struct bpf_spin_lock lock; int filler; }. */
static int load_btf(void)
{
	static const char strings[] = "\0int\0bpf_spin_lock\0val\0value\0lock\0filler";
	static const uint32_t types[] = {
		1, BTF_KIND_INT << 24, 4, 32,
		5, BTF_KIND_STRUCT << 24 | 1, 4, 19, 1, 0,
		23, BTF_KIND_STRUCT << 24 | 2, 8, 29, 2, 0, 34, 1, 32,
	};
	static struct {
		struct btf_header header;
		char data[sizeof(types) + sizeof(strings)];
	} btf = { { .magic = BTF_MAGIC, .version = BTF_VERSION,
		    .hdr_len = sizeof(struct btf_header), .type_len = sizeof(types),
		    .str_off = sizeof(types), .str_len = sizeof(strings) } };
	union attribute attribute = { 0 };

	memcpy(btf.data, types, sizeof(types));
	memcpy(btf.data + sizeof(types), strings, sizeof(strings));
	attribute.bpf.btf = (uintptr_t)&btf;
	attribute.bpf.btf_size = sizeof(btf.header) + sizeof(btf.data);
	return bpf(BPF_BTF_LOAD, &attribute);
}

static const struct map_entry *map(size_t index)
{
	return (void *)(file + maps.offset + index * sizeof(struct map_entry));
}

static void make_maps(void)
{
	for (int i = 0; i < MAPS; i++) {
		const struct map_entry *entry = map(i);
		union attribute attribute = { 0 };

		attribute.bpf.map_type = entry->map_type;
		attribute.bpf.key_size = entry->key_size;
		attribute.bpf.value_size = entry->value_size;
		attribute.bpf.max_entries = entry->max_entries;
		if (entry->lock_offset >= 0) {
			attribute.bpf.btf_fd = load_btf();
			attribute.bpf.btf_key_type_id = 1;
			attribute.bpf.btf_value_type_id = 3;
		}
		descriptors[i] = bpf(BPF_MAP_CREATE, &attribute);
		if (descriptors[i] < 0)
			perror("map"), exit(1);
		bound[i].offset = maps.address + i * sizeof(struct map_entry);
		bound[i].fd = descriptors[i];
	}
}

static void read_file(const char *path)
{
	const Elf64_Ehdr *header = (void *)file;
	const Elf64_Shdr *section;
	const char *names;
	FILE *stream = fopen(path, "r");

	size = stream ? fread(file, 1, sizeof(file), stream) : 0;
	if (!size)
		perror(path), exit(1);
	section = (void *)(file + header->e_shoff);
	names = (char *)file + section[header->e_shstrndx].sh_offset;
	for (int i = 0; i < header->e_shnum; i++, section++) {
		struct table found = { section->sh_offset, section->sh_addr, section->sh_size };

		if (!strcmp(names + section->sh_name, ".rex.progs"))
			programs = found;
		if (!strcmp(names + section->sh_name, ".rex.maps"))
			maps = found;
		if (!strcmp(names + section->sh_name, ".stack_sizes"))
			frames = found;
	}
}

static const struct prog_entry *program(size_t index)
{
	return (void *)(file + programs.offset + index * sizeof(struct prog_entry));
}

static size_t program_count(void)
{
	return programs.size / sizeof(struct prog_entry);
}

static int load(const unsigned char *image, size_t length, size_t index)
{
	union attribute attribute = { 0 };

	attribute.rex.image = (uintptr_t)image;
	attribute.rex.image_size = length;
	attribute.rex.prog_offset = programs.address + index * sizeof(struct prog_entry);
	attribute.rex.maps = (uintptr_t)bound;
	attribute.rex.map_count = MAPS;
	attribute.rex.prog_type = program(index)->prog_type;
	strncpy(attribute.rex.name, program(index)->name, 15);
	return bpf(BPF_REX_PROG_LOAD, &attribute);
}

static size_t index_of(const char *name)
{
	for (size_t i = 0; i < program_count(); i++)
		if (!strcmp(program(i)->name, name))
			return i;
	fprintf(stderr, "no program %s\n", name);
	exit(1);
}

static int load_named(const char *name)
{
	return load(file, size, index_of(name));
}

/* A timer's interrupt each 200 us: it hits the kernel everywhere, and leaves it time to go on. */
static void tick(void)
{
	struct perf_event_attr event = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(event),
		.config = PERF_COUNT_SW_CPU_CLOCK,
		.sample_period = 200000,
	};

	if (syscall(SYS_perf_event_open, &event, 0, -1, -1, 0) < 0)
		perror("perf_event_open"), exit(1);
}

static void attach(const char *tracepoint, const char *name)
{
	union attribute attribute = { 0 };

	attribute.bpf.raw_tracepoint.name = (uintptr_t)tracepoint;
	attribute.bpf.raw_tracepoint.prog_fd = load_named(name);
	if (bpf(BPF_RAW_TRACEPOINT_OPEN, &attribute) < 0)
		perror(tracepoint), exit(1);
	if (!strncmp(tracepoint, "hrtimer_", 8))
		tick();
}

static uint64_t count_of(uint32_t key)
{
	union attribute attribute = { 0 };
	uint64_t value = 0;

	for (int i = 0; i < MAPS; i++)
		if (!strcmp(map(i)->name, "counts"))
			attribute.bpf.map_fd = descriptors[i];
	attribute.bpf.key = (uintptr_t)&key;
	attribute.bpf.value = (uintptr_t)&value;
	if (bpf(BPF_MAP_LOOKUP_ELEM, &attribute))
		perror("lookup"), exit(1);
	return value;
}

static int run(const char *name, int times, char **others)
{
	int fd, error = 0;
	union attribute attribute = { 0 };
	uint64_t context[2] = { 1, 2 };
	char packet[64] = { 0 };

	fd = load_named(name);
	if (fd < 0)
		return printf("{\"load\": %d}\n", errno), 0;
	for (char **other = others; *other; other += 2)
		attach(other[0], other[1]);
	while (times-- && !error) {
		memset(&attribute, 0, sizeof(attribute));
		attribute.bpf.test.prog_fd = fd;
		switch (program(index_of(name))->prog_type) {
		case BPF_PROG_TYPE_SCHED_CLS:
		case BPF_PROG_TYPE_XDP:
			attribute.bpf.test.data_in = (uintptr_t)packet;
			attribute.bpf.test.data_size_in = sizeof(packet);
			attribute.bpf.test.repeat = 3;
			break;
		case BPF_PROG_TYPE_RAW_TRACEPOINT:
			attribute.bpf.test.ctx_in = (uintptr_t)context;
			attribute.bpf.test.ctx_size_in = sizeof(context);
		}
		if (bpf(BPF_PROG_TEST_RUN, &attribute))
			error = errno;
	}
	printf("{\"load\": 0, \"run\": %d, \"retval\": %d", error,
	       (int)attribute.bpf.test.retval);
	if (*others)
		printf(", \"others\": %d", (int)count_of(2));
	printf("}\n");
	return 0;
}

/* They share their maps, which those of two processes do not. */
static int run_on_cpus(char **names)
{
	char *nothing[] = { NULL };
	int status = 0;

	for (int cpu = 0; names[cpu] && !status; cpu++) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set))
			perror("sched_setaffinity"), exit(1);
		status = run(names[cpu], 1, nothing);
	}
	return status;
}

static int load_all(const char *path, int nobody)
{
	FILE *stream = fopen(path, "r");
	size_t length = stream ? fread(mutant, 1, sizeof(mutant), stream) : 0;

	if (!stream || (nobody && setuid(65534)))
		return perror(path), 1;
	for (size_t i = 0; i < program_count(); i++) {
		int fd = load(mutant, length, i);

		printf("%s%d", i ? ", " : "[", fd < 0 ? errno : 0);
		if (fd >= 0)
			close(fd);
	}
	printf("]\n");
	return 0;
}

static uint64_t state;

/* xorshift64: the same mutants for the same seed. */
static uint64_t draw(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state % below;
}

static size_t mutate(void)
{
	static const uint64_t edges[] = { 0, 1, 7, 0x7f, 0xff, 0xfff, 0x1000, 0x7fffffff,
					  0xffffffff, 1ull << 63, ~0ull, ~0ull - 7 };
	size_t length = size;

	memcpy(mutant, file, size);
	if (!draw(16))
		length = draw(size + 1);
	for (int turns = 1 + draw(4); turns; turns--) {
		/*
		 * Mostly where the structure is: headers and tables lie in front, the sizes
		 * of frames and the headers of sections behind.
		 */
		uint64_t where = draw(8), edge = edges[draw(sizeof(edges) / sizeof(edges[0]))];
		size_t at = where < 2 ? frames.offset + draw(size - frames.offset) :
			    where < 3 ? draw(size) : draw(0x1000);

		if (at + 8 > size)
			continue;
		switch (draw(4)) {
		case 0:
			mutant[at] ^= 1 << draw(8);
			break;
		case 1:
			mutant[at] = draw(256);
			break;
		case 2:
			memcpy(mutant + (at & ~7ul), &edge, 8);
			break;
		default:
			memcpy(mutant + (at & ~3ul), &edge, 4);
		}
	}
	return length;
}

static int fuzz(uint64_t seed, int count)
{
	static int seen[4096];
	const char *comma = "";

	state = seed * 0x9e3779b97f4a7c15ull + 1;
	while (count--) {
		size_t length = mutate();
		int fd = load(mutant, length, draw(program_count()));

		seen[fd < 0 ? errno : 0]++;
		if (fd >= 0)
			close(fd);
	}
	printf("{");
	for (int i = 0; i < 4096; i++)
		if (seen[i]) {
			printf("%s\"%d\": %d", comma, i, seen[i]);
			comma = ", ";
		}
	printf("}\n");
	return 0;
}

int main(int count, char **words)
{
	if (count < 3)
		return 2;
	read_file(words[2]);
	make_maps();
	if (!strcmp(words[1], "run") && count > 3)
		return run(words[3], count > 4 ? atoi(words[4]) : 1,
			   words + (count > 4 ? 5 : count));
	if (!strcmp(words[1], "cpus") && count > 3)
		return run_on_cpus(words + 3);
	if (!strcmp(words[1], "load") && count > 3)
		return load_all(words[3], count > 4);
	if (!strcmp(words[1], "fuzz") && count > 4)
		return fuzz(strtoull(words[3], NULL, 0), atoi(words[4]));
	return 2;
}
