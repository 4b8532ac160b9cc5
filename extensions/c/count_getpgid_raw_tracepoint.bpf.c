// SPDX-License-Identifier: GPL-2.0-only
/* An ordinary raw tracepoint program: sees all system calls, counts getpgid(2) and the others. */
#include "kext.h"

#define GETPGID 121 /* its number on x86-64 */

COUNTERS(counts, 2);

SEC("raw_tracepoint/sys_enter")
int count_getpgid(struct bpf_raw_tracepoint_args *ctx)
{
	/* The arguments are the registers and the number of the call. */
	count(&counts, ctx->args[1] == GETPGID ? 0 : 1, 1);
	return 0;
}
