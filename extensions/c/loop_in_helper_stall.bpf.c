// SPDX-License-Identifier: GPL-2.0-only
/* Makes a helper that practically never returns: 8 Mi times 8 Mi calls take days. */
#define OUTER (8 << 20)
#define INNER (8 << 20)
#include "loop_in_helper.bpf.c"
