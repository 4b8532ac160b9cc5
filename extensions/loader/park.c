// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kextload park`: the guest is up, and waits for the host to give it its identity.
 *
 * All forks start from a snapshot of a parked guest. So data that must differ
 * between two guests may not exist before the host sends `release` over this
 * line: seed, wall clock, keys and nonce. The guest applies them before it answers,
 * and only then the host connects by SSH.
 */
#include "answer.h"
#include "command.h"
#include "kextload.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MAX_LINE 4096
#define SEED_BYTES 64
#define MAX_KEY_BYTES 512
#define NANOSECONDS 1000000000ULL

/* Host key that dropbear reads at a connection if it had none at its start. */
#define HOST_KEY "/etc/dropbear/dropbear_ed25519_host_key"
#define CLIENT_KEYS "/root/.ssh/authorized_keys"
#define IDENTITY "/etc/kextlab/identity"

/* Make the serial line transparent: no echo, no signals, no translation. */
static int make_raw(int line)
{
	struct termios mode;

	if (tcgetattr(line, &mode))
		return -errno;
	cfmakeraw(&mode);
	mode.c_cflag |= CLOCAL | CREAD;
	cfsetspeed(&mode, B115200);
	return tcsetattr(line, TCSANOW, &mode) ? -errno : 0;
}

/* Read the next line without its newline; a line that is too long is dropped: -EMSGSIZE. */
static int read_line(int from, char *line, size_t size)
{
	size_t length = 0, end;
	bool whole = false;

	for (;;) {
		char chunk[512];
		ssize_t got = read(from, chunk, sizeof(chunk));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -EPIPE;
		for (end = 0; end < (size_t)got && chunk[end] != '\n'; end++)
			;
		whole = end < (size_t)got; /* the host sends nothing after a line */
		if (length + end < size)
			memcpy(line + length, chunk, end);
		length += end;
		if (!whole)
			continue;
		if (length >= size)
			return -EMSGSIZE;
		line[length] = '\0';
		return 0;
	}
}

static int seed(const char *hex, struct json *answer)
{
	struct {
		struct rand_pool_info info;
		unsigned char bytes[SEED_BYTES];
	} pool = { .info = { .entropy_count = SEED_BYTES * 8, .buf_size = SEED_BYTES } };
	int random, error = 0;

	if (!parse_hex(hex, pool.info.buf, SEED_BYTES))
		return fail(answer, "release", EINVAL, "seed: not %d bytes as hex", SEED_BYTES);
	random = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
	if (random < 0)
		return fail(answer, "release", errno, "/dev/urandom: %s", strerror(errno));
	/* Mix the seed in, then reseed at once: random bytes generated in advance are discarded. */
	if (ioctl(random, RNDADDENTROPY, &pool) || ioctl(random, RNDRESEEDCRNG))
		error = errno;
	explicit_bzero(&pool, sizeof(pool));
	close(random);
	if (error)
		return fail(answer, "release", error, "the kernel takes no seed: %s",
			    strerror(error));
	return 0;
}

static int set_clock(const struct command *command, struct json *answer)
{
	struct timespec now;
	uint64_t nanoseconds;

	if (command_number(command, "time", 0, INT64_MAX, 0, &nanoseconds, answer))
		return -1;
	now.tv_sec = (time_t)(nanoseconds / NANOSECONDS);
	now.tv_nsec = (long)(nanoseconds % NANOSECONDS);
	if (clock_settime(CLOCK_REALTIME, &now))
		return fail(answer, "release", errno, "the clock can't be set: %s",
			    strerror(errno));
	return 0;
}

static int put(const char *path, mode_t mode, const void *data, size_t size, struct json *answer)
{
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	ssize_t written;

	if (file < 0)
		return fail(answer, "release", errno, "%s: %s", path, strerror(errno));
	written = write(file, data, size);
	close(file);
	if (written != (ssize_t)size)
		return fail(answer, "release", EIO, "%s was not written", path);
	return 0;
}

static int put_line(const char *path, mode_t mode, const char *text, struct json *answer)
{
	char line[MAX_LINE];
	int length = snprintf(line, sizeof(line), "%s\n", text);

	return put(path, mode, line, (size_t)length, answer);
}

static int put_host_key(const char *hex, struct json *answer)
{
	unsigned char key[MAX_KEY_BYTES];
	size_t size = strlen(hex) / 2;
	int result;

	if (size > sizeof(key) || !parse_hex(hex, key, size))
		return fail(answer, "release", EINVAL, "host_key: no key as hex");
	result = put(HOST_KEY, 0600, key, size, answer);
	explicit_bzero(key, sizeof(key));
	return result;
}

static int release(char *line, struct json *answer)
{
	struct command command;

	if (command_parse(&command, line, answer))
		return -1;
	if (strcmp(command.verb, "release"))
		return fail(answer, "release", EINVAL, "a parked guest only takes release");
	if (command_check(&command, "seed time nonce client_key host_key", "", answer))
		return -1;
	if (seed(command_value(&command, "seed"), answer) || set_clock(&command, answer) ||
	    put_line(IDENTITY, 0644, command_value(&command, "nonce"), answer) ||
	    put_line(CLIENT_KEYS, 0600, command_value(&command, "client_key"), answer) ||
	    put_host_key(command_value(&command, "host_key"), answer))
		return -1;
	answer_ok(answer);
	json_string(answer, "nonce", command_value(&command, "nonce"));
	return 0;
}

static int say_parked(struct json *answer)
{
	answer_ok(answer);
	json_bool(answer, "parked", true);
	return answer_send(answer);
}

int park(void)
{
	static char line[MAX_LINE];
	struct json answer = { 0 };
	int error = make_raw(STDIN_FILENO);

	if (error) {
		fail(&answer, "park", error, "standard input is no serial line");
		answer_send(&answer);
		return 1;
	}
	if (say_parked(&answer))
		return 1;
	for (;;) {
		error = read_line(STDIN_FILENO, line, sizeof(line));
		if (error == -EMSGSIZE)
			fail(&answer, "release", error, "a line of more than %d bytes", MAX_LINE);
		else if (error)
			return 1;
		else
			error = release(line, &answer);
		explicit_bzero(line, sizeof(line));
		if (answer_send(&answer))
			return 1;
		if (!error)
			return 0;
	}
}
