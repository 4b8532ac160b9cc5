// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read the kernel's memory by address, through /proc/kcore.
 *
 * /proc/kcore is an ELF file whose program headers map addresses to offsets.
 * Unmapped memory reads as zeros there.
 */
#include "answer.h"
#include "command.h"
#include "loader.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MAX_BYTES 256

static bool read_all(int file, void *to, size_t length, uint64_t offset)
{
	return pread(file, to, length, (off_t)offset) == (ssize_t)length;
}

/* The file's offset of `length` bytes from an address on; false if it has none. */
static bool find_offset(int file, uint64_t address, uint64_t length, uint64_t *offset)
{
	Elf64_Ehdr header;
	Elf64_Phdr part;
	int i;

	if (!read_all(file, &header, sizeof(header), 0) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_phentsize != sizeof(part))
		return false;
	for (i = 0; i < header.e_phnum; i++) {
		if (!read_all(file, &part, sizeof(part), header.e_phoff + i * sizeof(part)))
			return false;
		if (part.p_type == PT_LOAD && address >= part.p_vaddr &&
		    length <= part.p_memsz && address - part.p_vaddr <= part.p_memsz - length) {
			*offset = part.p_offset + (address - part.p_vaddr);
			return true;
		}
	}
	return false;
}

static int peek_at(struct json *answer, int file, const char *word, uint64_t length)
{
	unsigned char bytes[MAX_BYTES];
	uint64_t address, offset;

	if (!parse_unsigned(word, &address))
		return fail(answer, "peek", EINVAL, "%s is not an address", word);
	if (find_offset(file, address, length, &offset) &&
	    read_all(file, bytes, length, offset))
		json_hex(answer, NULL, bytes, length);
	else
		json_null(answer, NULL);
	return 0;
}

static int peek_all(struct json *answer, char **words)
{
	uint64_t length;
	int file, error = 0;

	if (!words[0] || !parse_unsigned(words[0], &length) || !length || length > MAX_BYTES)
		return fail(answer, "peek", EINVAL, "usage: kextload peek LENGTH ADDRESS...");
	file = open("/proc/kcore", O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return fail(answer, "peek", errno, "/proc/kcore: %s", strerror(errno));
	answer_ok(answer);
	json_open(answer, "memory", '[');
	for (words++; *words && !error; words++)
		error = peek_at(answer, file, *words, length);
	if (!error)
		json_close(answer, ']');
	close(file);
	return error;
}

int peek(char **words)
{
	struct json answer = { 0 };
	int error = peek_all(&answer, words);

	answer_send(&answer);
	json_free(&answer);
	return error ? 1 : 0;
}
