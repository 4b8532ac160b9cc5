// SPDX-License-Identifier: GPL-2.0-only
/* List a C object's programs and maps, and interpret the names of its sections. */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Return the function that an fentry program is bound to: it is fixed at load, by
 * `target=` or by the section's name. NULL if neither names one.
 */
static char *bound_function(const char *targets, const struct program *program)
{
	const char *slash = strchr(program->section, '/'), *at = targets;
	size_t name = strlen(program->name);

	while (at && *at) {
		size_t length = strcspn(at, ",");

		if (!strncmp(at, program->name, name) && at[name] == ':')
			return strndup(at + name + 1, length - name - 1);
		at += length + (at[length] == ',');
	}
	return slash ? strdup(slash + 1) : NULL;
}

/* Section prefixes that determine the target: prefix, and its kind for `to=`. */
static const char *const section_targets[][2] = {
	{ "kprobe", "kprobe" },		{ "kretprobe", "kretprobe" },
	{ "tracepoint", "tracepoint" }, { "tp", "tracepoint" },
	{ "raw_tp", "raw_tracepoint" }, { "raw_tracepoint", "raw_tracepoint" },
	{ "fentry", "fentry" },		{ "fexit", "fexit" },
	{ "perf_event", "perf" },	{ NULL, NULL },
};

/* Return the target in the section's name, as `to=` would name it; NULL: only libbpf may know. */
static char *default_target(const struct program *program)
{
	const char *slash = strchr(program->section, '/');
	size_t length = strcspn(program->section, "/"), i;
	char *target;

	for (i = 0; section_targets[i][0]; i++) {
		const char *kind = section_targets[i][1];
		const char *place = slash ? slash + 1 : NULL;

		if (strlen(section_targets[i][0]) != length ||
		    memcmp(program->section, section_targets[i][0], length))
			continue;
		if (!strcmp(kind, "perf") && !place)
			place = "software/cpu-clock@100";
		if (!strcmp(kind, "fentry") || !strcmp(kind, "fexit"))
			place = program->bound;
		if (!place || asprintf(&target, "%s:%s", kind, place) < 0)
			return NULL;
		return target;
	}
	return NULL;
}

static int list_program(struct program *to, struct bpf_program *from, const char *targets)
{
	to->libbpf = from;
	to->type = bpf_program__type(from);
	to->fd = bpf_program__fd(from) < 0 ? -1 : bpf_program__fd(from);
	to->name = strdup(bpf_program__name(from));
	to->section = strdup(bpf_program__section_name(from));
	if (!to->name || !to->section)
		return -ENOMEM;
	to->bound = bound_function(targets, to);
	to->target = default_target(to);
	return 0;
}

static int list_map(struct map *to, struct bpf_map *from)
{
	to->libbpf = from;
	to->type = bpf_map__type(from);
	to->key_size = bpf_map__key_size(from);
	to->value_size = bpf_map__value_size(from);
	to->max_entries = bpf_map__max_entries(from);
	to->fd = bpf_map__fd(from) < 0 ? -1 : bpf_map__fd(from);
	to->name = strdup(bpf_map__name(from));
	return to->name ? 0 : -ENOMEM;
}

int list_object(struct handle *handle, const char *targets)
{
	size_t programs = 0, maps = 0;
	struct bpf_program *program;
	struct bpf_map *map;
	int error;

	bpf_object__for_each_program(program, handle->object)
		programs++;
	bpf_object__for_each_map(map, handle->object)
		maps++;
	error = alloc_tables(handle, programs, maps);
	programs = maps = 0;
	if (!error)
		bpf_object__for_each_program(program, handle->object)
			if (!error)
				error = list_program(&handle->programs[programs++], program,
						     targets);
	if (!error)
		bpf_object__for_each_map(map, handle->object)
			if (!error)
				error = list_map(&handle->maps[maps++], map);
	return error;
}
