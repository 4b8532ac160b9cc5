// SPDX-License-Identifier: GPL-2.0-only
/* Verbs for loaded objects and images: load, unload, list, stats, pin. */
#include "answer.h"
#include "attach.h"
#include "info.h"
#include "load.h"
#include "verbs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void describe_program(struct json *answer, const struct program *program)
{
	struct bpf_prog_info info;
	char buf[32];

	json_open(answer, NULL, '{');
	json_string(answer, "name", program->name);
	json_string(answer, "section", program->section);
	json_string(answer, "type", program_type(program->type, buf, sizeof(buf)));
	if (!program_info(program->fd, &info)) {
		json_unsigned(answer, "id", info.id);
		json_hex(answer, "tag", info.tag, sizeof(info.tag));
		json_unsigned(answer, "xlated_len", info.xlated_prog_len);
		json_unsigned(answer, "jited_len", info.jited_prog_len);
		json_unsigned(answer, "verified_insns", info.verified_insns);
	}
	json_close(answer, '}');
}

static void describe_map(struct json *answer, const struct map *map)
{
	struct bpf_map_info info;
	char buf[32];

	json_open(answer, NULL, '{');
	json_string(answer, "name", map->name);
	json_string(answer, "type", map_type(map->type, buf, sizeof(buf)));
	if (map->fd >= 0 && !map_info(map->fd, &info))
		json_unsigned(answer, "id", info.id);
	json_unsigned(answer, "key_size", map->key_size);
	json_unsigned(answer, "value_size", map->value_size);
	json_unsigned(answer, "max_entries", map->max_entries);
	json_close(answer, '}');
}

static void describe_contents(struct json *answer, const struct handle *handle)
{
	size_t i;

	json_open(answer, "programs", '[');
	for (i = 0; i < handle->program_count; i++)
		if (handle->programs[i].fd >= 0) /* not left out by autoload */
			describe_program(answer, &handle->programs[i]);
	json_close(answer, ']');
	json_open(answer, "maps", '[');
	for (i = 0; i < handle->map_count; i++)
		describe_map(answer, &handle->maps[i]);
	json_close(answer, ']');
}

void verb_load(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle;
	uint64_t start;
	int error;

	if (handle_named(loader, command_value(command, "handle"))) {
		fail(answer, "command", EEXIST, "%s is loaded already",
		     command_value(command, "handle"));
		return;
	}
	handle = new_handle(command);
	if (!handle) {
		fail(answer, "load", ENOMEM, "no memory");
		return;
	}
	start = now_ns();
	error = is_image(handle->path) ? load_image(handle, command, answer)
				       : load_object(handle, command, answer);
	if (error) {
		free_handle(handle);
		return;
	}
	json_unsigned(answer, "duration_ns", now_ns() - start);
	describe_contents(answer, handle);
	handle->next = loader->handles;
	loader->handles = handle;
}

void verb_unload(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	struct handle **place = &loader->handles;

	if (!handle)
		return;
	while (*place != handle)
		place = &(*place)->next;
	*place = handle->next;
	free_handle(handle);
}

void verb_list(struct loader *loader, const struct command *command, struct json *answer)
{
	struct attachment *attachment;
	struct handle *handle;

	(void)command;
	json_open(answer, "handles", '[');
	for (handle = loader->handles; handle; handle = handle->next) {
		json_open(answer, NULL, '{');
		json_string(answer, "handle", handle->name);
		json_string(answer, "path", handle->path);
		describe_contents(answer, handle);
		json_open(answer, "links", '[');
		for (attachment = handle->attachments; attachment; attachment = attachment->next) {
			json_open(answer, NULL, '{');
			json_string(answer, "program", attachment->program);
			json_string(answer, "to", attachment->target);
			json_unsigned(answer, "id", attachment->id);
			json_close(answer, '}');
		}
		json_close(answer, ']');
		json_close(answer, '}');
	}
	json_close(answer, ']');
}

void verb_stats(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	size_t i;

	if (!handle)
		return;
	json_bool(answer, "counted", loader->stats_fd >= 0);
	json_open(answer, "programs", '[');
	for (i = 0; i < handle->program_count; i++) {
		const struct program *program = &handle->programs[i];
		struct bpf_prog_info info;

		if (program->fd < 0 || program_info(program->fd, &info))
			continue;
		json_open(answer, NULL, '{');
		json_string(answer, "name", program->name);
		json_unsigned(answer, "id", info.id);
		json_unsigned(answer, "run_cnt", info.run_cnt);
		json_unsigned(answer, "run_time_ns", info.run_time_ns);
		json_unsigned(answer, "recursion_misses", info.recursion_misses);
		if (!program->libbpf && add_outcomes(program, info.id, answer))
			return;
		json_close(answer, '}');
	}
	json_close(answer, ']');
}

void verb_pin(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *path = command_value(command, "path");
	int descriptor;

	if (!handle)
		return;
	if (!command_value(command, "map") == !command_value(command, "program")) {
		fail(answer, "command", EINVAL, "pin needs either map or program");
		return;
	}
	if (command_value(command, "map")) {
		const struct map *map = find_map(handle, command, answer);

		if (!map)
			return;
		descriptor = map->fd;
	} else {
		const struct program *program = find_program(handle, command, answer);

		if (!program)
			return;
		descriptor = program->fd;
	}
	/* Do not use libbpf's pinning: it would remember the path and could unpin it. */
	if (bpf_obj_pin(descriptor, path)) {
		int error = errno;

		fail(answer, "pin", error, "not pinned at %s: %s", path, error_text(error));
		return;
	}
	json_string(answer, "path", path);
}

void verb_unpin(struct loader *loader, const struct command *command, struct json *answer)
{
	const char *path = command_value(command, "path");
	int descriptor;

	(void)loader;
	/* This verb may remove only pinned objects. */
	descriptor = bpf_obj_get(path);
	if (descriptor < 0 || unlink(path)) {
		int error = errno;

		fail(answer, "unpin", error, "%s: %s", path, error_text(error));
	}
	if (descriptor >= 0)
		close(descriptor);
}
