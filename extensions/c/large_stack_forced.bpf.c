// SPDX-License-Identifier: GPL-2.0-only
// clang: -mllvm -bpf-stack-size=1024
/* large_stack without the compiler's check: now the verifier sees it. */
#include "large_stack.bpf.c"
