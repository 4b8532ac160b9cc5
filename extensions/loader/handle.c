// SPDX-License-Identifier: GPL-2.0-only
/* Handles, and their programs and maps. */
#include "answer.h"
#include "attach.h"
#include "handle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct handle *handle_named(struct loader *loader, const char *name)
{
	struct handle *handle;

	for (handle = loader->handles; handle; handle = handle->next)
		if (!strcmp(handle->name, name))
			return handle;
	return NULL;
}

struct handle *find_handle(struct loader *loader, const struct command *command,
			   struct json *answer)
{
	const char *name = command_value(command, "handle");
	struct handle *handle = handle_named(loader, name);

	if (!handle)
		fail(answer, "command", ENOENT, "nothing is loaded as %s", name);
	return handle;
}

const struct program *find_program(const struct handle *handle, const struct command *command,
				   struct json *answer)
{
	const char *name = command_value(command, "program");
	size_t i;

	for (i = 0; i < handle->program_count; i++) {
		if (strcmp(handle->programs[i].name, name))
			continue;
		if (handle->programs[i].fd >= 0)
			return &handle->programs[i];
		fail(answer, "command", ENOENT, "%s was not loaded with %s", name, handle->name);
		return NULL;
	}
	fail(answer, "command", ENOENT, "%s has no program %s", handle->name, name);
	return NULL;
}

const struct map *find_map(const struct handle *handle, const struct command *command,
			   struct json *answer)
{
	const char *name = command_value(command, "map");
	/* libbpf also knows a map of global variables by its section (".bss"). */
	const struct bpf_map *known =
		handle->object ? bpf_object__find_map_by_name(handle->object, name) : NULL;
	size_t i;

	for (i = 0; i < handle->map_count; i++) {
		const struct map *map = &handle->maps[i];

		if (map->libbpf ? map->libbpf == known : !strcmp(map->name, name))
			return map;
	}
	fail(answer, "command", ENOENT, "%s has no map %s", handle->name, name);
	return NULL;
}

struct handle *new_handle(const struct command *command)
{
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->name = strdup(command_value(command, "handle"));
	handle->path = strdup(command_value(command, "path"));
	if (!handle->name || !handle->path) {
		free_handle(handle);
		return NULL;
	}
	return handle;
}

int alloc_tables(struct handle *handle, size_t programs, size_t maps)
{
	size_t i;

	handle->programs = calloc(programs ? programs : 1, sizeof(*handle->programs));
	handle->maps = calloc(maps ? maps : 1, sizeof(*handle->maps));
	if (!handle->programs || !handle->maps)
		return -ENOMEM;
	handle->program_count = programs;
	handle->map_count = maps;
	for (i = 0; i < programs; i++)
		handle->programs[i].fd = -1;
	for (i = 0; i < maps; i++)
		handle->maps[i].fd = -1;
	return 0;
}

static void free_programs(struct handle *handle)
{
	size_t i;

	for (i = 0; i < handle->program_count; i++) {
		struct program *program = &handle->programs[i];

		if (!program->libbpf && program->fd >= 0)
			close(program->fd);
		free(program->name);
		free(program->section);
		free(program->bound);
		free(program->target);
	}
	free(handle->programs);
}

static void free_maps(struct handle *handle)
{
	size_t i;

	for (i = 0; i < handle->map_count; i++) {
		struct map *map = &handle->maps[i];

		if (!map->libbpf && map->fd >= 0)
			close(map->fd);
		free(map->name);
	}
	free(handle->maps);
}

void free_handle(struct handle *handle)
{
	detach_all(handle);
	free_programs(handle);
	free_maps(handle);
	bpf_object__close(handle->object);
	free(handle->name);
	free(handle->path);
	free(handle);
}

void unload_all(struct loader *loader)
{
	while (loader->handles) {
		struct handle *handle = loader->handles;

		loader->handles = handle->next;
		free_handle(handle);
	}
}
