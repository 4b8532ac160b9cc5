// SPDX-License-Identifier: GPL-2.0-only
//! A small firewall: drop and count IPv4 packets (TCP and UDP) to one port.
#![no_std]
use rex::prelude::*;

const BLOCKED: u16 = 4004;

/// Packets to the port.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(1);

/// Return the destination port; `None` if the packet has no port, or ends before it.
fn port(packet: &impl Packet) -> Option<u16> {
    let ethernet: &net::Ethernet = packet.header(0)?;
    if ethernet.ethertype.get() != net::ETHERTYPE_IPV4 {
        return None;
    }
    let ip: &net::Ipv4 = packet.header(14)?;
    let at = 14 + ip.header_length();
    match ip.protocol {
        net::PROTOCOL_UDP => packet.header::<net::Udp>(at).map(|udp| udp.destination.get()),
        net::PROTOCOL_TCP => packet.header::<net::Tcp>(at).map(|tcp| tcp.destination.get()),
        _ => None,
    }
}

#[rex_xdp("lo")]
fn drop(packet: &Xdp) -> XdpAction {
    if port(packet) != Some(BLOCKED) {
        return XdpAction::Pass;
    }
    COUNTS.at(0).unwrap().fetch_add(1, Relaxed);
    XdpAction::Drop
}
