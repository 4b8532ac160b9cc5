// SPDX-License-Identifier: GPL-2.0-only
/*
 * A Rex image for the tests of stacks: frames of exactly known sizes, functions
 * without room for the kernel's check, and frames that are not as large as is said.
 */
#include "image.h"

MAP(counts, 2, 4, 8, 4, -1);
MAP(locked, 2, 4, 8, 1, 0);
MAP(ring, 27, 0, 0, 4096, -1);

#define PROGRAM(name, fallback) PROGRAM_OF(17, name, fallback, 16, "")

static void hold_all(void)
{
	u32 key = 0;

	rex_task_current();
	rex_rcu_lock();
	rex_ringbuf_reserve(ring.map, 8);
	rex_spin_lock(rex_map_lookup(locked.map, &key));
}

/* Attached elsewhere while another is run. */
PROGRAM(counts_others, 1)
{
	u32 key = 2;

	__atomic_fetch_add((u64 *)rex_map_lookup(counts.map, &key), 1, __ATOMIC_RELAXED);
	return 0;
}

static APART int descend(volatile char *above)
{
	volatile char room[16];

	room[0] = *above;
	return descend(room) + room[0];
}

PROGRAM(recurses, 7)
{
	volatile char top = 0;

	return descend(&top);
}

/* Nothing but the end of the stack stops this one. */
static UNCHECKED int sink(volatile char *above)
{
	volatile char room[16];

	room[0] = *above;
	return sink(room) + room[0];
}

PROGRAM(sinks, 7)
{
	volatile char top = 0;

	return sink(&top);
}

PROGRAM(sinks_holding, 7)
{
	volatile char top = 0;

	hold_all();
	return sink(&top);
}

/* With interrupts off, so that none comes where there is no room for its handler. */
PROGRAM(sinks_disturbing, 7)
{
	volatile char top = 0;

	__asm__ volatile("cli");
	return sink(&top);
}

/* So near to the end of its stack that nothing can be pushed for an interrupt. */
#define WAITS(left)									\
	PROGRAM(waits_with_##left, 7)							\
	{										\
		__asm__ volatile("andq $-65536, %%rsp\n\taddq %0, %%rsp\n"		\
				 "1:\tpause\n\tjmp 1b" :: "r"(left##ul) : "memory");	\
		return 0;								\
	}

WAITS(0)
WAITS(8)
WAITS(16)
WAITS(32)

/*
 * A function that says to take @said bytes and takes @taken, of which it writes the
 * lowest, and then does @also. It returns 5.
 */
#define FRAME(name, said, taken, also)							\
	__attribute__((visibility("hidden"))) int name(u64 *context);			\
	ENTRY_OF(17, name, 7, 16, "")							\
	__asm__(".pushsection .text\n\t.globl " #name "\n\t.type " #name ", @function\n" \
		#name ":\n\t.rept 22\n\tnop\n\t.endr\n\t"				\
		"subq $" #taken ", %rsp\n\tmovq $1, (%rsp)\n\t" also			\
		"addq $" #taken ", %rsp\n\tmovl $5, %eax\n\tret\n\t"			\
		".size " #name ", .-" #name "\n\t.popsection\n\t"			\
		".pushsection .stack_sizes,\"o\",@progbits,.text\n\t"			\
		".quad " #name "\n\t.uleb128 " #said "\n\t.popsection")

#define CALL "call *rex_cpu@GOTPCREL(%rip)\n\t"

/*
 * 65,536 bytes, less 8,192 that stay free and 24 that are used when a program begins,
 * and one word more. A call pushes where it returns to.
 */
FRAME(takes_57320, 57320, 57320, "");
FRAME(takes_57328, 57328, 57328, "");
FRAME(calls_with_57304, 57304, 57304, CALL);
FRAME(calls_with_57320, 57320, 57320, CALL);
/* With KASAN 24,576 stay free. */
FRAME(takes_40936, 40936, 40936, "");
FRAME(takes_40944, 40944, 40944, "");
FRAME(calls_with_40920, 40920, 40920, CALL);
FRAME(calls_with_40936, 40936, 40936, CALL);
/* What is said counts. */
FRAME(says_the_whole_stack, 65536, 8, "");
FRAME(says_4_gib, 0x100000000, 8, "");
FRAME(says_all, 0x7fffffffffffffff, 8, "");
FRAME(says_nothing, 0, 8, "");
/* With no room this would not be loaded. */
FRAME(is_large, 2000, 2000, "");
