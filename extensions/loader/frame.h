/* SPDX-License-Identifier: GPL-2.0-only */
/* Test packets: Ethernet frames with an IPv4 and a UDP header. */
#ifndef KEXT_FRAME_H
#define KEXT_FRAME_H

#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADERS 42 /* 14 Ethernet + 20 IPv4 + 8 UDP */

/*
 * Fill `size` bytes with a frame to UDP `port` from 127.0.0.1 to 127.0.0.1;
 * its payload is the bytes 0, 1, 2, ... Shorter frames are cut off.
 */
void make_frame(uint8_t *frame, size_t size, uint16_t port);

#endif
