/* SPDX-License-Identifier: GPL-2.0-only
 *
 * The tiny guest with which an accelerator proves itself. It does what every
 * kernel does first, and writes one letter to the serial port after each part:
 *
 *   p  protected mode is entered          t  a timer interrupt came
 *   l  long mode, with its own tables     e  a thousand exits (CPUID)
 *                                         w  20 million iterations in ring 0
 *
 * Then it leaves QEMU through isa-debug-exit. lab/vm/accel.py holds the bytes,
 * so that the probe needs no assembler; a test assembles this file and compares.
 */
#define BASE     0x100000		/* where the multiboot header loads it */
#define TABLES   0x110000		/* page tables; the stack is below them */
#define IDT      0x118000
#define TOP      0x120000
#define COM1     0x3f8
#define EXIT     0xf4
#define LAPIC    0xfee00000
#define EFER     0xc0000080
#define AT(label) (BASE + label - header)

	.macro mark letter
	mov $\letter, %al
	mov $COM1, %edx
	out %al, %dx
	.endm

	.text
	.code32
header:	/* multiboot, with load addresses: the file needs no other format */
	.long 0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000)
	.long BASE, BASE, 0, TOP, AT(start)

start:
	cli
	mark 'p'
	/* An identity map of 4 GiB with pages of 2 MiB. */
	mov $TABLES, %edi
	xor %eax, %eax
	mov $0x1800, %ecx
	rep stosl
	movl $TABLES + 0x1003, TABLES
	mov $TABLES + 0x2003, %eax
	mov $TABLES + 0x1000, %edi
1:	mov %eax, (%edi)
	add $0x1000, %eax
	add $8, %edi
	cmp $TABLES + 0x1020, %edi
	jne 1b
	mov $0x83, %eax
	mov $TABLES + 0x2000, %edi
2:	mov %eax, (%edi)
	add $0x200000, %eax
	add $8, %edi
	cmp $TABLES + 0x6000, %edi
	jne 2b
	/* PAE, tables, long mode, paging. */
	mov %cr4, %eax
	or $0x20, %eax
	mov %eax, %cr4
	mov $TABLES, %eax
	mov %eax, %cr3
	mov $EFER, %ecx
	rdmsr
	or $0x100, %eax
	wrmsr
	mov %cr0, %eax
	or $0x80000000, %eax
	mov %eax, %cr0
	lgdt AT(gdtr)
	ljmp $8, $AT(long_mode)

	.code64
long_mode:
	mov $0x10, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %ss
	mov $TABLES, %esp
	mark 'l'
	/* One interrupt gate, at vector 32. */
	mov $IDT, %edi
	xor %eax, %eax
	mov $0x100, %ecx
	rep stosl
	mov $IDT + 32 * 16, %edi
	movl $0x00080000 + handler - header, (%rdi)
	movl $(BASE & 0xffff0000) + 0x8e00, 4(%rdi)
	lidt AT(idtr)
	/* The old interrupt controllers stay quiet; the local APIC's timer fires once. */
	mov $0xff, %al
	out %al, $0x21
	out %al, $0xa1
	mov $LAPIC, %edi
	movl $0x1ff, 0xf0(%rdi)
	movl $0xb, 0x3e0(%rdi)
	movl $0x20, 0x320(%rdi)
	movl $100000, 0x380(%rdi)
	xor %ebp, %ebp
	sti
3:	hlt
	test %ebp, %ebp
	jz 3b
	cli
	mark 't'
	mov $1000, %esi
4:	xor %eax, %eax
	cpuid
	dec %esi
	jnz 4b
	mark 'e'
	mov $20000000, %ecx
5:	dec %ecx
	jnz 5b
	mark 'w'
	mov $0x10, %al
	out %al, $EXIT
6:	hlt
	jmp 6b

handler:
	inc %ebp
	mov $LAPIC, %eax
	movl $0, 0xb0(%rax)
	iretq

	.balign 8
gdt:	.quad 0, 0x00209a0000000000, 0x0000920000000000
gdtr:	.word 23
	.long AT(gdt)
idtr:	.word 33 * 16 - 1
	.quad IDT
