// SPDX-License-Identifier: GPL-2.0-only
/* search_payload with a bound that the verifier has the patience for. */
#define BOUND 1500
#include "search_payload.bpf.c"
