// SPDX-License-Identifier: GPL-2.0-only
/*
 * Find out what made a load fail. Only the verifier's refusal is a verdict on the
 * program ("verify"): it checked one of the object's programs, rejected it, and
 * wrote the reason to that program's log. Every other failure happened before the
 * verifier ran, or after it had accepted the program.
 */
#include "answer.h"
#include "info.h"
#include "libbpf_watch.h"
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Prefixes of the lines that end each log at the level that prints statistics. */
static const char *const statistics[] = { "verification time ", "stack depth ", "processed " };

/*
 * If libbpf can't resolve a relocation, it inserts a call of a function that no kernel
 * has, so that only a program that can reach it fails. The verifier's "invalid func" is
 * then caused by libbpf, and newer versions of libbpf replace that line.
 */
static const char *const poisons[] = {
	"invalid func unknown#195896080",
	"invalid func unknown#2001",
	"invalid func unknown#2002",
	"<invalid CO-RE relocation>",
	"<invalid BPF map reference>",
	"<missing BPF map ",
	"<missing kernel function>",
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool begins_with_any(const char *line, const char *const *beginnings, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (!strncmp(line, beginnings[i], strlen(beginnings[i])))
			return true;
	return false;
}

static const char *next_line(const char *line)
{
	line += strcspn(line, "\n");
	return *line ? line + 1 : line;
}

bool has_complaint(const char *log)
{
	for (; *log; log = next_line(log))
		if (*log != '\n' && !begins_with_any(log, statistics, COUNT(statistics)))
			return true;
	return false;
}

/* Skip the number of an instruction in libbpf's own lines ("12: <invalid ..."). */
static const char *behind_number(const char *line)
{
	size_t digits = strspn(line, "0123456789");

	return digits && !strncmp(line + digits, ": ", 2) ? line + digits + 2 : line;
}

/* Return the verifier's line about an unresolved relocation, or NULL. */
static const char *poisoned_line(const char *log)
{
	for (; *log; log = next_line(log))
		if (begins_with_any(behind_number(log), poisons, COUNT(poisons)))
			return log;
	return NULL;
}

/* Copy libbpf's reason for that line; false if it has written none. */
static bool poison_reason(const char *log, char *reason, size_t size)
{
	const char *line = poisoned_line(log), *next;

	if (!line)
		return false;
	next = next_line(line);
	if (!strncmp(next, "failed to ", 10))
		line = next;
	snprintf(reason, size, "%.*s", (int)strcspn(line, "\n"), line);
	return true;
}

/* Errors with which the verifier ends without a verdict. */
static bool gave_up(int error)
{
	return error == ENOMEM || error == ENOSPC || error == EAGAIN || error == EINTR;
}

static const char *stage_of_program(int error, const char *log)
{
	if (has_complaint(log) && !gave_up(error))
		return poisoned_line(log) ? "relocate" : "verify";
	return !*log && (error == EPERM || error == EACCES) ? "permission" : "load";
}

static const char *stage_of_call(const struct bpf_call *call)
{
	if (call->error == EPERM || call->error == EACCES)
		return "permission";
	switch (call->command) {
	case BPF_MAP_CREATE:
	case BPF_MAP_UPDATE_ELEM:
	case BPF_MAP_FREEZE:
	case BPF_OBJ_PIN:
	case BPF_OBJ_GET:
		return "map";
	case BPF_BTF_LOAD:
		return "btf";
	default:
		return "load";
	}
}

void find_failure(struct failure *failure, struct bpf_object *object,
		  const struct verifier_log *logs, int error)
{
	const struct bpf_call *load = last_logged_load(), *call = last_call();
	struct bpf_program *program;
	size_t i = 0;

	*failure = (struct failure){ .error = abs(error), .log = "" };
	bpf_object__for_each_program(program, object) {
		if (load->error && load->log == logs[i].text) {
			failure->program = program;
			failure->log = logs[i].text;
		}
		i++;
	}
	if (failure->program)
		failure->stage = stage_of_program(failure->error, failure->log);
	else if (call->error && call->error == failure->error)
		failure->stage = stage_of_call(call);
	else
		failure->stage = "relocate"; /* libbpf failed, no call to the kernel did */
}

void report_failure_to_load(const struct failure *failure, const char *path, struct json *answer)
{
	const char *name = failure->program ? bpf_program__name(failure->program) : NULL;
	char reason[512];

	if (!strcmp(failure->stage, "verify"))
		fail(answer, failure->stage, failure->error, "%s: %s: not loaded: %s", path, name,
		     error_text(failure->error));
	else if (poison_reason(failure->log, reason, sizeof(reason)) ||
		 libbpf_reason(reason, sizeof(reason)))
		fail(answer, failure->stage, failure->error, "%s: not loaded: libbpf: %s", path,
		     reason);
	else
		fail(answer, failure->stage, failure->error, "%s: not loaded: %s", path,
		     error_text(failure->error));
	json_string(answer, "program", name);
	json_string(answer, "log", failure->log);
	json_string(answer, "libbpf", libbpf_messages());
}
