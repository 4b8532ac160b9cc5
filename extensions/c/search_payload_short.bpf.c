// SPDX-License-Identifier: GPL-2.0-only
/* search_payload with a bound that is small enough for the verifier. */
#define BOUND 1500
#include "search_payload.bpf.c"
