// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted: a program whose helper runs into another program's kprobe.
 *
 * `outer` runs on getpgid(2) and calls a helper; `inner` is a kprobe on that
 * helper. The kernel lets no kprobe or tracepoint program run inside another
 * on the same CPU: it drops the inner run, and counts it as a miss.
 */
#include "kext.h"

COUNTERS(counts, 2); /* runs of outer and of inner */

SEC("tracepoint/syscalls/sys_enter_getpgid")
int outer(void *ctx)
{
	char name[16];

	bpf_get_current_comm(name, sizeof(name));
	count(&counts, 0, 1);
	return 0;
}

SEC("kprobe/bpf_get_current_comm")
int inner(struct pt_regs *ctx)
{
	count(&counts, 1, 1);
	return 0;
}
