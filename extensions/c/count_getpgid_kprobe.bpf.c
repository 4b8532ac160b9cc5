// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary kprobe program: counts calls of getpgid(2). */
#include "kext.h"

COUNTERS(counts, 1);

SEC("kprobe/__x64_sys_getpgid")
int count_getpgid(struct pt_regs *ctx)
{
	count(&counts, 0, 1);
	return 0;
}
