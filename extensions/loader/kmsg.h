/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's log. */
#ifndef KEXT_KMSG_H
#define KEXT_KMSG_H

/* Open the log at its current end. Returns a descriptor, or -errno. */
int kernel_log_open(void);
/* Read the lines since then that begin with `prefix`; free them. NULL: no memory. */
char *kernel_log_lines(int log, const char *prefix);

#endif
