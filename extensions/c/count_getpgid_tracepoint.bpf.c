// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary tracepoint program: counts calls of getpgid(2). */
#include "kext.h"

COUNTERS(counts, 1);

SEC("tracepoint/syscalls/sys_enter_getpgid")
int count_getpgid(struct trace_event_raw_sys_enter *ctx)
{
	count(&counts, 0, 1);
	return 0;
}
