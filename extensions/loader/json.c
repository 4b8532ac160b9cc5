// SPDX-License-Identifier: GPL-2.0-only
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void append(struct json *json, const char *text, size_t length)
{
	if (json->out_of_memory)
		return;
	if (json->capacity - json->length < length + 1) {
		size_t capacity = json->capacity ? json->capacity : 4096;
		char *larger;

		while (capacity - json->length < length + 1)
			capacity *= 2;
		larger = realloc(json->text, capacity);
		if (!larger) {
			json->out_of_memory = true;
			return;
		}
		json->text = larger;
		json->capacity = capacity;
	}
	memcpy(json->text + json->length, text, length);
	json->length += length;
	json->text[json->length] = '\0';
}

static void append_text(struct json *json, const char *text)
{
	append(json, text, strlen(text));
}

/*
 * Return the length of the valid UTF-8 sequence at `text`, or 0 if there is none.
 * Overlong forms, surrogates and numbers above U+10FFFF are not valid.
 */
static size_t utf8_length(const unsigned char *text, size_t available)
{
	size_t length, i;
	unsigned char low = 0x80, high = 0xbf;

	if (text[0] < 0x80)
		return 1;
	if (text[0] >= 0xc2 && text[0] <= 0xdf)
		length = 2;
	else if (text[0] >= 0xe0 && text[0] <= 0xef)
		length = 3;
	else if (text[0] >= 0xf0 && text[0] <= 0xf4)
		length = 4;
	else
		return 0;
	if (text[0] == 0xe0)
		low = 0xa0;
	else if (text[0] == 0xed)
		high = 0x9f;
	else if (text[0] == 0xf0)
		low = 0x90;
	else if (text[0] == 0xf4)
		high = 0x8f;
	if (available < length || text[1] < low || text[1] > high)
		return 0;
	for (i = 2; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	return length;
}

static void append_escaped(struct json *json, unsigned char byte)
{
	char escape[8];

	switch (byte) {
	case '"':
		append_text(json, "\\\"");
		break;
	case '\\':
		append_text(json, "\\\\");
		break;
	case '\n':
		append_text(json, "\\n");
		break;
	case '\t':
		append_text(json, "\\t");
		break;
	default:
		snprintf(escape, sizeof(escape), "\\u%04x", byte);
		append_text(json, escape);
	}
}

void json_add_string(struct json *json, const char *text, size_t length)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t plain = 0, i = 0;

	while (i < length) {
		size_t step = utf8_length(bytes + i, length - i);
		bool as_it_is = step > 1 || (step == 1 && bytes[i] >= 0x20 && bytes[i] != 0x7f &&
					     bytes[i] != '"' && bytes[i] != '\\');

		if (as_it_is) {
			i += step;
			continue;
		}
		append(json, text + plain, i - plain);
		if (step)
			append_escaped(json, bytes[i]);
		else
			append_text(json, "\\ufffd"); /* JSON can't carry other bytes */
		plain = ++i;
	}
	append(json, text + plain, length - plain);
}

static void append_quoted(struct json *json, const char *text, size_t length)
{
	append(json, "\"", 1);
	json_add_string(json, text, length);
	append(json, "\"", 1);
}

/* Add a comma if needed, then the key. */
static void begin_value(struct json *json, const char *key)
{
	if (json->length && json->text[json->length - 1] != '{' &&
	    json->text[json->length - 1] != '[')
		append(json, ",", 1);
	if (key) {
		append_quoted(json, key, strlen(key));
		append(json, ":", 1);
	}
}

void json_reset(struct json *json)
{
	json->length = 0;
	json->out_of_memory = false;
}

void json_free(struct json *json)
{
	free(json->text);
	memset(json, 0, sizeof(*json));
}

void json_open(struct json *json, const char *key, char bracket)
{
	begin_value(json, key);
	append(json, &bracket, 1);
}

void json_close(struct json *json, char bracket)
{
	append(json, &bracket, 1);
}

void json_bytes(struct json *json, const char *key, const char *text, size_t length)
{
	begin_value(json, key);
	append_quoted(json, text, length);
}

void json_begin_string(struct json *json, const char *key)
{
	begin_value(json, key);
	append(json, "\"", 1);
}

void json_end_string(struct json *json)
{
	append(json, "\"", 1);
}

void json_string(struct json *json, const char *key, const char *text)
{
	if (text)
		json_bytes(json, key, text, strlen(text));
	else
		json_null(json, key);
}

void json_hex(struct json *json, const char *key, const void *data, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *bytes = data;
	size_t i;

	begin_value(json, key);
	append(json, "\"", 1);
	for (i = 0; i < length; i++) {
		char pair[2] = { digits[bytes[i] >> 4], digits[bytes[i] & 15] };

		append(json, pair, 2);
	}
	append(json, "\"", 1);
}

void json_unsigned(struct json *json, const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, number);
	begin_value(json, key);
	append_text(json, text);
}

void json_signed(struct json *json, const char *key, int64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, number);
	begin_value(json, key);
	append_text(json, text);
}

void json_seconds(struct json *json, const char *key, double seconds)
{
	char text[32];

	snprintf(text, sizeof(text), "%.6f", seconds);
	begin_value(json, key);
	append_text(json, text);
}

void json_bool(struct json *json, const char *key, bool value)
{
	begin_value(json, key);
	append_text(json, value ? "true" : "false");
}

void json_null(struct json *json, const char *key)
{
	begin_value(json, key);
	append_text(json, "null");
}

static int write_all(int descriptor, const char *text, size_t length)
{
	while (length) {
		ssize_t written = write(descriptor, text, length);

		if (written < 0) {
			if (errno == EINTR)
				continue;
			return -errno;
		}
		text += written;
		length -= (size_t)written;
	}
	return 0;
}

int json_write(const struct json *json, int descriptor)
{
	static const char excuse[] =
		"{\"ok\":false,\"errno\":12,\"errname\":\"ENOMEM\","
		"\"error\":\"no memory for the answer\",\"stage\":\"answer\"}\n";
	int error;

	if (json->out_of_memory)
		return write_all(descriptor, excuse, sizeof(excuse) - 1);
	error = write_all(descriptor, json->text, json->length);
	return error ? error : write_all(descriptor, "\n", 1);
}
