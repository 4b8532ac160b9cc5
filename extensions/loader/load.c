// SPDX-License-Identifier: GPL-2.0-only
/* Opening and loading a C object, with the verifier's log whole. */
#include "answer.h"
#include "loader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * The verifier's log is wanted at level 1. (At level 2 the log of a long
 * verification overflows every buffer, and the load fails with an ENOSPC that
 * says nothing about the program.)
 *
 * But level 1 prints a line for each instruction that the verifier looks at
 * on its way to a rejection. For a program that is rejected after a million
 * of them these are 50 to 100 MB, half a minute under emulation, and more than
 * the memory of a small guest. So a load is first tried at a level that prints
 * the verdict and the statistics, which is also all that remains of level 1
 * when a program is accepted; a rejected one is loaded again at level 1 for
 * the way to the verdict, unless that is longer than LONG_WAY.
 */
#define VERDICT_LEVEL 4
#define TRACE_LEVEL 1
#define LONG_WAY 100000 /* instructions, which print about 8 MB */

#define VERDICT_ROOM ((size_t)64 << 10)
#define FIRST_ROOM ((size_t)16 << 20)
#define LAST_ROOM (((size_t)1 << 30) - 1) /* what the kernel takes at most */

static void free_logs(struct verifier_log *logs, size_t count)
{
	size_t i;

	for (i = 0; logs && i < count; i++)
		if (logs[i].text)
			munmap(logs[i].text, logs[i].room);
	free(logs);
}

static size_t count_programs(const struct bpf_object *object)
{
	struct bpf_program *program;
	size_t count = 0;

	bpf_object__for_each_program(program, object)
		count++;
	return count;
}

/* Give each program a log of its own; NULL and errno if that fails. */
static struct verifier_log *give_logs(struct bpf_object *object, int level, size_t room)
{
	size_t count = count_programs(object), i = 0;
	struct verifier_log *logs = calloc(count ? count : 1, sizeof(*logs));
	struct bpf_program *program;

	if (!logs)
		return NULL;
	bpf_object__for_each_program(program, object) {
		logs[i].text = mmap(NULL, room, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (logs[i].text == MAP_FAILED) {
			logs[i].text = NULL;
			free_logs(logs, count);
			errno = ENOMEM;
			return NULL;
		}
		logs[i].room = room;
		bpf_program__set_log_buf(program, logs[i].text, room);
		bpf_program__set_log_level(program, (uint32_t)level);
		i++;
	}
	return logs;
}

/* `autoload=p,q`: load only these; each must exist. */
static int choose_programs(struct bpf_object *object, const char *list, struct json *answer)
{
	struct bpf_program *program;
	const char *at = list;

	while (*at) {
		size_t length = strcspn(at, ",");
		char *name = strndup(at, length);
		bool known = name && bpf_object__find_program_by_name(object, name);

		if (!known)
			fail(answer, "open", ENOENT, "no program %s in the object",
			     name ? name : "");
		free(name);
		if (!known)
			return -1;
		at += length + (at[length] == ',');
	}
	bpf_object__for_each_program(program, object)
		bpf_program__set_autoload(program,
					  word_in_list(bpf_program__name(program), list, ','));
	return 0;
}

/* `target=p:function,...`: what fentry and its like are bound to when they are loaded. */
static int choose_targets(struct bpf_object *object, const char *list, struct json *answer)
{
	char *copy = strdup(list), *rest, *pair;
	int result = 0;

	if (!copy)
		return fail(answer, "open", ENOMEM, "no memory");
	for (pair = strtok_r(copy, ",", &rest); pair && !result; pair = strtok_r(NULL, ",", &rest)) {
		char *colon = strchr(pair, ':');
		struct bpf_program *program;
		int error;

		if (!colon) {
			result = fail(answer, "open", EINVAL, "target=%s: not program:function",
				      pair);
			break;
		}
		*colon = '\0';
		program = bpf_object__find_program_by_name(object, pair);
		if (!program) {
			result = fail(answer, "open", ENOENT, "no program %s in the object", pair);
			break;
		}
		error = bpf_program__set_attach_target(program, 0, colon + 1);
		if (error)
			result = fail(answer, "open", error, "%s: cannot be bound to %s", pair,
				      colon + 1);
	}
	free(copy);
	return result;
}

/* How many instructions the verifier looked at before it gave up. */
static unsigned long length_of_way(const char *log)
{
	const char *processed = strstr(log, "\nprocessed ");

	return processed ? strtoul(processed + 11, NULL, 10) : 0;
}

/* All logs one after the other, in the order of loading. */
static void report_logs(struct bpf_object *object, const struct verifier_log *logs, int level,
			struct json *answer)
{
	size_t count = count_programs(object), i;

