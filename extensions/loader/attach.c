// SPDX-License-Identifier: GPL-2.0-only
/* Attaching programs: `to=KIND:PLACE`, or what the section's name says. */
#include "answer.h"
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int keep_link(struct attachment *attachment, struct bpf_link *link)
{
	int error = libbpf_get_error(link);

	if (error)
		return error;
	attachment->links = calloc(1, sizeof(struct bpf_link *));
	if (!attachment->links) {
		bpf_link__destroy(link);
		return -ENOMEM;
	}
	attachment->links[0] = link;
	attachment->link_count = 1;
	return 0;
}

static int attach_kprobe(struct attachment *attachment, struct bpf_program *program,
			 const char *place, bool at_return)
{
	LIBBPF_OPTS(bpf_kprobe_opts, options, .retprobe = at_return);
	char *symbol = strdup(place), *plus;
	int error = 0;

	if (!symbol)
		return -ENOMEM;
	plus = strchr(symbol, '+');
	if (plus) {
		uint64_t offset;

		*plus = '\0';
		if (parse_unsigned(plus + 1, &offset))
			options.offset = offset;
		else
			error = -EINVAL;
	}
	if (!error)
		error = keep_link(attachment,
				  bpf_program__attach_kprobe_opts(program, symbol, &options));
	free(symbol);
	return error;
}

static int attach_tracepoint(struct attachment *attachment, struct bpf_program *program,
			     const char *place)
{
	const char *slash = strchr(place, '/');
	char *category;
	int error;

	if (!slash)
		return -EINVAL;
	category = strndup(place, (size_t)(slash - place));
	if (!category)
		return -ENOMEM;
	error = keep_link(attachment,
			  bpf_program__attach_tracepoint(program, category, slash + 1));
	free(category);
	return error;
}

static int attach_cgroup(struct attachment *attachment, struct bpf_program *program,
			 const char *path)
{
	int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int error;

	if (descriptor < 0)
		return -errno;
	error = keep_link(attachment, bpf_program__attach_cgroup(program, descriptor));
	close(descriptor);
	return error;
}

/*
 * The function that an fentry program is bound to: fixed at load, by `target=`
 * or by the section's name. NULL if neither says.
 */
static const char *bound_function(const struct handle *handle, const struct bpf_program *program,
				  char *room, size_t size)
{
	const char *name = bpf_program__name(program), *at = handle->targets;
	const char *slash = strchr(bpf_program__section_name(program), '/');

	while (at && *at) {
		size_t length = strcspn(at, ",");

		if (!strncmp(at, name, strlen(name)) && at[strlen(name)] == ':') {
			at += strlen(name) + 1;
			snprintf(room, size, "%.*s", (int)strcspn(at, ","), at);
			return room;
		}
		at += length + (at[length] == ',');
	}
	return slash ? slash + 1 : NULL;
}

/* `to=fentry:` can only say again what the program was bound to when it was loaded. */
static int attach_traced(struct attachment *attachment, const struct handle *handle,
			 struct bpf_program *program, const char *place)
{
	char room[256];
	const char *bound = bound_function(handle, program, room, sizeof(room));

	if (bound && strcmp(bound, place))
		return -EADDRNOTAVAIL;
	return keep_link(attachment, bpf_program__attach_trace(program));
}

static int attach_kind(struct attachment *attachment, const struct handle *handle,
		       struct bpf_program *program, const char *kind, const char *place, int cpu)
{
	if (!strcmp(kind, "kprobe"))
		return attach_kprobe(attachment, program, place, false);
	if (!strcmp(kind, "kretprobe"))
		return attach_kprobe(attachment, program, place, true);
	if (!strcmp(kind, "tracepoint"))
		return attach_tracepoint(attachment, program, place);
	if (!strcmp(kind, "raw_tracepoint"))
		return keep_link(attachment,
				 bpf_program__attach_raw_tracepoint(program, place));
	if (!strcmp(kind, "fentry") || !strcmp(kind, "fexit"))
		return attach_traced(attachment, handle, program, place);
	if (!strcmp(kind, "xdp"))
		return attach_xdp(attachment, program, place);
	if (!strcmp(kind, "tc"))
		return attach_tc(attachment, program, place);
	if (!strcmp(kind, "perf"))
		return attach_perf(attachment, program, place, cpu);
	if (!strcmp(kind, "cgroup"))
		return attach_cgroup(attachment, program, place);
	return -EOPNOTSUPP;
}

/* Sections whose name says all: their prefix, and the same in the words of `to=`. */
static const char *const self_explaining[][2] = {
	{ "kprobe", "kprobe" },		{ "kretprobe", "kretprobe" },
	{ "tracepoint", "tracepoint" }, { "tp", "tracepoint" },
	{ "raw_tp", "raw_tracepoint" }, { "raw_tracepoint", "raw_tracepoint" },
	{ "fentry", "fentry" },		{ "fexit", "fexit" },
	{ "perf_event", "perf" },	{ NULL, NULL },
};

