// SPDX-License-Identifier: GPL-2.0-only
/* `kextload peek LENGTH ADDRESS...`: print kernel memory as hex. */
#include "answer.h"
#include "command.h"
#include "core.h"
#include "kextload.h"

#include <errno.h>
#include <string.h>

#define MAX_BYTES 256

static int peek_at(struct json *answer, const char *word, uint64_t length)
{
	unsigned char bytes[MAX_BYTES];
	uint64_t address;

	if (!parse_unsigned(word, &address))
		return fail(answer, "peek", EINVAL, "%s is not an address", word);
	if (core_read(address, bytes, length))
		json_hex(answer, NULL, bytes, length);
	else
		json_null(answer, NULL);
	return 0;
}

static int peek_all(struct json *answer, char **words)
{
	uint64_t length;
	int error;

	if (!words[0] || !parse_unsigned(words[0], &length) || !length || length > MAX_BYTES)
		return fail(answer, "peek", EINVAL, "usage: kextload peek LENGTH ADDRESS...");
	error = core_open();
	if (error)
		return fail(answer, "peek", error, "/proc/kcore: %s", strerror(-error));
	answer_ok(answer);
	json_open(answer, "memory", '[');
	for (words++; *words && !error; words++)
		error = peek_at(answer, *words, length);
	if (!error)
		json_close(answer, ']');
	return error;
}

int peek(char **words)
{
	struct json answer = { 0 };
	int error = peek_all(&answer, words);

	answer_send(&answer);
	json_free(&answer);
	return error ? 1 : 0;
}
