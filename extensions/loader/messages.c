// SPDX-License-Identifier: GPL-2.0-only
/* What libbpf says, kept for the answer that it belongs to. */
#include "loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static char messages[16 << 10];

static int keep_message(enum libbpf_print_level level, const char *format, va_list arguments)
{
	size_t used = strlen(messages);

	if (level <= LIBBPF_WARN)
		vsnprintf(messages + used, sizeof(messages) - used, format, arguments);
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
