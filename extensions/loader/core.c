// SPDX-License-Identifier: GPL-2.0-only
/*
 * /proc/kcore is an ELF file whose program headers map addresses to offsets in it.
 * Its notes end with VMCOREINFO.
 */
#include "core.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_SEGMENTS 64
/* The notes hold a task with up to 11 KiB of registers, then VMCOREINFO (4 KiB). */
#define NOTES ((size_t)64 << 10)

struct core_places core;

static int file = -1;
static size_t count;
static Elf64_Phdr segments[MAX_SEGMENTS];

/* Return the hex number after `key` in VMCOREINFO, or 0 if there is none. */
static uint64_t note_value(const char *notes, size_t size, const char *key)
{
	const char *found = memmem(notes, size, key, strlen(key));

	return found ? strtoull(found + strlen(key), NULL, 16) : 0;
}

static void read_notes(const Elf64_Phdr *segment)
{
	static char notes[NOTES + 1];
	size_t size = segment->p_filesz < NOTES ? segment->p_filesz : NOTES;
	ssize_t got = pread(file, notes, size, (off_t)segment->p_offset);

	if (got <= 0)
		return;
	core.moved = note_value(notes, (size_t)got, "\nKERNELOFFSET=");
	core.stext = note_value(notes, (size_t)got, "\nSYMBOL(_stext)=");
}

/* Read the program headers and VMCOREINFO. Returns 0 or -errno. */
static int read_headers(void)
{
	Elf64_Ehdr header;
	ssize_t size;
	size_t i;

	if (pread(file, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phnum > MAX_SEGMENTS ||
	    header.e_phentsize != sizeof(Elf64_Phdr))
		return -ENOEXEC;
	size = (ssize_t)(header.e_phnum * sizeof(Elf64_Phdr));
	if (pread(file, segments, (size_t)size, (off_t)header.e_phoff) != size)
		return -ENOEXEC;
	count = header.e_phnum;
	for (i = 0; i < count; i++)
		if (segments[i].p_type == PT_NOTE)
			read_notes(&segments[i]);
	return 0;
}

int core_open(void)
{
	static bool tried;
	static int error;

	if (tried)
		return error;
	tried = true;
	file = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return error = -errno;
	error = read_headers();
	if (error)
		close(file);
	return error;
}

bool core_read(uint64_t address, void *data, size_t size)
{
	size_t i;

	for (i = 0; i < count; i++) {
		const Elf64_Phdr *one = &segments[i];

		if (one->p_type == PT_LOAD && address >= one->p_vaddr && size <= one->p_memsz &&
		    address - one->p_vaddr <= one->p_memsz - size)
			return pread(file, data, size,
				     (off_t)(one->p_offset + (address - one->p_vaddr))) ==
			       (ssize_t)size;
	}
	return false;
}
