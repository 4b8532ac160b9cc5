// SPDX-License-Identifier: GPL-2.0-only
#include "cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

int cpus_online(int *cpus, size_t capacity)
{
	FILE *file = fopen("/sys/devices/system/cpu/online", "re");
	char text[512], *at = text;
	size_t count = 0;

	if (!file)
		return -errno;
	if (!fgets(text, sizeof(text), file)) {
		fclose(file);
		return -EIO;
	}
	fclose(file);
	/* Ranges: "0-1,3" */
	while (*at && *at != '\n') {
		long first = strtol(at, &at, 10), last = first;

		if (*at == '-')
			last = strtol(at + 1, &at, 10);
		for (; first <= last && count < capacity; first++)
			cpus[count++] = (int)first;
		if (*at != ',')
			break;
		at++;
	}
	return count ? (int)count : -EIO;
}

int run_task_on_cpu(pid_t task, int cpu)
{
	cpu_set_t set;

	if (cpu < 0 || cpu >= CPU_SETSIZE)
		return -EINVAL;
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(task, sizeof(set), &set) ? -errno : 0;
}

int run_on_cpu(int cpu)
{
	return run_task_on_cpu(0, cpu);
}
