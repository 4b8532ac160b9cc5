// SPDX-License-Identifier: GPL-2.0-only
/* `kexttrigger`: trigger attached programs, as often and on the CPU that the caller requests. */
#include "answer.h"
#include "command.h"
#include "cpus.h"
#include "trigger.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#define MAX_TIMES ((uint64_t)1 << 40)

static const char usage[] =
	"usage: kexttrigger syscall NAME [times=N] [cpu=C] | pagefault [times=N] [cpu=C] | "
	"packets dev=D [times=N] [size=BYTES] [port=P] [cpu=C] "
	"[receive=1 [protocol=tcp|udp] [to=ADDRESS] [netns=FILE] [to_netns=FILE]] | "
	"spin ms=N [cpu=C]";

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Return the keys that a kind requires and those that it accepts; NULL for an unknown kind. */
static const char *const *keys_of(const char *kind)
{
	static const char *const known[][3] = {
		{ "syscall", "", "times cpu" },
		{ "pagefault", "", "times cpu" },
		{ "packets", "dev", "times size port cpu receive protocol to netns to_netns" },
		{ "spin", "ms", "cpu" },
	};
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(known[i][0], kind))
			return known[i];
	return NULL;
}

static int64_t pull(const struct command *command, const char *system_call, struct json *answer)
{
	uint64_t times, cpu, milliseconds;
	int error;

	if (command_number(command, "times", 1, MAX_TIMES, 1, &times, answer) ||
	    command_number(command, "cpu", 0, MAX_CPUS - 1, 0, &cpu, answer) ||
	    command_number(command, "ms", 0, 3600000, 0, &milliseconds, answer))
		return -1;
	if (command_value(command, "cpu")) {
		error = run_on_cpu((int)cpu);
		if (error)
			return fail(answer, "cpu", error, "not bound to CPU %" PRIu64 ": %s", cpu,
				    strerror(-error));
	}
	if (system_call)
		return trigger_syscall(system_call, times, answer);
	if (!strcmp(command->verb, "pagefault"))
		return trigger_pagefault(times, answer);
	if (!strcmp(command->verb, "packets"))
		return trigger_packets(command, times, answer);
	return trigger_spin(milliseconds);
}

static int64_t parse_and_pull(char **words, struct json *answer)
{
	const char *system_call = NULL;
	const char *const *keys;
	struct command command;

	keys = words[0] ? keys_of(words[0]) : NULL;
	if (!keys)
		return fail(answer, "command", EINVAL, "%s", usage);
	if (!strcmp(words[0], "syscall")) {
		/* Its name takes the place of the verb, so all other words are key=value. */
		system_call = words[1];
		if (!system_call || strchr(system_call, '='))
			return fail(answer, "command", EINVAL, "%s", usage);
		words++;
	}
	if (command_from_words(&command, words, answer) ||
	    command_check(&command, keys[1], keys[2], answer))
		return -1;
	return pull(&command, system_call, answer);
}

int trigger_main(char **words)
{
	struct json answer = { 0 };
	double start = seconds();
	int64_t done;

	answer_ok(&answer);
	done = parse_and_pull(words, &answer);
	if (done >= 0)
		json_signed(&answer, "done", done);
	json_seconds(&answer, "seconds", seconds() - start);
	answer_send(&answer);
	json_free(&answer);
	return done >= 0 ? 0 : 1;
}
