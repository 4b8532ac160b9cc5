// SPDX-License-Identifier: GPL-2.0-only
/*
 * A small firewall for each packet hook: it drops and counts IPv4 packets (TCP and UDP) to
 * one port. `count_only` counts the same packets but drops none, an error that its counter
 * does not show.
 */
#include "kext.h"

#include <bpf/bpf_endian.h>

#define ETHERTYPE_IPV4 0x0800
#define BLOCKED 4004

COUNTERS(counts, 1); /* packets to the port */

/* True for a packet to the port; false if the packet ends inside its headers. */
static __always_inline bool is_blocked(void *start, void *end)
{
	struct iphdr *ip = start;
	__be16 *ports; /* both protocols have the ports at the same offsets */

	if ((void *)(ip + 1) > end || ip->version != 4)
		return false;
	if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP)
		return false;
	ports = (void *)ip + ip->ihl * 4;
	if ((void *)(ports + 2) > end || ports[1] != bpf_htons(BLOCKED))
		return false;
	count(&counts, 0, 1);
	return true;
}

static __always_inline bool is_blocked_frame(void *start, void *end)
{
	struct ethhdr *ethernet = start;

	return (void *)(ethernet + 1) <= end && ethernet->h_proto == bpf_htons(ETHERTYPE_IPV4) &&
	       is_blocked(ethernet + 1, end);
}

SEC("xdp")
int drop(struct xdp_md *ctx)
{
	return is_blocked_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end) ? XDP_DROP
										      : XDP_PASS;
}

SEC("xdp")
int count_only(struct xdp_md *ctx)
{
	is_blocked_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return XDP_PASS;
}

SEC("tc")
int drop_tc(struct __sk_buff *ctx)
{
	return is_blocked_frame((void *)(long)ctx->data, (void *)(long)ctx->data_end)
		       ? TCX_DROP
		       : TCX_PASS;
}

/* Programs of a cgroup see packets without the Ethernet header; 0 drops the packet. */
SEC("cgroup_skb/egress")
int drop_sent(struct __sk_buff *ctx)
{
	return !is_blocked((void *)(long)ctx->data, (void *)(long)ctx->data_end);
}

SEC("cgroup_skb/ingress")
int drop_received(struct __sk_buff *ctx)
{
	return !is_blocked((void *)(long)ctx->data, (void *)(long)ctx->data_end);
}
