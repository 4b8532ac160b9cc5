// SPDX-License-Identifier: GPL-2.0-only
//! References to sockets: both ends of a connection over the loopback device, and the
//! receiver of the trigger's packets.
use core::net::{Ipv4Addr, SocketAddrV4};

use rex::prelude::*;

use crate::{UNEXPECTED, count, end};

/// The client has one of these ports; the kernel chooses it.
const CLIENTS: core::ops::Range<u16> = 4000..4016;
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4100);
const DISCARD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
const ESTABLISHED: i32 = 1;

/// Find the client's and the server's socket of one connection.
fn connection(packet: &impl Packet) -> Option<(Socket, Socket)> {
    CLIENTS.map(|port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port)).find_map(|address| {
        let client = packet.tcp_socket(SERVER, address)?;
        let server = packet.tcp_socket(address, SERVER)?;
        let connected = client.state() == ESTABLISHED && server.state() == ESTABLISHED;
        connected.then_some((client, server))
    })
}

#[rex_xdp("lo")]
fn xdp_sockets(packet: &Xdp) -> XdpAction {
    match connection(packet) {
        Some(both) => end(both),
        None => count(UNEXPECTED),
    }
    XdpAction::Pass
}

#[rex_tc("lo/ingress")]
fn tc_sockets(packet: &Tc) -> TcAction {
    match (connection(packet), packet.udp_socket(SERVER, DISCARD)) {
        (Some(both), Some(receiver)) => end((both, receiver)),
        _ => count(UNEXPECTED),
    }
    TcAction::Ok
}
