// SPDX-License-Identifier: GPL-2.0-only
//! References to sockets: both ends of a connection over the loopback device, and whoever
//! receives the trigger's packets.
use core::net::{Ipv4Addr, SocketAddrV4};

use rex::prelude::*;

use crate::{UNEXPECTED, count, end};

const CLIENT: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4000);
const SERVER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 4001);
const DISCARD: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9);
const ESTABLISHED: i32 = 1;

/// The client's and the server's socket of the one connection.
fn connection(packet: &impl Packet) -> Option<(Socket, Socket)> {
    let server = packet.tcp_socket(CLIENT, SERVER)?;
    let client = packet.tcp_socket(SERVER, CLIENT)?;
    (server.state() == ESTABLISHED && client.state() == ESTABLISHED).then_some((client, server))
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
    match (connection(packet), packet.udp_socket(CLIENT, DISCARD)) {
        (Some(both), Some(receiver)) => end((both, receiver)),
        _ => count(UNEXPECTED),
    }
    TcAction::Ok
}
