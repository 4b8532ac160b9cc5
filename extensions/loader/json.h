/* SPDX-License-Identifier: GPL-2.0-only */
/* One line of JSON, built in memory and written at once. */
#ifndef KEXT_JSON_H
#define KEXT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	char *text;
	size_t length;
	size_t capacity;
	bool out_of_memory; /* sticky: the text is incomplete */
};

/* Discard the text, keep the memory. */
void json_reset(struct json *json);
void json_free(struct json *json);

/* Objects and arrays. `key` is NULL inside an array and at the top. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

void json_string(struct json *json, const char *key, const char *text);
void json_bytes(struct json *json, const char *key, const char *text, size_t length);
/* Build a string from parts, none of which may end in the middle of a character. */
void json_begin_string(struct json *json, const char *key);
void json_add_string(struct json *json, const char *text, size_t length);
void json_end_string(struct json *json);
void json_hex(struct json *json, const char *key, const void *data, size_t length);
void json_unsigned(struct json *json, const char *key, uint64_t number);
void json_signed(struct json *json, const char *key, int64_t number);
void json_seconds(struct json *json, const char *key, double seconds);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);

/*
 * Write the line with its newline to a descriptor, all of it.
 * Returns 0, or -errno if the reader is gone.
 */
int json_write(const struct json *json, int descriptor);

#endif
