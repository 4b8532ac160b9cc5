// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read a Rex image. It is a user's file, so no offset in it is trusted. This code
 * checks what the loader relies on; the kernel checks what it relies on itself.
 */
#include "answer.h"
#include "info.h"
#include "load.h"
#include "rex.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TABLE_VERSION 1
#define MAX_FILE ((off_t)16 << 20) /* the kernel accepts 1 MiB, and reports larger files itself */
#define MAX_MAPS 64                /* as many as the kernel binds to a program */
#define MAX_PROGRAMS 1024          /* each is compared with all others */

/* True if [offset, offset + size) lies in [0, limit). */
static bool inside(uint64_t offset, uint64_t size, uint64_t limit)
{
	return size <= limit && offset <= limit - size;
}

static int open_file(const char *path, struct stat *status)
{
	/* Non-blocking, because opening a FIFO or a device could block. */
	int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (file >= 0 && (fstat(file, status) || !S_ISREG(status->st_mode))) {
		close(file);
		errno = EINVAL;
		return -1;
	}
	return file;
}

/* A BPF object has its own ELF machine, so an x86-64 file is not one. */
bool is_image(const char *path)
{
	struct stat status;
	int file = open_file(path, &status);
	Elf64_Ehdr header = { 0 };
	ssize_t size;

	if (file < 0)
		return false;
	size = pread(file, &header, sizeof(header), 0);
	close(file);
	return size >= (ssize_t)offsetof(Elf64_Ehdr, e_version) &&
	       !memcmp(header.e_ident, ELFMAG, SELFMAG) && header.e_machine == EM_X86_64;
}

static int read_file(struct rex_image *image, const char *path, struct json *answer)
{
	struct stat status;
	int file = open_file(path, &status);
	ssize_t got = 1;

	if (file < 0)
		return fail(answer, "open", errno, "%s: %s", path, error_text(errno));
	if (status.st_size > MAX_FILE) {
		close(file);
		return fail(answer, "open", E2BIG, "%s: %lld bytes are no Rex image", path,
			    (long long)status.st_size);
	}
	image->bytes = malloc((size_t)status.st_size + 1);
	while (image->bytes && got > 0 && image->size < (size_t)status.st_size) {
		got = read(file, image->bytes + image->size, (size_t)status.st_size - image->size);
		if (got > 0)
			image->size += (size_t)got;
	}
	close(file);
	if (!image->bytes || got < 0)
		return fail(answer, "open", image->bytes ? errno : ENOMEM, "%s: can't be read",
			    path);
	return 0;
}

/* Copy a section header, because it may be unaligned in the file. */
static Elf64_Shdr section_header(const struct rex_image *image, const Elf64_Ehdr *header,
				 unsigned int index)
{
	Elf64_Shdr section;

	memcpy(&section, image->bytes + header->e_shoff + index * sizeof(section),
	       sizeof(section));
	return section;
}

static const char *check_header(const struct rex_image *image, Elf64_Ehdr *header)
{
	if (image->size < sizeof(*header))
		return "shorter than an ELF header";
	memcpy(header, image->bytes, sizeof(*header));
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB)
		return "not a 64-bit little-endian ELF file";
	if (header->e_type != ET_DYN)
		return "not a shared object";
	if (!header->e_shnum)
		return "no section headers (strip debug information only)";
	if (header->e_shentsize != sizeof(Elf64_Shdr) ||
	    !inside(header->e_shoff, (uint64_t)header->e_shnum * sizeof(Elf64_Shdr), image->size))
		return "section headers out of the file";
	if (header->e_shstrndx >= header->e_shnum)
		return "no section has the sections' names";
	return NULL;
}

/* Position of a table in the file, and the offset by which the kernel finds it. */
struct table {
	const uint8_t *bytes;
	size_t count;
	uint32_t offset;
};

static const char *check_table(const struct rex_image *image, const Elf64_Shdr *section,
			       size_t entry, struct table *table)
{
	if (table->bytes)
		return "a table is there twice";
	if (section->sh_type != SHT_PROGBITS)
		return "a table without content";
	if (!inside(section->sh_offset, section->sh_size, image->size))
		return "a table out of the file";
	if (section->sh_size % entry)
		return "a table that is no whole number of entries";
	if (!inside(section->sh_addr, section->sh_size, UINT32_MAX))
		return "a table at an address beyond any image";
	table->bytes = image->bytes + section->sh_offset;
	table->count = section->sh_size / entry;
	table->offset = (uint32_t)section->sh_addr;
	return NULL;
}

