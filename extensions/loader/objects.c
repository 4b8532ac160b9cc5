// SPDX-License-Identifier: GPL-2.0-only
/* Loaded objects under their handles: load, unload, list, stats, pin. */
#include "answer.h"
#include "loader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char messages[16 << 10];

static int keep_message(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(messages);

	if (level <= LIBBPF_WARN)
		vsnprintf(messages + used, sizeof(messages) - used, format, arguments);
	return 0;
}

void keep_messages(void)
{
	libbpf_set_print(keep_message);
}

const char *libbpf_messages(void)
{
	return messages;
}

void forget_messages(void)
{
	messages[0] = '\0';
}

static struct handle *handle_named(struct loader *loader, const char *name)
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

struct bpf_program *find_program(const struct handle *handle, const struct command *command,
				 struct json *answer)
{
	const char *name = command_value(command, "program");
	struct bpf_program *program = bpf_object__find_program_by_name(handle->object, name);

	if (!program)
		fail(answer, "command", ENOENT, "%s has no program %s", handle->name, name);
	else if (bpf_program__fd(program) < 0) {
		fail(answer, "command", ENOENT, "%s was not loaded with %s", name, handle->name);
		program = NULL;
	}
	return program;
}

struct bpf_map *find_map(const struct handle *handle, const struct command *command,
			 struct json *answer)
{
	const char *name = command_value(command, "map");
	struct bpf_map *map = bpf_object__find_map_by_name(handle->object, name);

	if (!map)
		fail(answer, "command", ENOENT, "%s has no map %s", handle->name, name);
	return map;
}

static void describe_program(struct json *answer, const struct bpf_program *program)
{
	struct bpf_prog_info info;
	char room[32];

	json_open(answer, NULL, '{');
	json_string(answer, "name", bpf_program__name(program));
	json_string(answer, "section", bpf_program__section_name(program));
	json_string(answer, "type",
		    program_type(bpf_program__type(program), room, sizeof(room)));
	if (!program_info(bpf_program__fd(program), &info)) {
		json_unsigned(answer, "id", info.id);
		json_hex(answer, "tag", info.tag, sizeof(info.tag));
		json_unsigned(answer, "xlated_len", info.xlated_prog_len);
		json_unsigned(answer, "jited_len", info.jited_prog_len);
		json_unsigned(answer, "verified_insns", info.verified_insns);
	}
	json_close(answer, '}');
}

static void describe_map(struct json *answer, const struct bpf_map *map)
{
	struct bpf_map_info info;
	char room[32];

	json_open(answer, NULL, '{');
	json_string(answer, "name", bpf_map__name(map));
	json_string(answer, "type", map_type(bpf_map__type(map), room, sizeof(room)));
	if (bpf_map__fd(map) >= 0 && !map_info(bpf_map__fd(map), &info))
		json_unsigned(answer, "id", info.id);
	json_unsigned(answer, "key_size", bpf_map__key_size(map));
	json_unsigned(answer, "value_size", bpf_map__value_size(map));
	json_unsigned(answer, "max_entries", bpf_map__max_entries(map));
	json_close(answer, '}');
}

static void describe_object(struct json *answer, struct bpf_object *object)
{
	struct bpf_program *program;
	struct bpf_map *map;

	json_open(answer, "programs", '[');
	bpf_object__for_each_program(program, object)
		if (bpf_program__fd(program) >= 0) /* not left out by autoload */
			describe_program(answer, program);
	json_close(answer, ']');
	json_open(answer, "maps", '[');
	bpf_object__for_each_map(map, object)
		describe_map(answer, map);
	json_close(answer, ']');
}

static void free_handle(struct handle *handle)
{
	detach_all(handle);
	bpf_object__close(handle->object);
	free(handle->name);
	free(handle->path);
	free(handle->targets);
	free(handle);
}

static struct handle *new_handle(const struct command *command)
{
	const char *targets = command_value(command, "target");
	struct handle *handle = calloc(1, sizeof(*handle));

	if (!handle)
		return NULL;
	handle->name = strdup(command_value(command, "handle"));
	handle->path = strdup(command_value(command, "path"));
	handle->targets = targets ? strdup(targets) : NULL;
	if (!handle->name || !handle->path || (targets && !handle->targets)) {
		free_handle(handle);
		return NULL;
	}
	return handle;
}

void verb_load(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle;

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
	handle->object = load_object(command, answer);
	if (!handle->object) {
		free_handle(handle);
		return;
	}
	describe_object(answer, handle->object);
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

void unload_all(struct loader *loader)
{
	while (loader->handles) {
		struct handle *handle = loader->handles;

		loader->handles = handle->next;
		free_handle(handle);
	}
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
		describe_object(answer, handle->object);
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
	struct bpf_program *program;

	if (!handle)
		return;
	json_bool(answer, "counted", loader->stats_fd >= 0);
	json_open(answer, "programs", '[');
	bpf_object__for_each_program(program, handle->object) {
		struct bpf_prog_info info;

		if (bpf_program__fd(program) < 0 || program_info(bpf_program__fd(program), &info))
			continue;
		json_open(answer, NULL, '{');
		json_string(answer, "name", bpf_program__name(program));
		json_unsigned(answer, "id", info.id);
		json_unsigned(answer, "run_cnt", info.run_cnt);
		json_unsigned(answer, "run_time_ns", info.run_time_ns);
		json_unsigned(answer, "recursion_misses", info.recursion_misses);
		json_close(answer, '}');
	}
	json_close(answer, ']');
}

void verb_pin(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *path = command_value(command, "path");
	struct bpf_program *program;
	struct bpf_map *map;
	int descriptor;

	if (!handle)
		return;
	if (!command_value(command, "map") == !command_value(command, "program")) {
		fail(answer, "command", EINVAL, "pin needs either map or program");
		return;
	}
	if (command_value(command, "map")) {
		map = find_map(handle, command, answer);
		if (!map)
			return;
		descriptor = bpf_map__fd(map);
	} else {
		program = find_program(handle, command, answer);
		if (!program)
			return;
		descriptor = bpf_program__fd(program);
	}
	/* Not libbpf's own pinning: that would remember the path and could unpin it. */
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
	/* Only what is pinned may be removed by this verb. */
	descriptor = bpf_obj_get(path);
	if (descriptor < 0 || unlink(path)) {
		int error = errno;

		fail(answer, "unpin", error, "%s: %s", path, error_text(error));
	}
	if (descriptor >= 0)
		close(descriptor);
}
