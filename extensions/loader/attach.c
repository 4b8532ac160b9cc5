// SPDX-License-Identifier: GPL-2.0-only
/* Attach programs: to `to=KIND:PLACE`, or to the target in their file. */
#include "answer.h"
#include "attach.h"
#include "cpus.h"
#include "info.h"
#include "libbpf_watch.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int keep_link(struct attachment *attachment, int link)
{
	int *links;

	if (link < 0)
		return link;
	links = reallocarray(attachment->links, attachment->link_count + 1, sizeof(*links));
	if (!links) {
		close(link);
		return -ENOMEM;
	}
	links[attachment->link_count++] = link;
	attachment->links = links;
	return 0;
}

/* No type of Rex program attaches to a cgroup. */
static int attach_cgroup(struct attachment *attachment, const struct program *program,
			 const char *path)
{
	int descriptor, error;

	if (!program->libbpf)
		return -EOPNOTSUPP;
	descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (descriptor < 0)
		return -errno;
	error = keep_link(attachment,
			  bpf_link_create(program->fd, descriptor,
					  bpf_program__expected_attach_type(program->libbpf),
					  NULL));
	close(descriptor);
	return error;
}

/* `to=fentry:` must name the function that the program was bound to at load. */
static int attach_traced(struct attachment *attachment, const struct program *program,
			 const char *place)
{
	if (program->bound && strcmp(program->bound, place))
		return -EADDRNOTAVAIL;
	return keep_link(attachment, bpf_raw_tracepoint_open(NULL, program->fd));
}

static int attach_kind(struct attachment *attachment, const struct program *program,
		       const char *kind, const char *place, int cpu)
{
	if (!strcmp(kind, "kprobe"))
		return attach_kprobe(attachment, program->fd, place, false);
	if (!strcmp(kind, "kretprobe"))
		return attach_kprobe(attachment, program->fd, place, true);
	if (!strcmp(kind, "tracepoint"))
		return attach_tracepoint(attachment, program->fd, place);
	if (!strcmp(kind, "raw_tracepoint"))
		return keep_link(attachment, bpf_raw_tracepoint_open(place, program->fd));
	if (!strcmp(kind, "fentry") || !strcmp(kind, "fexit"))
		return attach_traced(attachment, program, place);
	if (!strcmp(kind, "xdp"))
		return attach_xdp(attachment, program->fd, place);
	if (!strcmp(kind, "tc"))
		return attach_tc(attachment, program->fd, place);
	if (!strcmp(kind, "perf"))
		return attach_perf(attachment, program->fd, place, cpu);
	if (!strcmp(kind, "cgroup"))
		return attach_cgroup(attachment, program, place);
	return -EOPNOTSUPP;
}

static int attach_to(struct attachment *attachment, const struct program *program,
		     const char *target, int cpu)
{
	const char *colon = strchr(target, ':');
	char *kind;
	int error;

	if (!colon || colon == target || !colon[1])
		return -EINVAL;
	kind = strndup(target, (size_t)(colon - target));
	if (!kind)
		return -ENOMEM;
	error = attach_kind(attachment, program, kind, colon + 1, cpu);
	free(kind);
	return error;
}

/* Attach a program whose section only libbpf may understand. */
static int attach_by_section(struct attachment *attachment, const struct program *program)
{
	struct bpf_link *link;
	int error;

	if (!program->libbpf)
		return -EOPNOTSUPP;
	link = bpf_program__attach(program->libbpf);
	error = libbpf_get_error(link);
	if (!error)
		attachment->libbpf_link = link;
	return error;
}

/* Release the links and filters of a complete or partial attachment. */
static void release(struct attachment *attachment)
{
	size_t i;

	for (i = 0; i < attachment->link_count; i++)
		close(attachment->links[i]);
	bpf_link__destroy(attachment->libbpf_link);
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
	if (attachment->libbpf_link)
		attachment->id = link_id(bpf_link__fd(attachment->libbpf_link));
	else if (attachment->link_count)
		attachment->id = link_id(attachment->links[0]);
}

void verb_attach(struct loader *loader, const struct command *command, struct json *answer)
{
	struct handle *handle = find_handle(loader, command, answer);
	const char *target = command_value(command, "to");
	struct attachment *attachment;
	const struct program *program;
	uint64_t cpu;
	int error;

	if (!handle)
		return;
	program = find_program(handle, command, answer);
	if (!program || command_number(command, "cpu", 0, MAX_CPUS - 1, 0, &cpu, answer))
		return;
	if (!target)
		target = program->target;
	attachment = calloc(1, sizeof(*attachment));
	if (attachment) {
		attachment->program = strdup(program->name);
		attachment->target = strdup(target ? target : program->section);
	}
	if (!attachment || !attachment->program || !attachment->target) {
		fail(answer, "attach", ENOMEM, "no memory");
		if (attachment)
			release(attachment);
		return;
	}
	forget_messages();
	if (target)
		error = attach_to(attachment, program, target,
				  command_value(command, "cpu") ? (int)cpu : -1);
	else
		error = attach_by_section(attachment, program);
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

/* Detach all attachments of a program, or with `to=` only the one to that place. */
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
