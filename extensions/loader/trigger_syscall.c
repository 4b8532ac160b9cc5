// SPDX-License-Identifier: GPL-2.0-only
/* Harmless system calls by name, page faults, and work in user space. */
#include "answer.h"
#include "trigger.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Each makes exactly one system call of its name, bypassing glibc, and undoes its effect. */
static long do_getpid(void) { return syscall(SYS_getpid); }
static long do_getppid(void) { return syscall(SYS_getppid); }
static long do_gettid(void) { return syscall(SYS_gettid); }
static long do_getuid(void) { return syscall(SYS_getuid); }
static long do_getgid(void) { return syscall(SYS_getgid); }
static long do_getpgid(void) { return syscall(SYS_getpgid, 0); }
static long do_sched_yield(void) { return syscall(SYS_sched_yield); }
static long do_umask(void) { return syscall(SYS_umask, 022); }

static long do_nanosleep(void)
{
	struct timespec shortest = { 0, 1 };

	return syscall(SYS_nanosleep, &shortest, NULL);
}

static long do_openat(void)
{
	long descriptor = syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC, 0);

	if (descriptor >= 0)
		close((int)descriptor);
	return descriptor;
}

static long do_close(void)
{
	int descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);

	return descriptor < 0 ? -1 : syscall(SYS_close, descriptor);
}

static int zero = -1, null = -1; /* opened once */

static long do_read(void)
{
	char byte;

	return syscall(SYS_read, zero, &byte, 1);
}

static long do_write(void)
{
	return syscall(SYS_write, null, "", 1);
}

static long do_fstat(void)
{
	struct stat status;

	return syscall(SYS_newfstatat, null, "", &status, AT_EMPTY_PATH);
}

static long do_getcwd(void)
{
	char path[4096];

	return syscall(SYS_getcwd, path, sizeof(path));
}

static long do_uname(void)
{
	char names[6 * 65];

	return syscall(SYS_uname, names);
}

static const struct {
	const char *name;
	long (*call)(void);
} system_calls[] = {
	{ "getpid", do_getpid },       { "getppid", do_getppid },
	{ "gettid", do_gettid },       { "getuid", do_getuid },
	{ "getgid", do_getgid },       { "getpgid", do_getpgid },
	{ "nanosleep", do_nanosleep }, { "openat", do_openat },
	{ "close", do_close },	       { "sched_yield", do_sched_yield },
	{ "read", do_read },	       { "write", do_write },
	{ "newfstatat", do_fstat },    { "getcwd", do_getcwd },
	{ "umask", do_umask },	       { "uname", do_uname },
};

#define SYSTEM_CALLS (sizeof(system_calls) / sizeof(system_calls[0]))

static int list_names(const char *name, struct json *answer)
{
	size_t i;

	fail(answer, "command", EINVAL, "no system call %.64s in the table", name);
	json_open(answer, "known", '[');
	for (i = 0; i < SYSTEM_CALLS; i++)
		json_string(answer, NULL, system_calls[i].name);
	json_close(answer, ']');
	return -1;
}

int64_t trigger_syscall(const char *name, uint64_t times, struct json *answer)
{
	uint64_t done;
	size_t i = 0;

	while (i < SYSTEM_CALLS && strcmp(system_calls[i].name, name))
		i++;
	if (i == SYSTEM_CALLS)
		return list_names(name, answer);
	zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (zero < 0 || null < 0)
		return fail(answer, "open", errno, "/dev/zero or /dev/null: %s", strerror(errno));
	for (done = 0; done < times; done++) {
		if (system_calls[i].call() >= 0)
			continue;
		/* A program may have changed the result; the scenario judges that. */
		fail(answer, "trigger", errno, "%s failed: %s", name, strerror(errno));
		json_unsigned(answer, "done", done);
		return -1;
	}
	return (int64_t)done;
}

int64_t trigger_pagefault(uint64_t times, struct json *answer)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	volatile char *page = mmap(NULL, size, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t done;

	if (page == MAP_FAILED)
		return fail(answer, "trigger", errno, "no page: %s", strerror(errno));
	for (done = 0; done < times; done++) {
		*page = 1;
		madvise((void *)page, size, MADV_DONTNEED); /* the next touch faults again */
	}
	munmap((void *)page, size);
	return (int64_t)done;
}

int64_t trigger_spin(uint64_t milliseconds)
{
	struct timespec start, now;
	int64_t rounds = 0;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		volatile unsigned int work;

		for (work = 0; work < 10000; work++)
			;
		rounds++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((now.tv_sec - start.tv_sec) * 1000 + (now.tv_nsec - start.tv_nsec) / 1000000 <
		 (int64_t)milliseconds);
	return rounds;
}
