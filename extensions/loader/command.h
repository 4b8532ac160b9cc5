/* SPDX-License-Identifier: GPL-2.0-only */
/* Parse one command: `VERB key=value key=value ...`, values percent-encoded. */
#ifndef KEXT_COMMAND_H
#define KEXT_COMMAND_H

#include "json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COMMAND_MAX_PAIRS 16

struct command {
	const char *verb;
	size_t count;
	const char *keys[COMMAND_MAX_PAIRS];
	char *values[COMMAND_MAX_PAIRS];
};

/*
 * Parse a line in place; `command` points into it afterwards.
 * Returns 0, or -1 with a bad answer begun.
 */
int command_parse(struct command *command, char *line, struct json *answer);

/* The same from the words of an argv, which are not percent-encoded. */
int command_from_words(struct command *command, char **words, struct json *answer);

/*
 * Check the keys against two lists of words separated by spaces: required and
 * optional keys. Returns 0, or -1 with a bad answer begun.
 */
int command_check(const struct command *command, const char *required, const char *optional,
		  struct json *answer);

/* Return a key's value, or NULL if the key is not there. */
const char *command_value(const struct command *command, const char *key);

/*
 * Read a whole number within limits, or `otherwise` if the key is not there.
 * Returns 0, or -1 with a bad answer begun.
 */
int command_number(const struct command *command, const char *key, uint64_t low, uint64_t high,
		   uint64_t otherwise, uint64_t *number, struct json *answer);

/* Parse a decimal or 0x... number; false for any other text. */
bool parse_unsigned(const char *text, uint64_t *number);

/* Parse hex digits into `size` bytes; false on other characters or another length. */
bool parse_hex(const char *text, void *bytes, size_t size);

/* True if `word` is in `list`, whose words are separated by `separator`. */
bool word_in_list(const char *word, const char *list, char separator);

#endif
