// SPDX-License-Identifier: GPL-2.0-only
/* trap - a program that faults in user space: the kernel prints a line, and is well */
#include <string.h>

int main(int argc, char **argv)
{
	volatile int zero = 0;
	const char *how = argc > 1 ? argv[1] : "null";

	if (!strcmp(how, "ud2"))
		asm volatile("ud2");
	if (!strcmp(how, "gp"))
		*(volatile int *)0xdead000000000100UL = 1;
	if (!strcmp(how, "div"))
		return 1 / zero;
	return *(volatile int *)(long)zero;
}
