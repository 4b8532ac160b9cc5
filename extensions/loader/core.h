/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's memory by address, through /proc/kcore. */
#ifndef KEXT_CORE_H
#define KEXT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the kernel says of itself in VMCOREINFO; both 0 if it says nothing. */
struct core_places {
	uint64_t moved; /* by how much its addresses differ from its vmlinux's */
	uint64_t stext; /* where its text begins after that */
};

extern struct core_places core;

/* 0 or -errno, the same each time: it is opened once. */
int core_open(void);

/*
 * Read from an address; false if /proc/kcore does not have all of it. It never faults,
 * and what is mapped nowhere reads as zeros. `core_open` has succeeded before.
 */
bool core_read(uint64_t address, void *data, size_t size);

#endif
