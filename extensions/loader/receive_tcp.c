// SPDX-License-Identifier: GPL-2.0-only
/*
 * Open connections to a socket of this process, one after the other. Neither side waits
 * for a TCP timer: if all packets are processed and no data has moved, a packet is lost,
 * and the connection is closed before TCP sends the packet again.
 */
#include "answer.h"
#include "receive.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
	int client, server; /* -1: none */
	size_t written, read;
	bool refused;
};

/* Close with a reset, so that TCP retransmits nothing and keeps no TIME_WAIT socket. */
static void end(int *descriptor)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };

	if (*descriptor < 0)
		return;
	(void)setsockopt(*descriptor, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*descriptor);
	*descriptor = -1;
}

/* Connect. Returns -1 on failure, with a bad answer begun unless a program refused it. */
static int begin(struct connection *connection, const struct exchange *exchange,
		 struct json *answer)
{
	connection->client = exchange_sender(exchange, SOCK_STREAM, answer);
	if (connection->client < 0)
		return -1;
	if (!connect(connection->client, (const struct sockaddr *)&exchange->to,
		     sizeof(exchange->to)) ||
	    errno == EINPROGRESS)
		return 0;
	connection->refused = is_refusal(errno);
	if (connection->refused)
		return 0;
	return fail(answer, "trigger", errno, "%s: not connected: %s", exchange->device,
		    strerror(errno));
}

static bool write_some(struct connection *connection, const struct exchange *exchange)
{
	ssize_t length;

	if (connection->written == exchange->size)
		return false;
	length = send(connection->client, exchange->sent + connection->written,
		      exchange->size - connection->written, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (length < 0) {
		connection->refused = is_refusal(errno);
		return false;
	}
	connection->written += (size_t)length;
	return length > 0;
}

/* Read bytes and compare them with those sent; leftovers of an earlier connection differ. */
static bool read_some(struct connection *connection, const struct exchange *exchange)
{
	ssize_t length;

	if (connection->server < 0) {
		connection->server = accept4(exchange->receiver, NULL, NULL,
					     SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (connection->server < 0)
			return false;
		connection->read = 0;
	}
	length = recv(connection->server, exchange->got, exchange->size - connection->read,
		      MSG_DONTWAIT);
	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length <= 0 ||
	    memcmp(exchange->got, exchange->sent + connection->read, (size_t)length)) {
		end(&connection->server);
		return true;
	}
	connection->read += (size_t)length;
	return true;
}

/* Send one packet's bytes. Returns 1 if all arrived, 0 if not, -1 with a bad answer begun. */
static int carry(struct connection *connection, struct exchange *exchange, struct json *answer)
{
	bool drained = false, moved;

	while (!connection->refused) {
		moved = write_some(connection, exchange);
		moved |= read_some(connection, exchange);
		if (connection->read == exchange->size)
			return 1;
		if (!moved && drained)
			return 0;
		if (!moved && sentinel_drain(&exchange->sentinel, answer))
			return -1;
		drained = !moved;
	}
	return 0;
}

int64_t receive_connections(struct exchange *exchange, uint64_t times, struct json *answer)
{
	uint64_t i, received = 0;
	int status = 0;

	for (i = 0; i < times && status >= 0; i++) {
		struct connection connection = { .client = -1, .server = -1 };

		exchange_stamp(exchange, i);
		status = begin(&connection, exchange, answer);
		if (!status)
			status = carry(&connection, exchange, answer);
		received += status > 0;
		end(&connection.client);
		end(&connection.server);
	}
	return status < 0 ? -1 : (int64_t)received;
}
