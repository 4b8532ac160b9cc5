/* SPDX-License-Identifier: GPL-2.0-only */
/* Handles: loaded files under the names that their user chose. */
#ifndef KEXT_HANDLE_H
#define KEXT_HANDLE_H

#include "command.h"
#include "json.h"

#include <bpf/libbpf.h>
#include <stddef.h>
#include <stdint.h>

struct attachment;

/*
 * A loaded program of either kind, C or Rust. The verbs use these fields, and ask
 * libbpf only for properties that only a C object has.
 */
struct program {
	char *name;    /* complete; the kernel keeps 15 characters of it */
	char *section; /* of its file */
	char *bound;   /* the function that it was bound to at load (fentry), or NULL */
	char *target;  /* the target that its file names, as in `to=`, or NULL */
	uint32_t type;
	int fd;                     /* -1: left out by autoload= */
	struct bpf_program *libbpf; /* NULL: a Rex program */
};

struct map {
	char *name;
	uint32_t type, key_size, value_size, max_entries;
	int fd; /* -1: not created */
	struct bpf_map *libbpf; /* NULL: a map of a Rex image */
};

struct handle {
	struct handle *next;
	char *name;
	char *path;
	struct bpf_object *object; /* NULL: a Rex image, whose descriptors the handle owns */
	struct program *programs;
	size_t program_count;
	struct map *maps;
	size_t map_count;
	struct attachment *attachments;
};

struct loader {
	struct handle *handles;
	int stats_fd; /* the kernel counts runs while this is open; -1 if it refused */
};

/* Find the object that a command names; NULL with a bad answer begun if there is none. */
struct handle *find_handle(struct loader *loader, const struct command *command,
			   struct json *answer);
const struct program *find_program(const struct handle *handle, const struct command *command,
				   struct json *answer);
const struct map *find_map(const struct handle *handle, const struct command *command,
			   struct json *answer);
/* Find a handle by its name, or NULL. */
struct handle *handle_named(struct loader *loader, const char *name);
/* Create the handle that a command names; NULL if there is no memory. */
struct handle *new_handle(const struct command *command);
/* Allocate zeroed tables of programs and maps, without descriptors. Returns 0 or -ENOMEM. */
int alloc_tables(struct handle *handle, size_t programs, size_t maps);
void free_handle(struct handle *handle);
void unload_all(struct loader *loader);

#endif
