// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kextload inventory`: everything that an extension can leave behind, in one call.
 *
 * The host knows the kernel, so it lists what to read, one source per line:
 *
 *   file name=devices path=/proc/devices
 *   tree name=sysfs path=/sys depth=12 skip=/sys/kernel/slab
 *   chain name=reboot_notifier_list at=0xffffffff81e2e7c8 next=8 show=0
 *
 * A source that this kernel does not have is not an error: the answer says why it
 * is absent, and the host reports what was not checked.
 */
#include "inventory.h"

#include "answer.h"
#include "kextload.h"
#include "verbs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

bool inventory_is_passing;

#define MAX_INPUT ((size_t)256 << 10)
#define MAX_FILE ((size_t)1 << 20)

void source_absent(struct json *answer, const char *what, int error)
{
	char text[512];

	if (error)
		snprintf(text, sizeof(text), "%s: %s", what, strerror(abs(error)));
	else
		snprintf(text, sizeof(text), "%s", what);
	json_string(answer, "absent", text);
}

/* Read to the end or until the buffer is full; returns bytes, or -errno. */
static ssize_t read_whole(int file, char *text, size_t size)
{
	size_t length = 0;

	while (length < size) {
		ssize_t got = read(file, text + length, size - length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		length += (size_t)got;
	}
	return (ssize_t)length;
}

static void source_file(const struct command *command, struct json *answer)
{
	static char text[MAX_FILE];
	const char *path = command_value(command, "path");
	int file = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	ssize_t length;

	if (file < 0) {
		source_absent(answer, path, errno);
		return;
	}
	length = read_whole(file, text, sizeof(text));
	close(file);
	if (length < 0)
		source_absent(answer, path, (int)length);
	else if (length == sizeof(text))
		source_absent(answer, path, EFBIG);
	else
		json_bytes(answer, "text", text, (size_t)length);
}

/* BPF objects. Every kernel has this source, so its error fails the whole answer. */
static void source_bpf_objects(const struct command *command, struct json *answer)
{
	(void)command;
	add_bpf_objects(answer);
}

static const struct source {
	const char *name;
	inventory_source add;
	const char *required;
	const char *optional;
} sources[] = {
	{ "file", source_file, "name path", "" },
	{ "tree", source_tree, "name path", "depth skip inodes links count pids only" },
	{ "bpf-objects", source_bpf_objects, "name", "" },
	{ "tasks", source_tasks, "name", "" },
	{ "chain", source_chain, "name at next show", "end stext heads text" },
	{ "ring", source_ring, "name at link show", "stext text" },
	{ "resources", source_resources, "name at", "stext" },
	{ "array", source_array, "name at count stride show", "stext text" },
	{ "references", source_references, "name at link show count", "offsets ops stext" },
	{ "counter", source_counter, "name at count percpu offsets", "stext" },
	{ "probes", source_probes, "name at count stride funcs", "stext" },
};

/* True if the answer has become an `"ok":false` one. */
static bool is_bad(const struct json *answer)
{
	static const char bad[] = "{\"ok\":false";

	return answer->text && !strncmp(answer->text, bad, sizeof(bad) - 1);
}

static int add_source(char *line, struct json *answer)
{
	struct command command;
	size_t i;

	if (command_parse(&command, line, answer))
		return -1;
	for (i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		if (strcmp(sources[i].name, command.verb))
			continue;
		if (command_check(&command, sources[i].required, sources[i].optional, answer))
			return -1;
		json_open(answer, NULL, '{');
		json_string(answer, "name", command_value(&command, "name"));
		sources[i].add(&command, answer);
		if (is_bad(answer))
			return -1;
		json_close(answer, '}');
		return 0;
	}
	return fail(answer, "command", EINVAL, "unknown source %.64s", command.verb);
}

static int add_sources(char *input, struct json *answer)
{
	char *line, *rest;

	json_open(answer, "sources", '[');
	for (line = strtok_r(input, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		if (add_source(line, answer))
			return -1;
	json_close(answer, ']');
	return 0;
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Take the same lines from the value of `sources`, for a host that may not start a process now. */
void verb_inventory(struct loader *loader, const struct command *command, struct json *answer)
{
	double start = now();
	char *input = strdup(command_value(command, "sources"));

	(void)loader;
	if (!input)
		fail(answer, "inventory", ENOMEM, "%s", strerror(ENOMEM));
	else if (!add_sources(input, answer))
		json_seconds(answer, "seconds", now() - start);
	free(input);
}

int inventory(void)
{
	static char input[MAX_INPUT + 1];
	double start = now();
	struct json answer = { 0 };
	ssize_t length = read_whole(STDIN_FILENO, input, sizeof(input));
	int error = -1;

	if (length < 0 || (size_t)length > MAX_INPUT) {
		fail(&answer, "command", length < 0 ? (int)length : E2BIG, "bad input");
	} else {
		input[length] = '\0';
		inventory_is_passing = true;
		answer_ok(&answer);
		error = add_sources(input, &answer);
		if (!error)
			json_seconds(&answer, "seconds", now() - start);
	}
	answer_send(&answer);
	json_free(&answer);
	return error ? 1 : 0;
}
