// SPDX-License-Identifier: GPL-2.0-only
/*
 * Load a Rex image: its maps once, and each of its programs from the whole file,
 * with all the maps. So the programs share the maps and nothing else: each has its
 * own copy of the image's variables.
 */
#include "answer.h"
#include "info.h"
#include "kmsg.h"
#include "libbpf_watch.h"
#include "load.h"
#include "rex.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BPF_REX_PROG_LOAD 37 /* the host's headers may lack it */

/* The command's member of union bpf_attr. */
struct load_attributes {
	uint64_t image;
	uint32_t image_size, prog_offset;
	uint64_t maps;
	uint32_t map_count, flags;
	char name[BPF_OBJ_NAME_LEN];
	uint32_t prog_type, nothing;
};

struct bound_map {
	uint32_t offset, fd;
};

static int rex_prog_load(const struct load_attributes *attributes)
{
	int program = (int)syscall(SYS_bpf, BPF_REX_PROG_LOAD, attributes, sizeof(*attributes));

	return program < 0 ? -errno : program;
}

/*
 * A kernel without the command answers every call with EINVAL. A kernel with it gets as
 * far as copying the image from an invalid address, and answers EFAULT.
 */
static bool kernel_has_rex(void)
{
	struct load_attributes attributes = { .image_size = 1,
					      .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT };

	return rex_prog_load(&attributes) != -EINVAL;
}

/* Check `autoload=p,q`: each program must exist. */
static int check_autoload(const struct rex_image *image, const char *list, struct json *answer)
{
	const char *at = list;
	size_t i;

	while (*at) {
		size_t length = strcspn(at, ",");
		bool known = false;

		for (i = 0; i < image->program_count && !known; i++)
			known = strlen(image->programs[i].name) == length &&
				!memcmp(image->programs[i].name, at, length);
		if (!known)
			return fail(answer, "open", ENOENT, "no program %.*s in the image",
				    (int)length, at);
		at += length + (at[length] == ',');
	}
	return 0;
}

/* Fill in the handle's programs and maps from the tables; nothing is loaded yet. */
static int list_image(struct handle *handle, const struct rex_image *image)
{
	int error = alloc_tables(handle, image->program_count, image->map_count);
	size_t i;

	for (i = 0; !error && i < image->program_count; i++) {
		const struct rex_program *entry = &image->programs[i];
		struct program *program = &handle->programs[i];

		program->type = entry->prog_type;
		program->name = strdup(entry->name);
		program->section = strdup(".rex.progs");
		program->target = *entry->attach ? strdup(entry->attach) : NULL;
		if (!program->name || !program->section || (*entry->attach && !program->target))
			error = -ENOMEM;
	}
	for (i = 0; !error && i < image->map_count; i++) {
		const struct rex_map *entry = &image->maps[i];
		struct map *map = &handle->maps[i];

		map->type = entry->map_type;
		map->key_size = entry->key_size;
		map->value_size = entry->value_size;
		map->max_entries = entry->max_entries;
		map->name = strdup(entry->name);
		if (!map->name)
			error = -ENOMEM;
	}
	return error;
}

static int create_maps(struct handle *handle, const struct rex_image *image,
		       struct bound_map *bound, struct json *answer)
{
	size_t i;

	for (i = 0; i < image->map_count; i++) {
		int map = create_map(&image->maps[i]);

		if (map < 0) {
			fail(answer, "map", map, "%s: map %s: not created: %s", handle->path,
			     image->maps[i].name, error_text(map));
			json_string(answer, "libbpf", libbpf_messages());
			return -1;
		}
		handle->maps[i].fd = map;
		bound[i].offset = image->map_offset + (uint32_t)(i * sizeof(struct rex_map));
		bound[i].fd = (uint32_t)map;
	}
	return 0;
}

static int report_rejection(const struct handle *handle, const char *name, int error, int log,
			    struct json *answer)
{
	const char *stage = error == -EPERM ? "permission" : "load";
	char *reasons;

	/* ENOSYS concerns the kernel and is no verdict on the program. */
	if (error == -EINVAL && !kernel_has_rex())
		return fail(answer, "load", ENOSYS, "%s: this kernel has no Rex", handle->path);
	/* The kernel logs its reason for each image that it refuses. */
	reasons = kernel_log_lines(log, "rex: load: ");
	if (reasons && *reasons)
		stage = "verify";
	fail(answer, stage, error, "%s: %s: not loaded: %s", handle->path, name,
	     error_text(error));
	json_string(answer, "program", name);
	json_string(answer, "log", reasons ? reasons : "");
	free(reasons);
	json_string(answer, "libbpf", libbpf_messages());
	return -1;
}

static int load_programs(struct handle *handle, const struct rex_image *image,
			 const struct bound_map *bound, const char *autoload, struct json *answer)
{
	struct load_attributes attributes = { .image = (uintptr_t)image->bytes,
					      .image_size = (uint32_t)image->size,
					      .maps = (uintptr_t)bound,
					      .map_count = (uint32_t)image->map_count };
	size_t i;

	for (i = 0; i < image->program_count; i++) {
		struct program *program = &handle->programs[i];
		int log;

		if (autoload && !word_in_list(program->name, autoload, ','))
			continue;
		attributes.prog_offset =
			image->program_offset + (uint32_t)(i * sizeof(struct rex_program));
		attributes.prog_type = program->type;
		snprintf(attributes.name, sizeof(attributes.name), "%.15s", program->name);
		log = kernel_log_open();
		program->fd = rex_prog_load(&attributes);
		if (program->fd < 0) {
			int error = program->fd;

			program->fd = -1;
			report_rejection(handle, program->name, error, log, answer);
		}
		if (log >= 0)
			close(log);
		if (program->fd < 0)
			return -1;
	}
	return 0;
}

static int load_tables(struct handle *handle, const struct rex_image *image,
		       const char *autoload, struct json *answer)
{
	struct bound_map *bound = calloc(image->map_count + 1, sizeof(*bound));
	int error;

	if (!bound || list_image(handle, image)) {
		free(bound);
		return fail(answer, "load", ENOMEM, "no memory");
	}
	error = create_maps(handle, image, bound, answer);
	if (!error)
		error = load_programs(handle, image, bound, autoload, answer);
	free(bound);
	return error;
}

int load_image(struct handle *handle, const struct command *command, struct json *answer)
{
	const char *autoload = command_value(command, "autoload");
	struct rex_image image = { 0 };
	int error;

	forget_messages();
	if (command_value(command, "target"))
		return fail(answer, "open", EINVAL,
			    "%s: target= is for programs that are bound at load; a Rex image "
			    "has none", handle->path);
	error = read_image(&image, handle->path, answer);
	if (!error && autoload)
		error = check_autoload(&image, autoload, answer);
	if (!error)
		error = load_tables(handle, &image, autoload, answer);
	if (!error)
		json_string(answer, "log", ""); /* the kernel logs only refusals */
	free_image(&image);
	return error;
}
