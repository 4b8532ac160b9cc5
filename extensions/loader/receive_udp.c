// SPDX-License-Identifier: GPL-2.0-only
/* Send datagrams to a socket of this process. */
#include "answer.h"
#include "receive.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Limits of the data in flight before the sender waits for it. */
#define MAX_PACKETS 32
#define MAX_BYTES 65536

/* True if this is the unchanged payload of packet `next` or later; its number goes to `number`. */
static bool is_ours(const struct exchange *exchange, ssize_t length, uint64_t next,
		    uint64_t *number)
{
	size_t before = exchange->size - sizeof(*number);

	if (length != (ssize_t)exchange->size || memcmp(exchange->got, exchange->sent, before))
		return false;
	memcpy(number, exchange->got + before, sizeof(*number));
	/* One CPU keeps the packets in order: an older number is a copy. */
	return *number >= next;
}

/* Read and count the packets that have arrived; `next` becomes the number after the last. */
static uint64_t take(const struct exchange *exchange, uint64_t *next)
{
	uint64_t count = 0, number;

	for (;;) {
		ssize_t length = recv(exchange->receiver, exchange->got, exchange->size,
				      MSG_DONTWAIT | MSG_TRUNC);

		if (length < 0 && errno != EINTR)
			return count;
		if (length >= 0 && is_ours(exchange, length, *next, &number)) {
			*next = number + 1;
			count++;
		}
	}
}

/* Send one packet. Returns 0 also if a program refused it. */
static int send_one(const struct exchange *exchange, int sender, struct json *answer)
{
	for (;;) {
		if (sendto(sender, exchange->sent, exchange->size, 0,
			   (const struct sockaddr *)&exchange->to, sizeof(exchange->to)) >= 0 ||
		    is_refusal(errno))
			return 0;
		if (errno != EINTR && errno != EAGAIN)
			return fail(answer, "trigger", errno, "%s: not sent: %s",
				    exchange->device, strerror(errno));
	}
}

int64_t receive_datagrams(struct exchange *exchange, uint64_t times, struct json *answer)
{
	int sender = exchange_sender(exchange, SOCK_DGRAM, answer);
	uint64_t i, next = 0, received = 0, under_way = 0;

	if (sender < 0)
		return -1;
	for (i = 0; i < times; i++) {
		exchange_stamp(exchange, i);
		if (send_one(exchange, sender, answer))
			break;
		received += take(exchange, &next);
		under_way = next == i + 1 ? 0 : under_way + 1;
		if (under_way < MAX_PACKETS && under_way * exchange->size < MAX_BYTES &&
		    (!under_way || i + 1 < times))
			continue;
		if (sentinel_drain(&exchange->sentinel, answer))
			break;
		received += take(exchange, &next);
		under_way = 0;
	}
	close(sender);
	return i < times ? -1 : (int64_t)received;
}
