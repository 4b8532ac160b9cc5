/* SPDX-License-Identifier: GPL-2.0-only */
/* Read kernel memory by address, through /proc/kcore. */
#ifndef KEXT_CORE_H
#define KEXT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Addresses from VMCOREINFO; both are 0 if it has none. */
struct core_places {
	uint64_t moved; /* offset of the kernel's addresses from those in its vmlinux */
	uint64_t stext; /* address of the start of its text, with that offset */
};

extern struct core_places core;

/* Open /proc/kcore, once. Returns 0 or -errno, the same each time. */
int core_open(void);

/*
 * Read from an address; false if /proc/kcore does not have all of it. This never
 * faults: unmapped memory reads as zeros. `core_open` must have succeeded before.
 */
bool core_read(uint64_t address, void *data, size_t size);

#endif
