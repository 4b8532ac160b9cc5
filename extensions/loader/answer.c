// SPDX-License-Identifier: GPL-2.0-only
#include "answer.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void answer_ok(struct json *answer)
{
	json_reset(answer);
	json_open(answer, NULL, '{');
	json_bool(answer, "ok", true);
}

int fail(struct json *answer, const char *stage, int error, const char *format, ...)
{
	char text[1024];
	const char *name;
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	error = abs(error);
	name = strerrorname_np(error);
	json_reset(answer);
	json_open(answer, NULL, '{');
	json_bool(answer, "ok", false);
	json_signed(answer, "errno", error);
	/* libbpf's own errors begin at 4000; ENOTSUPP exists only in the kernel. */
	json_string(answer, "errname", name ? name : error == 524 ? "ENOTSUPP" : "unknown");
	json_string(answer, "error", text);
	json_string(answer, "stage", stage);
	return -1;
}

int answer_send(struct json *answer)
{
	json_close(answer, '}');
	return json_write(answer, STDOUT_FILENO);
}
