// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accepted, and stalls the kernel: 8 Mi times 8 Mi, by nested bpf_loop.
 *
 * 2^46 calls take days. Nothing can end a running BPF program: the CPU is lost
 * until the machine is reset.
 */
#define OUTER (8 << 20)
#define INNER (8 << 20)
#include "loop_nested.bpf.c"
