// SPDX-License-Identifier: GPL-2.0-only
/* Code shared by both protocols: namespaces, sockets, and the recognizable payload. */
#include "answer.h"
#include "cpus.h"
#include "receive.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_SIZE 65507 /* of UDP over IPv4 */
#define DISCARD 9
#define BUFFER (8 << 20) /* holds packets until they are read */

bool is_refusal(int error)
{
	return error == EPERM || error == ECONNREFUSED || error == ECONNRESET || error == EPIPE;
}

void exchange_stamp(struct exchange *exchange, uint64_t number)
{
	memcpy(exchange->sent + exchange->size - sizeof(number), &number, sizeof(number));
}

/* Enter the namespace of `path`, if it is given. Returns 0, or -1 with a bad answer begun. */
static int enter(const char *path, struct json *answer)
{
	int descriptor, error = 0;

	if (!path)
		return 0;
	descriptor = open(path, O_RDONLY | O_CLOEXEC);
	if (descriptor < 0 || setns(descriptor, CLONE_NEWNET))
		error = errno;
	if (descriptor >= 0)
		close(descriptor);
	if (error)
		return fail(answer, "command", error, "network namespace %s: %s", path,
			    strerror(error));
	return 0;
}

static int open_receiver(struct exchange *exchange, int type, struct json *answer)
{
	int buffer = BUFFER, descriptor;

	descriptor = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (descriptor < 0)
		return fail(answer, "trigger", errno, "no socket: %s", strerror(errno));
	exchange->receiver = descriptor;
	/* This may fail: the default buffer is too small only if the CPU is slow. */
	(void)setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
	if (bind(descriptor, (const struct sockaddr *)&exchange->to, sizeof(exchange->to)) ||
	    (type == SOCK_STREAM && listen(descriptor, SOMAXCONN)))
		return fail(answer, "trigger", errno, "no receiver on %s, port %u: %s",
			    inet_ntoa(exchange->to.sin_addr), ntohs(exchange->to.sin_port),
			    strerror(errno));
	return 0;
}

/* Open the receiver in its namespace, then move the caller to the sender's. */
static int open_between(struct exchange *exchange, const struct command *command, int type,
			struct json *answer)
{
	const char *from = command_value(command, "netns");
	const char *into = command_value(command, "to_netns");
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), status;

	if (home < 0)
		return fail(answer, "trigger", errno, "no namespaces: %s", strerror(errno));
	status = enter(into, answer) || open_receiver(exchange, type, answer);
	if (!status && into && setns(home, CLONE_NEWNET))
		status = fail(answer, "trigger", errno, "not back: %s", strerror(errno));
	close(home);
	return status || enter(from, answer) ? -1 : 0;
}

/* Find out if the device is a loopback device, which needs no address. */
static int look_at_device(struct exchange *exchange, const struct command *command,
			  struct json *answer)
{
	struct ifreq request = { 0 };
	int descriptor, error = 0;

	if (strlen(exchange->device) >= sizeof(request.ifr_name))
		return fail(answer, "command", ENODEV, "no device %.64s", exchange->device);
	strcpy(request.ifr_name, exchange->device);
	descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (descriptor < 0 || ioctl(descriptor, SIOCGIFFLAGS, &request))
		error = errno;
	if (descriptor >= 0)
		close(descriptor);
	if (error)
		return fail(answer, "command", error, "%s: %s", exchange->device, strerror(error));
	exchange->any_device = request.ifr_flags & IFF_LOOPBACK;
	if (!exchange->any_device && !command_value(command, "to"))
		return fail(answer, "command", EINVAL, "%s is not a loopback device: packets needs "
			    "the key to, a receiver's address", exchange->device);
	return 0;
}

int exchange_sender(const struct exchange *exchange, int type, struct json *answer)
{
	int descriptor = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (descriptor < 0)
		return fail(answer, "trigger", errno, "no socket: %s", strerror(errno));
	if (exchange->any_device ||
	    !setsockopt(descriptor, SOL_SOCKET, SO_BINDTODEVICE, exchange->device,
			(socklen_t)strlen(exchange->device) + 1))
		return descriptor;
	fail(answer, "trigger", errno, "not bound to %s: %s", exchange->device, strerror(errno));
	close(descriptor);
	return -1;
}

static int make_payload(struct exchange *exchange, struct json *answer)
{
	uint8_t *nonce;
	size_t i;

	exchange->sent = malloc(exchange->size);
	exchange->got = malloc(exchange->size);
	if (!exchange->sent || !exchange->got)
		return fail(answer, "trigger", ENOMEM, "no memory");
	for (i = 0; i < exchange->size; i++)
		exchange->sent[i] = (uint8_t)i;
	nonce = exchange->sent + exchange->size - STAMP;
	if (getrandom(nonce, NONCE, 0) != NONCE)
		return fail(answer, "trigger", errno, "no random bytes: %s", strerror(errno));
	return 0;
}

/* Bind the process to its CPU: sentinels prove something about one CPU only. */
static int stay_here(struct json *answer)
{
	int error = run_on_cpu(sched_getcpu());

	if (error)
		return fail(answer, "cpu", error, "not bound to a CPU: %s", strerror(-error));
	return 0;
}

static int64_t exchange_all(struct exchange *exchange, const struct command *command,
			    uint64_t times, struct json *answer)
{
	const char *protocol = command_value(command, "protocol");
	bool tcp = protocol && !strcmp(protocol, "tcp");
	int64_t received;

	if (protocol && !tcp && strcmp(protocol, "udp"))
		return fail(answer, "command", EINVAL, "protocol=%.16s: tcp or udp", protocol);
	if (open_between(exchange, command, tcp ? SOCK_STREAM : SOCK_DGRAM, answer) ||
	    look_at_device(exchange, command, answer) || make_payload(exchange, answer) ||
	    stay_here(answer))
		return -1;
	received = tcp ? receive_connections(exchange, times, answer)
		       : receive_datagrams(exchange, times, answer);
	if (received < 0)
		return -1;
	json_unsigned(answer, "received", (uint64_t)received);
	return (int64_t)times;
}

int64_t receive_packets(const struct command *command, uint64_t times, struct json *answer)
{
	struct exchange exchange = {
		.device = command_value(command, "dev"),
		.to = { .sin_family = AF_INET },
		.receiver = -1,
		.sentinel = SENTINEL_CLOSED,
	};
	const char *to = command_value(command, "to");
	uint64_t size, port;
	int64_t done;

	if (command_number(command, "size", STAMP, MAX_SIZE, 64, &size, answer) ||
	    command_number(command, "port", 1, 65535, DISCARD, &port, answer))
		return -1;
	if (inet_pton(AF_INET, to ? to : "127.0.0.1", &exchange.to.sin_addr) != 1)
		return fail(answer, "command", EINVAL, "to=%.64s: no IPv4 address", to);
	exchange.to.sin_port = htons((uint16_t)port);
	exchange.size = size;
	done = exchange_all(&exchange, command, times, answer);
	sentinel_close(&exchange.sentinel);
	if (exchange.receiver >= 0)
		close(exchange.receiver);
	free(exchange.sent);
	free(exchange.got);
	return done;
}
