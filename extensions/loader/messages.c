// SPDX-License-Identifier: GPL-2.0-only
/* Collect libbpf's messages for the answer that they belong to. */
#include "libbpf_watch.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "libbpf: "

static char messages[16 << 10];

/* Lines that only say that the load failed; an earlier line has the reason. */
static const char *const consequences[] = {
	"failed to load object",
	"failed to perform CO-RE relocations",
	"failed to load BPF skeleton",
	"permission error while running as root",
};
static const char *const program_consequences[] = {
	"': failed to load: ",
	"': failed to prepare load attributes",
};

/* Keep the end of the text: libbpf prints many warnings before it says what failed. */
static void keep_text(const char *text)
{
	size_t length = strlen(text), used = strlen(messages);
	size_t most = sizeof(messages) - 1;

	if (length > most) {
		text += length - most;
		length = most;
	}
	if (used + length > most) {
		size_t dropped = used + length - most;

		memmove(messages, messages + dropped, used - dropped);
		used -= dropped;
	}
	memcpy(messages + used, text, length);
	messages[used + length] = '\0';
}

static int keep_message(enum libbpf_print_level level, const char *format, va_list arguments)
{
	char *text;

	if (level > LIBBPF_WARN || vasprintf(&text, format, arguments) < 0)
		return 0;
	keep_text(text);
	free(text);
	return 0;
}

void keep_messages(void)
{
	libbpf_set_print(keep_message);
}

const char *libbpf_messages(void)
{
	return messages;
}

void forget_messages(void)
{
	messages[0] = '\0';
}

static bool is_consequence(const char *line)
{
	size_t i;

	for (i = 0; i < sizeof(consequences) / sizeof(consequences[0]); i++)
		if (!strncmp(line, consequences[i], strlen(consequences[i])))
			return true;
	for (i = 0; i < sizeof(program_consequences) / sizeof(program_consequences[0]); i++)
		if (strstr(line, program_consequences[i]))
			return true;
	return false;
}

bool libbpf_reason(char *reason, size_t size)
{
	char *copy = strdup(messages), *rest, *line;
	bool found = false;

	*reason = '\0';
	if (!copy)
		return false;
	for (line = strtok_r(copy, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (strncmp(line, PREFIX, strlen(PREFIX)))
			continue; /* part of a longer message */
		line += strlen(PREFIX);
		/* If there is only a consequence, it is better than nothing. */
		if (found && is_consequence(line))
			continue;
		snprintf(reason, size, "%s", line);
		found = true;
	}
	free(copy);
	return found;
}
