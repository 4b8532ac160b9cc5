// SPDX-License-Identifier: GPL-2.0-only
/*
 * Liveness: one task on each online CPU must be scheduled there and answer.
 *
 * On a kernel with a stuck CPU this program must still end in time, and no process
 * may have to wait for a child that never runs. So each child starts on the CPU
 * where this process runs, closes the standard streams (else a reader of this
 * process's output would wait for it), and sleeps; only then it is moved. Moving
 * a sleeping task needs nothing from the CPU that it is moved to.
 */
#include "answer.h"
#include "command.h"
#include "cpus.h"
#include "kextload.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_MS 5000
#define MAX_MS 600000
#define MAX_NONCE 256

struct child {
	pid_t process;
	int go;	    /* the child starts when its end is closed or written */
	int answer; /* the child writes one byte there from its CPU */
	int cpu;
	bool answered;
};

static int64_t milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void child_main(int go, int answer, int cpu)
{
	char byte;
	int here;

	close(0);
	close(1);
	close(2);
	if (write(answer, "r", 1) != 1 || read(go, &byte, 1) != 1)
		_exit(1);
	here = sched_getcpu();
	byte = here == cpu ? '1' : '0';
	_exit(write(answer, &byte, 1) == 1 ? 0 : 1);
}

static int start_child(struct child *child, int cpu)
{
	int go[2], answer[2], error;

	child->cpu = cpu;
	if (pipe2(go, O_CLOEXEC))
		return -errno;
	if (pipe2(answer, O_CLOEXEC)) {
		error = -errno;
		goto close_go;
	}
	child->process = fork();
	if (child->process < 0) {
		error = -errno;
		goto close_answer;
	}
	if (!child->process) {
		close(go[1]);
		close(answer[0]);
		child_main(go[0], answer[1], cpu);
	}
	close(go[0]);
	close(answer[1]);
	child->go = go[1];
	child->answer = answer[0];
	return 0;

close_answer:
	close(answer[0]);
	close(answer[1]);
close_go:
	close(go[0]);
	close(go[1]);
	return error;
}

/* Read one byte; return 0 if none comes before `end`. */
static char byte_within(int descriptor, int64_t end)
{
	struct pollfd wanted = { .fd = descriptor, .events = POLLIN };
	int64_t left;
	char byte;
	int ready;

	do {
		left = end - milliseconds();
		ready = poll(&wanted, 1, left > 0 ? (int)left : 0);
	} while (ready < 0 && errno == EINTR && left > 0);
	return ready == 1 && read(descriptor, &byte, 1) == 1 ? byte : 0;
}

static void send_echo(const struct child *child, const char *nonce)
{
	struct json line = { 0 };

	json_open(&line, NULL, '{');
	json_signed(&line, "cpu", child->cpu);
	json_string(&line, "nonce", nonce);
	json_bool(&line, "ok", true);
	answer_send(&line);
	json_free(&line);
}

static void send_summary(const struct child *children, int count)
{
	struct json line = { 0 };
	bool all = true;
	int i;

	for (i = 0; i < count; i++)
		all = all && children[i].answered;
	json_open(&line, NULL, '{');
	json_bool(&line, "ok", all);
	json_open(&line, "cpus", '[');
	for (i = 0; i < count; i++)
		if (children[i].answered)
			json_signed(&line, NULL, children[i].cpu);
	json_close(&line, ']');
	json_open(&line, "missing", '[');
	for (i = 0; i < count; i++)
		if (!children[i].answered)
			json_signed(&line, NULL, children[i].cpu);
	json_close(&line, ']');
	answer_send(&line);
	json_free(&line);
}

static int refuse(int error, const char *what)
{
	struct json line = { 0 };

	fail(&line, "alive", error, "%s: %s", what, strerror(error < 0 ? -error : error));
	answer_send(&line);
	json_free(&line);
	return 1;
}

static int ask_all(const int *cpus, int count, const char *nonce, int64_t end)
{
	static struct child children[MAX_CPUS];
	bool all = true;
	int i, error;

	/* Children inherit this, so none starts on a CPU that no longer schedules. */
	error = run_on_cpu(sched_getcpu());
	if (error)
		return refuse(error, "not bound to this CPU");
	for (i = 0; i < count; i++) {
		error = start_child(&children[i], cpus[i]);
		if (error)
			return refuse(error, "no child");
	}
	for (i = 0; i < count; i++) /* each child has started and sleeps */
		if (byte_within(children[i].answer, end) != 'r' ||
		    run_task_on_cpu(children[i].process, cpus[i]) ||
		    write(children[i].go, "g", 1) != 1)
			all = false;
	for (i = 0; i < count; i++) {
		children[i].answered = byte_within(children[i].answer, end) == '1';
		if (children[i].answered)
			send_echo(&children[i], nonce);
		else
			kill(children[i].process, SIGKILL); /* do not wait for its end */
		all = all && children[i].answered;
	}
	send_summary(children, count);
	return all ? 0 : 1;
}

int alive(char **words)
{
	int cpus[MAX_CPUS], count;
	uint64_t timeout = DEFAULT_MS;
	int64_t start = milliseconds();

	if (!words[0] || strlen(words[0]) > MAX_NONCE || (words[1] && words[2]))
		return refuse(EINVAL, "usage: kextload alive NONCE [TIMEOUT_MS]");
	if (words[1] && (!parse_unsigned(words[1], &timeout) || timeout > MAX_MS))
		return refuse(EINVAL, "the timeout is no number of milliseconds up to 600000");
	signal(SIGPIPE, SIG_IGN);
	count = cpus_online(cpus, MAX_CPUS);
	if (count < 0)
		return refuse(count, "the online CPUs can't be read");
	return ask_all(cpus, count, words[0], start + (int64_t)timeout);
}