static const char *find_tables(const struct rex_image *image, struct table *programs,
			       struct table *maps)
{
	const char *names, *problem;
	Elf64_Shdr section;
	Elf64_Ehdr header;
	unsigned int i;
	size_t size;

	problem = check_header(image, &header);
	if (problem)
		return problem;
	section = section_header(image, &header, header.e_shstrndx);
	size = section.sh_size;
	if (section.sh_type != SHT_STRTAB || !size ||
	    !inside(section.sh_offset, size, image->size) ||
	    image->bytes[section.sh_offset + size - 1])
		return "the sections' names are no strings";
	names = (const char *)image->bytes + section.sh_offset;
	for (i = 0; i < header.e_shnum && !problem; i++) {
		section = section_header(image, &header, i);
		if (section.sh_name >= size)
			return "a section's name out of the names";
		if (!strcmp(names + section.sh_name, ".rex.progs"))
			problem = check_table(image, &section, sizeof(struct rex_program),
					      programs);
		else if (!strcmp(names + section.sh_name, ".rex.maps"))
			problem = check_table(image, &section, sizeof(struct rex_map), maps);
	}
	if (!problem && !programs->count)
		problem = "no programs (section .rex.progs)";
	if (!problem && programs->count > MAX_PROGRAMS)
		problem = "more than 1024 programs";
	if (!problem && maps->count > MAX_MAPS)
		problem = "more than 64 maps";
	return problem;
}

/* True if a name ends inside its field and has only characters that the kernel accepts. */
static bool good_name(const char *name, size_t size)
{
	size_t i;

	for (i = 0; i < size && name[i]; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '.')
			return false;
	return i && i < size;
}

static const char *check_program(const struct rex_image *image, size_t index)
{
	const struct rex_program *program = &image->programs[index];
	size_t i;

	if (program->version != TABLE_VERSION)
		return "its tables are of another version";
	if (!good_name(program->name, sizeof(program->name)))
		return "a program's name is none";
	if (!memchr(program->attach, '\0', sizeof(program->attach)))
		return "where a program goes has no end";
	for (i = 0; i < index; i++)
		if (!strcmp(image->programs[i].name, program->name))
			return "two programs of one name";
	return NULL;
}

static const char *check_map(const struct rex_image *image, size_t index)
{
	const struct rex_map *map = &image->maps[index];
	size_t i;

	if (!good_name(map->name, sizeof(map->name)))
		return "a map's name is none";
	if (map->lock_offset >= 0 &&
	    (map->lock_offset % 4 || !inside((uint64_t)map->lock_offset, 4, map->value_size)))
		return "a map's lock is not in its value";
	for (i = 0; i < index; i++)
		if (!strcmp(image->maps[i].name, map->name))
			return "two maps of one name";
	return NULL;
}

static const char *take_tables(struct rex_image *image, const struct table *programs,
			       const struct table *maps)
{
	const char *problem = NULL;
	size_t i;

	image->programs = calloc(programs->count, sizeof(*image->programs));
	image->maps = calloc(maps->count + 1, sizeof(*image->maps));
	if (!image->programs || !image->maps)
		return "no memory";
	image->program_count = programs->count;
	image->program_offset = programs->offset;
	image->map_count = maps->count;
	image->map_offset = maps->offset;
	memcpy(image->programs, programs->bytes, programs->count * sizeof(*image->programs));
	if (maps->count)
		memcpy(image->maps, maps->bytes, maps->count * sizeof(*image->maps));
	for (i = 0; i < image->program_count && !problem; i++)
		problem = check_program(image, i);
	for (i = 0; i < image->map_count && !problem; i++)
		problem = check_map(image, i);
	return problem;
}

int read_image(struct rex_image *image, const char *path, struct json *answer)
{
	struct table programs = { 0 }, maps = { 0 };
	const char *problem;

	if (read_file(image, path, answer))
		return -1;
	problem = find_tables(image, &programs, &maps);
	if (!problem)
		problem = take_tables(image, &programs, &maps);
	if (problem)
		return fail(answer, "open", ENOEXEC, "%s: not a Rex image: %s", path, problem);
	return 0;
}

void free_image(struct rex_image *image)
{
	free(image->programs);
	free(image->maps);
	free(image->bytes);
}
