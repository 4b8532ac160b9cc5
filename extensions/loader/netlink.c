// SPDX-License-Identifier: GPL-2.0-only
/* List tc filters by netlink: libbpf can only query a filter whose handle is known. */
#include "attach.h"

#include <errno.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct rtattr *attribute(const struct rtattr *at, size_t length, int type)
{
	for (; RTA_OK(at, length); at = RTA_NEXT(at, length))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return at;
	return NULL;
}

/* Return the program's id if the message describes a filter of kind bpf, else 0. */
static uint32_t filter_program(const struct nlmsghdr *message)
{
	const struct rtattr *kind, *options, *id;
	const struct rtattr *first = TCA_RTA(NLMSG_DATA(message));
	size_t length;

	if (message->nlmsg_len < NLMSG_LENGTH(sizeof(struct tcmsg)))
		return 0;
	length = TCA_PAYLOAD(message);
	kind = attribute(first, length, TCA_KIND);
	options = attribute(first, length, TCA_OPTIONS);
	if (!kind || !options || RTA_PAYLOAD(kind) < 4 || strcmp(RTA_DATA(kind), "bpf"))
		return 0;
	id = attribute(RTA_DATA(options), RTA_PAYLOAD(options), TCA_BPF_ID);
	return id && RTA_PAYLOAD(id) >= 4 ? *(const uint32_t *)RTA_DATA(id) : 0;
}

static int ask(int descriptor, int ifindex, uint32_t parent)
{
	struct {
		struct nlmsghdr header;
		struct tcmsg tc;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request),
			.nlmsg_type = RTM_GETTFILTER,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.tc = { .tcm_family = AF_UNSPEC, .tcm_ifindex = ifindex, .tcm_parent = parent },
	};

	return send(descriptor, &request, sizeof(request), 0) < 0 ? -errno : 0;
}

/* Read all answers of one dump. */
static int receive(int descriptor, int ifindex, const char *kind, tc_found found, void *context)
{
	char buf[32 << 10] __attribute__((aligned(NLMSG_ALIGNTO)));
	const struct nlmsghdr *message;

	for (;;) {
		ssize_t received = recv(descriptor, buf, sizeof(buf), 0);
		size_t length;

		if (received < 0 && errno == EINTR)
			continue;
		if (received <= 0)
			return received ? -errno : -EIO;
		length = (size_t)received;
		for (message = (const void *)buf; NLMSG_OK(message, length);
		     message = NLMSG_NEXT(message, length)) {
			uint32_t program;

			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR)
				return 0; /* a device without clsact has no filters */
			program = filter_program(message);
			if (program)
				found(context, ifindex, kind, program);
		}
	}
}

int tc_filters(int ifindex, tc_found found, void *context)
{
	static const struct {
		const char *kind;
		uint32_t parent;
	} sides[] = {
		{ "tc-ingress", TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) },
		{ "tc-egress", TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS) },
	};
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int error = 0;
	size_t i;

	if (descriptor < 0)
		return -errno;
	for (i = 0; i < 2 && !error; i++) {
		error = ask(descriptor, ifindex, sides[i].parent);
		if (!error)
			error = receive(descriptor, ifindex, sides[i].kind, found, context);
	}
	close(descriptor);
	return error;
}
