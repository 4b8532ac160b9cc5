/* SPDX-License-Identifier: GPL-2.0-only */
/* Values of maps. */
#ifndef KEXT_MAPS_H
#define KEXT_MAPS_H

#include "handle.h"

#include <stddef.h>
#include <stdint.h>

/* ringbuf.c: take up to `limit` samples out of a ring buffer. */
void read_ring(const struct map *map, uint64_t limit, struct json *answer);
/* maps.c: add a value in hex, and as a number if it has the size of one. */
void describe_value(struct json *answer, const uint8_t *value, size_t size);

#endif
