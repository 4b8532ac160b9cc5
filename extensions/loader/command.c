// SPDX-License-Identifier: GPL-2.0-only
#include "command.h"

#include "answer.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int digit(char character)
{
	if (character >= '0' && character <= '9')
		return character - '0';
	if (character >= 'a' && character <= 'f')
		return character - 'a' + 10;
	if (character >= 'A' && character <= 'F')
		return character - 'A' + 10;
	return -1;
}

/* Decode %XX in place; refuse a NUL, which would truncate the value. */
static bool decode(char *value)
{
	char *out = value;

	for (; *value; value++) {
		if (*value == '%') {
			int high = digit(value[1]);
			int low = high < 0 ? -1 : digit(value[2]);

			if (low < 0 || (high == 0 && low == 0))
				return false;
			*out++ = (char)(high << 4 | low);
			value += 2;
		} else {
			*out++ = *value;
		}
	}
	*out = '\0';
	return true;
}

static int add_pair(struct command *command, char *word, bool encoded, struct json *answer)
{
	char *equals = strchr(word, '=');

	if (!equals || equals == word)
		return fail(answer, "command", EINVAL, "\"%s\" is not key=value", word);
	*equals = '\0';
	if (command_value(command, word))
		return fail(answer, "command", EINVAL, "the key %s is there twice", word);
	if (command->count == COMMAND_MAX_PAIRS)
		return fail(answer, "command", E2BIG, "more than %d keys", COMMAND_MAX_PAIRS);
	if (encoded && !decode(equals + 1))
		return fail(answer, "command", EINVAL, "bad percent-encoding in the value of %s",
			    word);
	command->keys[command->count] = word;
	command->values[command->count++] = equals + 1;
	return 0;
}

int command_parse(struct command *command, char *line, struct json *answer)
{
	static const char blanks[] = " \t\r\n";
	char *rest, *word;

	memset(command, 0, sizeof(*command));
	word = strtok_r(line, blanks, &rest);
	if (!word)
		return fail(answer, "command", EINVAL, "an empty command");
	command->verb = word;
	while ((word = strtok_r(NULL, blanks, &rest)))
		if (add_pair(command, word, true, answer))
			return -1;
	return 0;
}

int command_from_words(struct command *command, char **words, struct json *answer)
{
	memset(command, 0, sizeof(*command));
	command->verb = *words++;
	for (; *words; words++)
		if (add_pair(command, *words, false, answer))
			return -1;
	return 0;
}

bool word_in_list(const char *word, const char *list, char separator)
{
	size_t length = strlen(word);

	while (*list) {
		const char *end = strchrnul(list, separator);

		if ((size_t)(end - list) == length && !memcmp(word, list, length))
			return true;
		list = *end ? end + 1 : end;
	}
	return false;
}

int command_check(const struct command *command, const char *required, const char *optional,
		  struct json *answer)
{
	const char *at = required;
	size_t i;

	for (i = 0; i < command->count; i++)
		if (!word_in_list(command->keys[i], required, ' ') &&
		    !word_in_list(command->keys[i], optional, ' '))
			return fail(answer, "command", EINVAL, "%s does not take the key %s",
				    command->verb, command->keys[i]);
	while (*at) {
		const char *end = strchrnul(at, ' ');
		bool found = false;

		for (i = 0; i < command->count; i++)
			found = found || (strlen(command->keys[i]) == (size_t)(end - at) &&
					  !memcmp(command->keys[i], at, (size_t)(end - at)));
		if (!found)
			return fail(answer, "command", EINVAL, "%s needs the key %.*s",
				    command->verb, (int)(end - at), at);
		at = *end ? end + 1 : end;
	}
	return 0;
}

const char *command_value(const struct command *command, const char *key)
{
	size_t i;

	for (i = 0; i < command->count; i++)
		if (!strcmp(command->keys[i], key))
			return command->values[i];
	return NULL;
}

bool parse_unsigned(const char *text, uint64_t *number)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*number = strtoull(text, &end, text[0] == '0' && (text[1] | 32) == 'x' ? 16 : 10);
	return !errno && *end == '\0';
}

int command_number(const struct command *command, const char *key, uint64_t low, uint64_t high,
		   uint64_t otherwise, uint64_t *number, struct json *answer)
{
	const char *text = command_value(command, key);

	*number = otherwise;
	if (!text)
		return 0;
	if (!parse_unsigned(text, number) || *number < low || *number > high)
		return fail(answer, "command", EINVAL,
			    "%s=%s: not a whole number from %" PRIu64 " to %" PRIu64, key, text,
			    low, high);
	return 0;
}

bool parse_hex(const char *text, void *bytes, size_t size)
{
	unsigned char *out = bytes;
	size_t i;

	if (strlen(text) != 2 * size)
		return false;
	for (i = 0; i < size; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (unsigned char)(high << 4 | low);
	}
	return true;
}