/* What the section's name says, written as `to=` would be; NULL: only libbpf may know. */
static const char *default_target(const struct handle *handle, const struct bpf_program *program,
				  char *room, size_t size)
{
	const char *section = bpf_program__section_name(program);
	const char *slash = strchr(section, '/');
	size_t length = strcspn(section, "/"), i;
	char function[256];

	for (i = 0; self_explaining[i][0]; i++) {
		const char *kind = self_explaining[i][1];
		const char *place = slash ? slash + 1 : NULL;

		if (strlen(self_explaining[i][0]) != length ||
		    memcmp(section, self_explaining[i][0], length))
			continue;
		if (!strcmp(kind, "perf") && !place)
			place = "software/cpu-clock@100";
		if (!strcmp(kind, "fentry") || !strcmp(kind, "fexit"))
			place = bound_function(handle, program, function, sizeof(function));
		if (!place)
			return NULL;
		snprintf(room, size, "%s:%s", kind, place);
		return room;
	}
	return NULL;
}

static int attach_to(struct attachment *attachment, const struct handle *handle,
		     struct bpf_program *program, const char *target, int cpu)
{
	const char *colon = strchr(target, ':');
	char *kind;
	int error;

	if (!colon || colon == target || !colon[1])
		return -EINVAL;
	kind = strndup(target, (size_t)(colon - target));
	if (!kind)
		return -ENOMEM;
	error = attach_kind(attachment, handle, program, kind, colon + 1, cpu);
	free(kind);
	return error;
}

/* Release what an attachment holds, as far as it got. */
static void release(struct attachment *attachment)
{
	size_t i;

	for (i = 0; i < attachment->link_count; i++)
		bpf_link__destroy(attachment->links[i]);
	if (attachment->link_fd >= 0)
		close(attachment->link_fd);
	detach_tc(attachment);
	free(attachment->links);
	free(attachment->program);
	free(attachment->target);
	free(attachment);
}

void detach_all(struct handle *handle)
{
	while (handle->attachments) {
		struct attachment *attachment = handle->attachments;

		handle->attachments = attachment->next;
		release(attachment);
	}
}

static void describe_attachment(const struct attachment *attachment, const char *handle,
				struct json *answer)
{
	char name[512];

	snprintf(name, sizeof(name), "%s.%s", handle, attachment->program);
	json_string(answer, "link", name);
	if (attachment->id)
		json_unsigned(answer, "id", attachment->id);
	else
		json_null(answer, "id");
	json_bytes(answer, "kind", attachment->target, strcspn(attachment->target, ":/"));
	json_string(answer, "to", attachment->target);
}

static void report_failure(const struct attachment *attachment, int error, struct json *answer)
{
	const char *why = error_text(error);

	if (error == -EADDRNOTAVAIL)
		why = "its function is fixed at load; give it there with target=";
	else if (error == -EOPNOTSUPP && !strchr(libbpf_messages(), ':'))
		why = "this kind of program can't be attached so; say where with to=";
	fail(answer, "attach", error, "%s to %s: %s", attachment->program, attachment->target,
	     why);
	json_string(answer, "program", attachment->program);
	json_string(answer, "libbpf", libbpf_messages());
}

static void remember_id(struct attachment *attachment)
{
	if (attachment->link_count)
		attachment->id = link_id(bpf_link__fd(attachment->links[0]));
	else
		attachment->id = link_id(attachment->link_fd);
}

void verb_attach(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *target = command_value(command, "to");
	struct attachment *attachment;
	struct bpf_program *program;
	uint64_t cpu;
	char room[256];
	int error;

	if (!handle)
		return;
	program = find_program(handle, command, answer);
	if (!program || command_number(command, "cpu", 0, MAX_CPUS - 1, 0, &cpu, answer))
		return;
	if (!target)
		target = default_target(handle, program, room, sizeof(room));
	attachment = calloc(1, sizeof(*attachment));
	if (attachment) {
		attachment->link_fd = -1;
		attachment->program = strdup(bpf_program__name(program));
		attachment->target = strdup(target ? target : bpf_program__section_name(program));
	}
	if (!attachment || !attachment->program || !attachment->target) {
		fail(answer, "attach", ENOMEM, "no memory");
		if (attachment)
			release(attachment);
		return;
	}
	forget_messages();
	if (target)
		error = attach_to(attachment, handle, program, target,
				  command_value(command, "cpu") ? (int)cpu : -1);
	else
		error = keep_link(attachment, bpf_program__attach(program));
	if (error) {
		report_failure(attachment, error, answer);
		release(attachment);
		return;
	}
	remember_id(attachment);
	describe_attachment(attachment, handle->name, answer);
	attachment->next = handle->attachments;
	handle->attachments = attachment;
}

/* Every attachment of a program, or with `to=` the one to that place. */
void verb_detach(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *name = command_value(command, "program");
	const char *target = command_value(command, "to");
	struct attachment **place;
	unsigned int count = 0;

	if (!handle)
		return;
	place = &handle->attachments;
	while (*place) {
		struct attachment *attachment = *place;

		if (strcmp(attachment->program, name) ||
		    (target && strcmp(attachment->target, target))) {
			place = &attachment->next;
			continue;
		}
		*place = attachment->next;
		release(attachment);
		count++;
	}
	if (count)
		json_unsigned(answer, "detached", count);
	else
		fail(answer, "detach", ENOENT, "%s.%s is not attached%s%s", handle->name, name,
		     target ? " to " : "", target ? target : "");
}
