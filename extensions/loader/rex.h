/* SPDX-License-Identifier: GPL-2.0-only */
/* Rex images: shared objects compiled from safe Rust, with tables of programs and maps. */
#ifndef KEXT_REX_H
#define KEXT_REX_H

#include "json.h"

#include <stddef.h>
#include <stdint.h>

/* Table entries, in the layout that the compiler writes and the kernel reads. */
struct rex_program {
	uint32_t version, prog_type;
	int32_t default_return;
	uint32_t ctx_size;
	uint64_t entry;
	char name[64], attach[136];
};

struct rex_map {
	uint64_t map;
	uint32_t map_type, key_size, value_size, max_entries, map_flags;
	int32_t lock_offset; /* of a struct bpf_spin_lock in the value; negative: there is none */
	char name[32];
};

_Static_assert(sizeof(struct rex_program) == 224, "part of the interface");
_Static_assert(sizeof(struct rex_map) == 64, "part of the interface");

struct rex_image {
	uint8_t *bytes; /* the whole file */
	size_t size;
	/* Checked copies of the entries, and the kernel's offset of each table's first entry. */
	struct rex_program *programs;
	struct rex_map *maps;
	size_t program_count, map_count;
	uint32_t program_offset, map_offset;
};

/* rex_image.c: returns 0, or -1 with a bad answer begun; free the image in both cases. */
int read_image(struct rex_image *image, const char *path, struct json *answer);
void free_image(struct rex_image *image);

/* rex_maps.c: create the map that an entry describes. Returns a descriptor, or -errno. */
int create_map(const struct rex_map *entry);

#endif
