/* SPDX-License-Identifier: GPL-2.0-only */
/* Count the packets that arrive at a socket. */
#ifndef KEXT_RECEIVE_H
#define KEXT_RECEIVE_H

#include "command.h"
#include "json.h"
#include "sentinel.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each payload ends with 8 random bytes of the run and the packet's number. */
#define NONCE 8
#define STAMP (NONCE + sizeof(uint64_t))

/* State of one trigger; no socket blocks. */
struct exchange {
	const char *device;
	bool any_device; /* the route selects the device, which is enough for loopback */
	struct sockaddr_in to;
	int receiver; /* bound to `to`; listens if it is a TCP socket */
	size_t size;
	uint8_t *sent, *got; /* `size` bytes each */
	struct sentinel sentinel;
};

/*
 * Run the command `packets` and count the packets that reached a socket of this process,
 * as "received" in the answer. Every packet is sent once: a dropped one is not sent again.
 * Returns how many were sent, or -1 with a bad answer begun.
 */
int64_t receive_packets(const struct command *command, uint64_t times, struct json *answer);

/* Write the packet's number into the payload that is sent next. */
void exchange_stamp(struct exchange *exchange, uint64_t number);

/*
 * Open a socket that sends over the exchange's device. Returns its descriptor, or -1 with
 * a bad answer begun.
 */
int exchange_sender(const struct exchange *exchange, int type, struct json *answer);

/* True if this errno means that a program or a filter refused the packet. */
bool is_refusal(int error);

/* Send `times` packets. Returns how many were received, or -1 with a bad answer begun. */
int64_t receive_datagrams(struct exchange *exchange, uint64_t times, struct json *answer);
int64_t receive_connections(struct exchange *exchange, uint64_t times, struct json *answer);

#endif
