// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU keeps packets to receive in one FIFO queue for all network namespaces
 * (softnet_data.input_pkt_queue), and polls its other sources of packets in turn with
 * that queue. A sentinel is a packet over the loopback device of a private namespace. It
 * queues behind all others, and no program under test can see it: XDP and tc programs
 * belong to a device, and a packet socket is not subject to programs of cgroups. When it
 * arrives, all packets that were queued before it have been delivered or dropped.
 */
#include "answer.h"
#include "sentinel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define ETHERTYPE 0x88b5 /* for local experiments, IEEE Std 802 */

/*
 * Each sentinel proves one hop. A connection needs three of them, its data and their
 * acknowledgement two more, and a device whose queue is polled 64 packets at a time
 * needs another poll.
 */
#define HOPS 8

#define TIMEOUT_MS 10000 /* the caller's own deadline is usually shorter */

static int turn_loopback_on(int descriptor)
{
	struct ifreq request = { .ifr_name = "lo" };

	if (ioctl(descriptor, SIOCGIFFLAGS, &request))
		return -1;
	request.ifr_flags |= IFF_UP;
	return ioctl(descriptor, SIOCSIFFLAGS, &request);
}

/* Open a packet socket on the loopback device of the caller's namespace. Returns it, or -1. */
static int open_on_loopback(void)
{
	struct sockaddr_ll address = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETHERTYPE),
		.sll_ifindex = (int)if_nametoindex("lo"),
	};
	int descriptor = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETHERTYPE));

	if (descriptor < 0)
		return -1;
	if (!turn_loopback_on(descriptor) &&
	    !bind(descriptor, (const struct sockaddr *)&address, sizeof(address)))
		return descriptor;
	close(descriptor);
	return -1;
}

static int open_sentinel(struct sentinel *sentinel, struct json *answer)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), error = 0;

	if (home < 0 || unshare(CLONE_NEWNET)) {
		error = errno;
	} else {
		sentinel->socket = open_on_loopback();
		error = sentinel->socket < 0 ? errno : 0;
		/* The socket keeps its namespace. */
		if (setns(home, CLONE_NEWNET))
			error = errno;
	}
	if (home >= 0)
		close(home);
	if (error)
		return fail(answer, "trigger", error, "no sentinel for packets: %s",
			    strerror(error));
	return 0;
}

static int send_and_wait(struct sentinel *sentinel, struct json *answer)
{
	struct sockaddr_ll to;
	struct pollfd poller = { .fd = sentinel->socket, .events = POLLIN };
	socklen_t size = sizeof(to);
	uint64_t number = ++sentinel->sent, got = 0;

	if (getsockname(sentinel->socket, (struct sockaddr *)&to, &size))
		return fail(answer, "trigger", errno, "no sentinel: %s", strerror(errno));
	to.sll_halen = 6; /* its address is that of the device, all zeros */
	if (sendto(sentinel->socket, &number, sizeof(number), 0, (const struct sockaddr *)&to,
		   sizeof(to)) != sizeof(number))
		return fail(answer, "trigger", errno, "sentinel not sent: %s", strerror(errno));
	while (got != number) {
		int ready = poll(&poller, 1, TIMEOUT_MS);

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return fail(answer, "trigger", ETIMEDOUT,
				    "the packets that this CPU has to receive stay in its queue");
		if (recv(sentinel->socket, &got, sizeof(got), MSG_DONTWAIT) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return fail(answer, "trigger", errno, "sentinel lost: %s",
				    strerror(errno));
	}
	return 0;
}

int sentinel_drain(struct sentinel *sentinel, struct json *answer)
{
	int hop;

	if (sentinel->socket < 0 && open_sentinel(sentinel, answer))
		return -1;
	for (hop = 0; hop < HOPS; hop++)
		if (send_and_wait(sentinel, answer))
			return -1;
	return 0;
}

void sentinel_close(struct sentinel *sentinel)
{
	if (sentinel->socket >= 0)
		close(sentinel->socket);
	sentinel->socket = -1;
}
