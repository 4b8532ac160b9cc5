/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef KEXT_CPUS_H
#define KEXT_CPUS_H

#include <stddef.h>
#include <sys/types.h>

#define MAX_CPUS 1024

/* Store up to `capacity` numbers of online CPUs. Returns how many, or -errno. */
int cpus_online(int *cpus, size_t capacity);

/* Bind a task (or the calling thread) to one CPU. Returns 0 or -errno. */
int run_task_on_cpu(pid_t task, int cpu);
int run_on_cpu(int cpu);

#endif
