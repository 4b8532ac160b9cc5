// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted: an endless loop with a may_goto in it.
 *
 * The kernel counts may_goto's own budget down and leaves the loop after 8 Mi
 * rounds, without telling the program.
 */
#include "kext.h"

COUNTERS(counts, 1); /* rounds */

/*
 * The instruction: opcode 0xe5 (BPF_JMP | BPF_JCOND), source register 0, then
 * the distance in instructions. It is written as bytes, so that clang and the headers
 * need not know its name.
 */
#define may_goto(label)                                                 \
	asm volatile goto("1: .byte 0xe5, 0\n"                          \
			  ".long ((%l[" #label "] - 1b - 8) / 8) & 0xffff\n" \
			  ".short 0\n" : : : : label)

SEC("tracepoint/syscalls/sys_enter_getpgid")
int may_goto_forever(void *ctx)
{
	__u64 rounds = 0;

	for (;;) {
		may_goto(out);
		rounds++;
		barrier_var(rounds);
	}
out:
	count(&counts, 0, rounds);
	return 0;
}
