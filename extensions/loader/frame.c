// SPDX-License-Identifier: GPL-2.0-only
#include "frame.h"

#include <string.h>

static void put16(uint8_t *at, unsigned int number)
{
	at[0] = (uint8_t)(number >> 8);
	at[1] = (uint8_t)number;
}

static unsigned int checksum(const uint8_t *at, size_t length)
{
	unsigned int sum = 0;
	size_t i;

	for (i = 0; i + 1 < length; i += 2)
		sum += (unsigned int)(at[i] << 8 | at[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

void make_frame(uint8_t *frame, size_t size, uint16_t port)
{
	/* Locally administered addresses, which no device has. */
	static const uint8_t ethernet[14] = { 2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0 };
	uint8_t headers[FRAME_HEADERS] = { 0 };
	uint8_t *ip = headers + 14, *udp = headers + 34;
	size_t i, inside = size > FRAME_HEADERS ? size - 14 : FRAME_HEADERS - 14;

	memcpy(headers, ethernet, sizeof(ethernet));
	ip[0] = 0x45; /* version 4, 5 words */
	put16(ip + 2, (unsigned int)inside);
	ip[8] = 64;  /* hops */
	ip[9] = 17;  /* UDP */
	ip[12] = ip[16] = 127;
	ip[15] = ip[19] = 1;
	put16(ip + 10, checksum(ip, 20));
	put16(udp, port);
	put16(udp + 2, port);
	put16(udp + 4, (unsigned int)inside - 20);
	/* A UDP checksum of 0 means that there is none. */
	for (i = 0; i < size; i++)
		frame[i] = i < FRAME_HEADERS ? headers[i] : (uint8_t)(i - FRAME_HEADERS);
}
