// SPDX-License-Identifier: GPL-2.0-only
/* Open and load a C object, and return the complete verifier log. */
#include "answer.h"
#include "info.h"
#include "libbpf_watch.h"
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/*
 * The verifier's log should be at level 1. (At level 2 the log of a long
 * verification overflows every buffer, and the load fails with an ENOSPC that
 * says nothing about the program.)
 *
 * But level 1 prints a line for each instruction that the verifier processes
 * before it rejects a program. If it rejects the program after a million of them,
 * the log has 50 to 100 MB, takes half a minute under emulation, and is larger
 * than the memory of a small guest. So a load is first tried at a level that prints
 * the verdict and the statistics, which is also all that level 1 leaves of an
 * accepted program's log. A rejected program is loaded again at level 1 for the
 * trace, unless the verifier processed more than MAX_TRACED_INSNS.
 */
#define VERDICT_LEVEL 4
#define TRACE_LEVEL 1
#define MAX_TRACED_INSNS 100000 /* they print about 8 MB */

#define VERDICT_LOG_SIZE ((size_t)64 << 10)
#define TRACE_LOG_SIZE ((size_t)16 << 20)
#define MAX_LOG_SIZE (((size_t)1 << 30) - 1) /* the kernel's limit */

static void free_logs(struct verifier_log *logs, size_t count)
{
	size_t i;

	for (i = 0; logs && i < count; i++)
		if (logs[i].text)
			munmap(logs[i].text, logs[i].size);
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

/* Give each program its own log; NULL and errno if that fails. */
static struct verifier_log *give_logs(struct bpf_object *object, int level, size_t size)
{
	size_t count = count_programs(object), i = 0;
	struct verifier_log *logs = calloc(count ? count : 1, sizeof(*logs));
	struct bpf_program *program;

	if (!logs)
		return NULL;
	bpf_object__for_each_program(program, object) {
		logs[i].text = mmap(NULL, size, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (logs[i].text == MAP_FAILED) {
			logs[i].text = NULL;
			free_logs(logs, count);
			errno = ENOMEM;
			return NULL;
		}
		logs[i].size = size;
		bpf_program__set_log_buf(program, logs[i].text, size);
		bpf_program__set_log_level(program, (uint32_t)level);
		i++;
	}
	return logs;
}

/* Apply `autoload=p,q`: load only these programs; each must exist. */
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

/* Apply `target=p:function,...`: the functions that fentry programs are bound to at load. */
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

/* Return how many instructions the verifier processed before it gave up. */
static unsigned long insns_processed(const char *log)
{
	const char *processed = strstr(log, "\nprocessed ");

	return processed ? strtoul(processed + 11, NULL, 10) : 0;
}

/* Add all logs one after the other, in the order of loading. */
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

/* How to load again after a failure, if at all. */
enum load_retry { RETRY_NONE, RETRY_LARGER_LOG, RETRY_TRACE };

/* Decide which retry could tell more about a failure. */
static enum load_retry after_failure(const struct failure *failure, int level, size_t size)
{
	const char *log = failure->log;

	if (failure->error == ENOSPC && *log && size < MAX_LOG_SIZE)
		return RETRY_LARGER_LOG; /* it did not fit; that is no verdict on the program */
	/* Without an objection by the verifier its trace would be useless. */
	if (level == VERDICT_LEVEL && has_complaint(log) &&
	    insns_processed(log) <= MAX_TRACED_INSNS)
		return RETRY_TRACE;
	return RETRY_NONE;
}

/* Try to load once. Returns the object, or NULL with a bad answer begun. */
static struct bpf_object *try_load(const struct command *command, int level, size_t size,
				   enum load_retry *retry, struct json *answer)
{
	struct bpf_object *object = open_object(command, answer);
	struct verifier_log *logs;
	struct failure failure;
	size_t count;
	int error;

	*retry = RETRY_NONE;
	if (!object)
		return NULL;
	count = count_programs(object);
	logs = give_logs(object, level, size);
	if (!logs) {
		bpf_object__close(object);
		fail(answer, "load", ENOMEM, "no memory for the verifier's log");
		return NULL;
	}
	error = bpf_object__load(object);
	if (error) {
		find_failure(&failure, object, logs, error);
		*retry = after_failure(&failure, level, size);
		if (*retry == RETRY_NONE) {
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
	size_t size = VERDICT_LOG_SIZE;
	uint64_t level;
	enum load_retry retry;

	if (command_number(command, "log_level", 1, VERDICT_LEVEL, VERDICT_LEVEL, &level, answer))
		return -1;
	for (;;) {
		forget_messages();
		forget_calls();
		handle->object = try_load(command, (int)level, size, &retry, answer);
		if (retry == RETRY_NONE)
			break;
		if (retry == RETRY_LARGER_LOG) {
			size = size * 16 < MAX_LOG_SIZE ? size * 16 : MAX_LOG_SIZE;
		} else {
			level = TRACE_LEVEL;
			size = TRACE_LOG_SIZE;
		}
	}
	if (!handle->object)
		return -1;
	if (list_object(handle, command_value(command, "target")))
		return fail(answer, "load", ENOMEM, "no memory");
	return 0;
}
