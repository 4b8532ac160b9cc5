// SPDX-License-Identifier: GPL-2.0-only
/* Lines of the kernel's log that came after a certain moment. */
#include "loader.h"

#include <errno.h>
#include <fcntl.h>
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
static void add_record(struct json *answer, const char *record, const char *prefix)
{
	const char *text = strchr(record, ';');

	if (!text || strncmp(text + 1, prefix, strlen(prefix)))
		return;
	json_add_string(answer, text + 1, strcspn(text + 1, "\n"));
	json_add_string(answer, "\n", 1);
}

void add_kernel_log(struct json *answer, const char *key, int log, const char *prefix)
{
	static char record[RECORD];
	ssize_t size;

	json_begin_string(answer, key);
	while (log >= 0) {
		size = read(log, record, sizeof(record) - 1);
		/* EPIPE: records were overwritten before we came; those that are left follow. */
		if (size < 0 && (errno == EPIPE || errno == EINTR))
			continue;
		if (size <= 0)
			break;
		record[size] = '\0';
		add_record(answer, record, prefix);
	}
	json_end_string(answer);
}
