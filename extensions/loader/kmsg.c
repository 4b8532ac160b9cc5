// SPDX-License-Identifier: GPL-2.0-only
/* Read lines of the kernel's log that were added after a certain moment. */
#include "kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD ((size_t)16 << 10) /* the kernel's records are at most 8 KiB */

int kernel_log_open(void)
{
	int log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (log >= 0 && lseek(log, 0, SEEK_END) < 0) {
		int error = errno;

		close(log);
		return -error;
	}
	return log < 0 ? -errno : log;
}

/* A record is "PRIORITY,NUMBER,TIME,FLAGS;TEXT\n", then lines about the device. */
static int add_record(char **lines, size_t *length, const char *record, const char *prefix)
{
	const char *text = strchr(record, ';');
	size_t size;
	char *more;

	/* Text that a process writes to /dev/kmsg never has the kernel's facility, 0. */
	if (!text || strtoul(record, NULL, 10) >> 3 || strncmp(text + 1, prefix, strlen(prefix)))
		return 0;
	size = strcspn(text + 1, "\n");
	more = realloc(*lines, *length + size + 2);
	if (!more)
		return -ENOMEM;
	memcpy(more + *length, text + 1, size);
	*length += size + 1;
	memcpy(more + *length - 1, "\n", 2);
	*lines = more;
	return 0;
}

char *kernel_log_lines(int log, const char *prefix)
{
	static char record[RECORD];
	char *lines = strdup("");
	size_t length = 0;
	ssize_t size;

	while (lines && log >= 0) {
		size = read(log, record, sizeof(record) - 1);
		/* EPIPE: records were overwritten before this read; the next ones follow. */
		if (size < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (size <= 0)
			break;
		record[size] = '\0';
		if (add_record(&lines, &length, record, prefix))
			break;
	}
	return lines;
}
