// SPDX-License-Identifier: GPL-2.0-only
/* Tasks: kernel threads and processes. */
#include "inventory.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PF_KTHREAD 0x00200000UL

/* Parse `PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS ...`; NAME may have any characters. */
static bool parse_stat(char *text, char **name, unsigned long *flags)
{
	char *begin = strchr(text, '('), *end = strrchr(text, ')');

	if (!begin || !end || end < begin)
		return false;
	*end = '\0';
	*name = begin + 1;
	return sscanf(end + 1, " %*c %*d %*d %*d %*d %*d %lu", flags) == 1;
}

/* True for this process and its shell, which run only to take the inventory. */
static bool is_passing(int pid)
{
	return inventory_is_passing && (pid == getpid() || pid == getppid());
}

/* Add one line: `kernel PID NAME` or `user PID NAME`. */
static void add_task(struct json *answer, int proc, const char *pid)
{
	char path[32], text[1024], line[128], *name;
	unsigned long flags;
	ssize_t length;
	int file;

	snprintf(path, sizeof(path), "%.16s/stat", pid);
	file = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return; /* it has ended */
	length = read(file, text, sizeof(text) - 1);
	close(file);
	if (length <= 0)
		return;
	text[length] = '\0';
	if (!parse_stat(text, &name, &flags))
		return;
	snprintf(line, sizeof(line), "%s %.16s %.64s", flags & PF_KTHREAD ? "kernel" : "user", pid,
		 name);
	json_string(answer, NULL, line);
}

void source_tasks(const struct command *command, struct json *answer)
{
	DIR *proc = opendir("/proc");
	const struct dirent *entry;

	(void)command;
	if (!proc) {
		source_absent(answer, "/proc", errno);
		return;
	}
	json_open(answer, "entries", '[');
	while ((entry = readdir(proc)))
		if (isdigit((unsigned char)entry->d_name[0]) && !is_passing(atoi(entry->d_name)))
			add_task(answer, dirfd(proc), entry->d_name);
	json_close(answer, ']');
	closedir(proc);
}
