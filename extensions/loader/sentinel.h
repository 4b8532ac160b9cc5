/* SPDX-License-Identifier: GPL-2.0-only */
/* Sentinels: packets whose arrival proves that all earlier packets were received or dropped. */
#ifndef KEXT_SENTINEL_H
#define KEXT_SENTINEL_H

#include "json.h"

#include <stdint.h>

struct sentinel {
	int socket; /* -1: not open yet */
	uint64_t sent;
};

#define SENTINEL_CLOSED { .socket = -1 }

/*
 * Wait until this CPU has processed all packets in its receive queue, and those that were
 * sent in answer to them. The caller must be bound to one CPU and have sent from it.
 * Needs CAP_SYS_ADMIN. Returns 0, or -1 with a bad answer begun.
 */
int sentinel_drain(struct sentinel *sentinel, struct json *answer);
void sentinel_close(struct sentinel *sentinel);

#endif
