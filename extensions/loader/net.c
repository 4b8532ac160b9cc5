// SPDX-License-Identifier: GPL-2.0-only
/*
 * Attach programs to network devices.
 *
 * XDP is attached by a link. The kernel removes it when its last descriptor is
 * closed, so it never outlives this process. A tc filter is no link. It is removed
 * on detach, on exit and on SIGTERM; after SIGKILL it stays, with its program and
 * its qdisc, until it is removed by hand. `kextload bpf-objects` lists it, so that
 * the lab sees what was left behind.
 */
#include "attach.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clsact qdiscs that this process created, and how many of its filters are on them. */
struct created_qdisc {
	struct created_qdisc *next;
	int ifindex;
	unsigned int filters;
};

static struct created_qdisc *created_qdiscs;

static int device_index(const char *device)
{
	unsigned int index = if_nametoindex(device);

	return index ? (int)index : -ENODEV;
}

int attach_xdp(struct attachment *attachment, int program, const char *device)
{
	LIBBPF_OPTS(bpf_link_create_opts, generic, .flags = XDP_FLAGS_SKB_MODE);
	int ifindex = device_index(device), link;

	if (ifindex < 0)
		return ifindex;
	link = bpf_link_create(program, ifindex, BPF_XDP, NULL);
	/* The driver can't run XDP (in its current setup); generic XDP always works. */
	if (link < 0)
		link = bpf_link_create(program, ifindex, BPF_XDP, &generic);
	return keep_link(attachment, link);
}

static struct created_qdisc *created_on(int ifindex)
{
	struct created_qdisc *qdisc;

	for (qdisc = created_qdiscs; qdisc; qdisc = qdisc->next)
		if (qdisc->ifindex == ifindex)
			return qdisc;
	return NULL;
}

/* Create the qdisc that tc programs attach to, unless there is one. */
static int ensure_qdisc(struct bpf_tc_hook *hook)
{
	struct created_qdisc *qdisc;
	int error;

	if (created_on(hook->ifindex))
		return 0;
	qdisc = calloc(1, sizeof(*qdisc));
	if (!qdisc)
		return -ENOMEM;
	error = bpf_tc_hook_create(hook);
	if (error) {
		free(qdisc);
		return error == -EEXIST ? 0 : error; /* not created here, so never removed here */
	}
	qdisc->ifindex = hook->ifindex;
	qdisc->next = created_qdiscs;
	created_qdiscs = qdisc;
	return 0;
}

/* Remove the qdisc together with this process's last filter, if this process created it. */
static void drop_qdisc(int ifindex)
{
	LIBBPF_OPTS(bpf_tc_hook, both, .ifindex = ifindex,
		    .attach_point = BPF_TC_INGRESS | BPF_TC_EGRESS);
	struct created_qdisc **place = &created_qdiscs, *qdisc = created_on(ifindex);

	if (!qdisc || qdisc->filters)
		return;
	while (*place != qdisc)
		place = &(*place)->next;
	*place = qdisc->next;
	free(qdisc);
	bpf_tc_hook_destroy(&both);
}

int attach_tc(struct attachment *attachment, int program, const char *where)
{
	LIBBPF_OPTS(bpf_tc_hook, hook);
	LIBBPF_OPTS(bpf_tc_opts, filter, .prog_fd = program);
	const char *slash = strrchr(where, '/');
	char device[IF_NAMESIZE];
	int error;

	if (!slash || (size_t)(slash - where) >= sizeof(device))
		return -EINVAL;
	snprintf(device, sizeof(device), "%.*s", (int)(slash - where), where);
	if (!strcmp(slash, "/ingress"))
		hook.attach_point = BPF_TC_INGRESS;
	else if (!strcmp(slash, "/egress"))
		hook.attach_point = BPF_TC_EGRESS;
	else
		return -EINVAL;
	hook.ifindex = device_index(device);
	if (hook.ifindex < 0)
		return hook.ifindex;
	error = ensure_qdisc(&hook);
	if (error)
		return error;
	error = bpf_tc_attach(&hook, &filter);
	if (error) {
		drop_qdisc(hook.ifindex);
		return error;
	}
	if (created_on(hook.ifindex))
		created_on(hook.ifindex)->filters++;
	attachment->tc_hook = hook;
	attachment->tc_filter = filter;
	return 0;
}

void detach_tc(struct attachment *attachment)
{
	struct bpf_tc_opts *filter = &attachment->tc_filter;
	int ifindex = attachment->tc_hook.ifindex;

	if (!ifindex)
		return;
	/* The kernel finds the filter by handle and priority; libbpf insists on zeros here. */
	filter->prog_fd = 0;
	filter->prog_id = 0;
	filter->flags = 0;
	bpf_tc_detach(&attachment->tc_hook, filter);
	if (created_on(ifindex)) {
		created_on(ifindex)->filters--;
		drop_qdisc(ifindex);
	}
}
