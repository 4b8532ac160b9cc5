// SPDX-License-Identifier: GPL-2.0-only
/* Send UDP packets: by a socket over a loopback device, as raw frames over any other. */
#include "answer.h"
#include "frame.h"
#include "receive.h"
#include "trigger.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_PAYLOAD 65507 /* of UDP over IPv4 */
#define DISCARD 9	  /* a port without a listener */
#define MAX_REFUSED 10000 /* failed sends to a full queue, for all packets together */

struct packets {
	int socket;
	const uint8_t *bytes;
	size_t size;
	const struct sockaddr *address;
	socklen_t address_size;
};

static int64_t send_all(const struct packets *packets, const char *device, uint64_t times,
			struct json *answer)
{
	uint64_t done = 0, refused = 0;

	while (done < times) {
		if (sendto(packets->socket, packets->bytes, packets->size, 0, packets->address,
			   packets->address_size) >= 0) {
			done++;
			continue;
		}
		if (errno == EINTR)
			continue;
		/*
		 * Either the device's queue is full, which is temporary, or a program dropped the
		 * packet on its way out. Such a program has run, and will drop the next one, too.
		 */
		if (errno == ENOBUFS) {
			done += ++refused > MAX_REFUSED;
			continue;
		}
		fail(answer, "trigger", errno, "%s: not sent: %s", device, strerror(errno));
		json_unsigned(answer, "done", done);
		return -1;
	}
	return (int64_t)done;
}

static int64_t over_loopback(struct packets *packets, const char *device, uint16_t port,
			     uint64_t times, struct json *answer)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int listener;
	int64_t done;

	/*
	 * A socket must be bound, or each packet makes the kernel send an ICMP
	 * "port unreachable" over the same device. Unread packets are dropped.
	 * A port in use already has its listener.
	 */
	listener = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (listener < 0)
		return fail(answer, "trigger", errno, "no UDP socket: %s", strerror(errno));
	if (bind(listener, (const struct sockaddr *)&to, sizeof(to)) && errno != EADDRINUSE) {
		fail(answer, "trigger", errno, "port %u: %s", port, strerror(errno));
		close(listener);
		return -1;
	}
	packets->socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (packets->socket < 0) {
		fail(answer, "trigger", errno, "no UDP socket: %s", strerror(errno));
		close(listener);
		return -1;
	}
	packets->address = (const struct sockaddr *)&to;
	packets->address_size = sizeof(to);
	packets->bytes += FRAME_HEADERS;
	packets->size -= FRAME_HEADERS;
	done = send_all(packets, device, times, answer);
	close(listener);
	return done;
}

static int64_t as_frames(struct packets *packets, const char *device, uint64_t times,
			 struct json *answer)
{
	struct sockaddr_ll to = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_IP),
		.sll_ifindex = (int)if_nametoindex(device),
		.sll_halen = ETH_ALEN,
	};

	memcpy(to.sll_addr, packets->bytes, ETH_ALEN);
	/* Protocol 0: this socket only sends. */
	packets->socket = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (packets->socket < 0)
		return fail(answer, "trigger", errno, "no packet socket: %s", strerror(errno));
	packets->address = (const struct sockaddr *)&to;
	packets->address_size = sizeof(to);
	return send_all(packets, device, times, answer);
}

/* True if the device is a loopback; -1 with a bad answer begun if there is no such device. */
static int is_loopback(const char *device, struct json *answer)
{
	struct ifreq request = { 0 };
	int descriptor, error = 0;

	if (strlen(device) >= sizeof(request.ifr_name))
		return fail(answer, "command", ENODEV, "no device %.64s", device);
	strcpy(request.ifr_name, device);
	descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || ioctl(descriptor, SIOCGIFFLAGS, &request))
		error = errno;
	if (descriptor >= 0)
		close(descriptor);
	if (error)
		return fail(answer, "command", error, "%s: %s", device, strerror(error));
	return !!(request.ifr_flags & IFF_LOOPBACK);
}

/* Refuse keys that describe the way to a receiver; without a receiver they would be ignored. */
static int refuse_receivers_keys(const struct command *command, struct json *answer)
{
	static const char *const keys[] = { "protocol", "to", "netns", "to_netns" };
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (command_value(command, keys[i]))
			return fail(answer, "command", EINVAL, "%s= needs receive=1", keys[i]);
	return 0;
}

int64_t trigger_packets(const struct command *command, uint64_t times, struct json *answer)
{
	const char *device = command_value(command, "dev");
	struct packets packets = { .socket = -1 };
	uint64_t size, port, receive;
	uint8_t *frame;
	int64_t done;
	int loopback;

	if (command_number(command, "receive", 0, 1, 0, &receive, answer))
		return -1;
	if (receive)
		return receive_packets(command, times, answer);
	loopback = is_loopback(device, answer);
	if (loopback < 0 || refuse_receivers_keys(command, answer) ||
	    command_number(command, "size", 0, MAX_PAYLOAD, 64, &size, answer) ||
	    command_number(command, "port", 1, 65535, DISCARD, &port, answer))
		return -1;
	frame = calloc(1, FRAME_HEADERS + size);
	if (!frame)
		return fail(answer, "trigger", ENOMEM, "no memory");
	make_frame(frame, FRAME_HEADERS + size, (uint16_t)port);
	packets.bytes = frame;
	packets.size = FRAME_HEADERS + size;
	if (loopback)
		done = over_loopback(&packets, device, (uint16_t)port, times, answer);
	else
		done = as_frames(&packets, device, times, answer);
	if (packets.socket >= 0)
		close(packets.socket);
	free(frame);
	return done;
}
