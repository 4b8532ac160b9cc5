// SPDX-License-Identifier: GPL-2.0-only
/* `kextload serve`: one command per line in, one line of JSON out. */
#include "answer.h"
#include "kextload.h"
#include "libbpf_watch.h"
#include "verbs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MAX_LINE ((size_t)1 << 20)

typedef void (*verb_function)(struct loader *loader, const struct command *command,
			      struct json *answer);

static const struct verb {
	const char *name;
	verb_function function;
	const char *required;
	const char *optional;
} verbs[] = {
	{ "load", verb_load, "handle path", "autoload target log_level" },
	{ "unload", verb_unload, "handle", "" },
	{ "attach", verb_attach, "handle program", "to cpu" },
	{ "detach", verb_detach, "handle program", "to" },
	{ "run", verb_run, "handle program", "repeat size data ctx cpu out" },
	{ "read", verb_read, "handle map", "key limit lock" },
	{ "write", verb_write, "handle map value", "key lock" },
	{ "stats", verb_stats, "handle", "" },
	{ "pin", verb_pin, "handle path", "map program" },
	{ "unpin", verb_unpin, "path", "" },
	{ "list", verb_list, "", "" },
	{ "inventory", verb_inventory, "sources", "" },
	{ "quit", NULL, "", "" },
};

/* A pipe that the signal handler writes to, so that a signal between two calls is not lost. */
static int wake_up[2] = { -1, -1 };

static void on_signal(int number)
{
	int before = errno;
	ssize_t ignored = write(wake_up[1], "", 1);

	(void)number;
	(void)ignored; /* if the pipe is full, the reader wakes up anyway */
	errno = before;
}

static int catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	if (pipe2(wake_up, O_CLOEXEC | O_NONBLOCK))
		return -errno;
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	signal(SIGPIPE, SIG_IGN); /* write() reports a reader that is gone */
	return 0;
}

/* Execute one line; false if it was `quit`. */
static bool execute(struct loader *loader, char *line, struct json *answer)
{
	struct command command;
	size_t i;

	answer_ok(answer);
	if (command_parse(&command, line, answer))
		return true;
	for (i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		if (strcmp(verbs[i].name, command.verb))
			continue;
		if (command_check(&command, verbs[i].required, verbs[i].optional, answer))
			return true;
		if (!verbs[i].function)
			return false;
		verbs[i].function(loader, &command, answer);
		return true;
	}
	fail(answer, "command", EINVAL, "unknown verb %.64s", command.verb);
	return true;
}

struct input {
	char *line;
	size_t used;
	bool overlong; /* the rest of the line is dropped */
};

/* Answer the complete lines; false when the loop must end. */
static bool execute_lines(struct loader *loader, struct input *input, struct json *answer)
{
	char *start = input->line, *newline;
	bool stay = true;

	while (stay && (newline = memchr(start, '\n', input->used - (size_t)(start - input->line)))) {
		*newline = '\0';
		if (input->overlong) {
			fail(answer, "command", E2BIG, "a line longer than %zu bytes", MAX_LINE);
			input->overlong = false;
		} else if (memchr(start, '\0', (size_t)(newline - start))) {
			fail(answer, "command", EINVAL, "a NUL in the line");
		} else {
			stay = execute(loader, start, answer);
		}
		if (answer_send(answer))
			stay = false;
		start = newline + 1;
	}
	input->used -= (size_t)(start - input->line);
	memmove(input->line, start, input->used);
	if (input->used == MAX_LINE) {
		input->overlong = true;
		input->used = 0;
	}
	return stay;
}

static void loop(struct loader *loader, struct input *input, struct json *answer)
{
	struct pollfd wanted[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = wake_up[0], .events = POLLIN },
	};

	for (;;) {
		ssize_t received;

		if (poll(wanted, 2, -1) < 0 && errno != EINTR)
			return;
		if (wanted[1].revents)
			return;
		if (!wanted[0].revents)
			continue;
		received = read(STDIN_FILENO, input->line + input->used, MAX_LINE - input->used);
		if (received < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (received <= 0) /* text without a newline at the end of input is no command */
			return;
		input->used += (size_t)received;
		if (!execute_lines(loader, input, answer))
			return;
	}
}

static int send_hello(struct json *answer)
{
	answer_ok(answer);
	json_string(answer, "hello", "kextload");
	json_unsigned(answer, "protocol", 1);
	json_string(answer, "libbpf", libbpf_version_string() + 1); /* "v1.1" */
	return answer_send(answer);
}

int serve(void)
{
	struct rlimit unlimited = { RLIM_INFINITY, RLIM_INFINITY };
	struct loader loader = { .stats_fd = -1 };
	struct input input = { 0 };
	struct json answer = { 0 };
	int error = catch_signals();

	input.line = malloc(MAX_LINE);
	if (error || !input.line)
		return 1;
	keep_messages();
	/* Only kernels before 5.11 charge maps to it. Without root it fails, and so does load. */
	setrlimit(RLIMIT_MEMLOCK, &unlimited);
	loader.stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (!send_hello(&answer))
		loop(&loader, &input, &answer);
	unload_all(&loader);
	if (loader.stats_fd >= 0)
		close(loader.stats_fd);
	json_free(&answer);
	free(input.line);
	return 0;
}
