// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary fentry program: called through a trampoline, counts calls of getpgid(2). */
#include "kext.h"

COUNTERS(counts, 1);

SEC("fentry/__x64_sys_getpgid")
int count_getpgid(void *ctx)
{
	count(&counts, 0, 1);
	return 0;
}
