// SPDX-License-Identifier: GPL-2.0-only
/*
 * `kextload log`: read the kernel's log from a given record to one that is written
 * now, and some small files. The host compares the console with them.
 *
 *     kextload log WORD NUMBER PATH...
 *
 * The new record is "kextlab: fence WORD". With "-" as NUMBER the answer has no
 * other record.
 */
#include "answer.h"
#include "command.h"
#include "info.h"
#include "kextload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define RECORD ((size_t)16 << 10) /* the kernel's records are at most 8 KiB */
#define MOST ((size_t)900 << 10)  /* of an answer; the host accepts 1 MiB */
#define SETTING ((size_t)4 << 10)

static int open_log(struct json *answer)
{
	struct stat status;
	int log = open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (log < 0)
		return fail(answer, "log", errno, "/dev/kmsg: %s", error_text(errno));
	if (fstat(log, &status) || !S_ISCHR(status.st_mode) || status.st_rdev != makedev(1, 11)) {
		close(log);
		return fail(answer, "log", ENXIO, "/dev/kmsg is not the kernel's log");
	}
	return log;
}

/* A record is "PRIORITY,NUMBER,TIME,FLAGS,...;TEXT\n", then lines about the device. */
static uint64_t number_of(const char *record)
{
	const char *comma = strchr(record, ',');

	return comma ? strtoull(comma + 1, NULL, 10) : 0;
}

static bool is_fence(const char *record, const char *fence)
{
	const char *text = strchr(record, ';');

	return text && !strncmp(text + 1, fence, strlen(fence));
}

/* Add the records after `since` up to the fence, and the number of those that did not fit. */
static void add_records(struct json *answer, int log, bool all, uint64_t since, const char *fence)
{
	static char record[RECORD];
	uint64_t omitted = 0, found = 0;
	ssize_t size;

	json_open(answer, "records", '[');
	while (!found) {
		size = read(log, record, sizeof(record) - 1);
		/* EPIPE: records were overwritten before this read; the numbers show it. */
		if (size < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (size <= 0)
			break;
		record[size] = '\0';
		if (is_fence(record, fence))
			found = number_of(record);
		else if (!all || number_of(record) <= since)
			continue;
		if (found || answer->length < MOST)
			json_bytes(answer, NULL, record, strcspn(record, "\n"));
		else
			omitted++;
	}
	json_close(answer, ']');
	json_unsigned(answer, "omitted", omitted);
	if (found)
		json_unsigned(answer, "fence", found);
}

static void add_file(struct json *answer, const char *path)
{
	static char text[SETTING];
	int file = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t size = file < 0 ? -1 : read(file, text, sizeof(text));

	if (size < 0)
		json_null(answer, path);
	else
		json_bytes(answer, path, text, (size_t)size);
	if (file >= 0)
		close(file);
}

/* Write the fence and add the records. Returns 0, or -1 with a bad answer begun. */
static int add_log(struct json *answer, int log, const char *word, bool all, uint64_t since)
{
	/* Without a newline the kernel could continue the record, and would not show it yet. */
	char line[128];
	int length = snprintf(line, sizeof(line), "<5>kextlab: fence %s\n", word);

	if (!all && lseek(log, 0, SEEK_END) < 0)
		return fail(answer, "log", errno, "/dev/kmsg: %s", error_text(errno));
	if (write(log, line, (size_t)length) < 0)
		return fail(answer, "log", errno, "/dev/kmsg: %s", error_text(errno));
	add_records(answer, log, all, since, strchr(line, '>') + 1);
	return 0;
}

static int answer_log(struct json *answer, char **words)
{
	uint64_t since = 0;
	int log, error;
	bool all;

	if (!words[0] || !words[1] || strlen(words[0]) > 64)
		return fail(answer, "command", EINVAL, "usage: kextload log WORD NUMBER|- PATH...");
	all = strcmp(words[1], "-");
	if (all && !parse_unsigned(words[1], &since))
		return fail(answer, "command", EINVAL, "%s is not a record's number", words[1]);
	log = open_log(answer);
	if (log < 0)
		return -1;
	answer_ok(answer);
	error = add_log(answer, log, words[0], all, since);
	close(log);
	if (error)
		return -1;
	json_open(answer, "files", '{');
	for (words += 2; *words; words++)
		add_file(answer, *words);
	json_close(answer, '}');
	return 0;
}

int kernel_log(char **words)
{
	struct json answer = { 0 };
	int error = answer_log(&answer, words);

	answer_send(&answer);
	json_free(&answer);
	return error ? 1 : 0;
}