	json_signed(answer, "log_level", level);
	json_begin_string(answer, "log");
	for (i = 0; i < count; i++)
		json_add_string(answer, logs[i].text, strlen(logs[i].text));
	json_end_string(answer);
}

static struct bpf_object *open_object(const struct command *command, struct json *answer)
{
	const char *path = command_value(command, "path");
	const char *autoload = command_value(command, "autoload");
	const char *target = command_value(command, "target");
	struct bpf_object *object;
	char reason[512];
	int error;

	object = bpf_object__open_file(path, NULL);
	error = libbpf_get_error(object);
	if (error) {
		if (libbpf_reason(reason, sizeof(reason)))
			fail(answer, "open", error,
			     "%s: not opened as a BPF object: libbpf: %s", path,
			     reason);
		else
			fail(answer, "open", error,
			     "%s: not opened as a BPF object: %s", path,
			     error_text(error));
		json_string(answer, "libbpf", libbpf_messages());
		return NULL;
	}
	if ((autoload && choose_programs(object, autoload, answer)) ||
	    (target && choose_targets(object, target, answer))) {
		bpf_object__close(object);
		return NULL;
	}
	return object;
}

enum next { NOTHING, LARGER_LOG, TRACE };

/* What another try could say that a failed one did not. */
static enum next after_failure(const struct failure *failure, int level, size_t room)
{
	const char *log = failure->log;

	if (failure->error == ENOSPC && *log && room < LAST_ROOM)
		return LARGER_LOG; /* it did not fit; that is no verdict on the program */
	/* Without an objection of the verifier, its trace would be of no use. */
	if (level == VERDICT_LEVEL && has_complaint(log) && length_of_way(log) <= LONG_WAY)
		return TRACE;
	return NOTHING;
}

/* One try: the object, or NULL with a bad answer begun. */
static struct bpf_object *try_load(const struct command *command, int level, size_t room,
				   enum next *next, struct json *answer)
{
	struct bpf_object *object = open_object(command, answer);
	struct verifier_log *logs;
	struct failure failure;
	size_t count;
	int error;

	*next = NOTHING;
	if (!object)
		return NULL;
	count = count_programs(object);
	logs = give_logs(object, level, room);
	if (!logs) {
		bpf_object__close(object);
		fail(answer, "load", ENOMEM, "no room for the verifier's log");
		return NULL;
	}
	error = bpf_object__load(object);
	if (error) {
		find_failure(&failure, object, logs, error);
		*next = after_failure(&failure, level, room);
		if (*next == NOTHING) {
			report_failure_to_load(&failure, command_value(command, "path"), answer);
			json_signed(answer, "log_level", level);
		}
		bpf_object__close(object);
		object = NULL;
	} else {
		report_logs(object, logs, level, answer);
	}
	free_logs(logs, count);
	return object;
}

int load_object(struct handle *handle, const struct command *command, struct json *answer)
{
	size_t room = VERDICT_ROOM;
	uint64_t level;
	enum next next;

	if (command_number(command, "log_level", 1, VERDICT_LEVEL, VERDICT_LEVEL, &level, answer))
		return -1;
	for (;;) {
		forget_messages();
		forget_calls();
		handle->object = try_load(command, (int)level, room, &next, answer);
		if (next == NOTHING)
			break;
		if (next == LARGER_LOG) {
			room = room * 16 < LAST_ROOM ? room * 16 : LAST_ROOM;
		} else {
			level = TRACE_LEVEL;
			room = FIRST_ROOM;
		}
	}
	if (!handle->object)
		return -1;
	if (list_object(handle, command_value(command, "target")))
		return fail(answer, "load", ENOMEM, "no memory");
	return 0;
}
