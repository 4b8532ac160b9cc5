// SPDX-License-Identifier: GPL-2.0-only
//! A custom protocol in UDP datagrams to port 4000: its header is read and changed in the
//! packet, without a copy and without `unsafe`. A truncated packet gives `None`, wherever it
//! ends.
#![no_std]
use rex::plain::{Be16, Be32};
use rex::prelude::*;

/// The header after the UDP header.
#[rex_plain]
struct Parcel {
    magic: Be16,
    kind: u8,
    hops: u8,
    sum: Be32,
    tag: [u8; 6],
}

const PORT: u16 = 4000;
const MAGIC: u16 = 0xbeef;
/// The parcel contains a frame; remove the Ethernet, IPv4, UDP and parcel headers.
const UNPACK: u8 = 2;

/// Why a packet passed unchanged, and how the others were changed.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(8);

#[derive(Clone, Copy)]
#[repr(u32)]
enum Count {
    NotIpv4 = 0,
    NotUdp = 1,
    NotForUs = 2,
    Short = 3,
    WrongMagic = 4,
    NoHopsLeft = 5,
    Forwarded = 6,
    Unpacked = 7,
}

fn count(what: Count) {
    COUNTS.at(what as u32).unwrap().fetch_add(1, Relaxed);
}

/// Return the offset of the parcel's header, or the reason why there is none.
fn find(packet: &impl Packet) -> core::result::Result<usize, Count> {
    let ethernet: &net::Ethernet = packet.header(0).ok_or(Count::Short)?;
    if ethernet.ethertype.get() != net::ETHERTYPE_IPV4 {
        return Err(Count::NotIpv4);
    }
    let ip: &net::Ipv4 = packet.header(14).ok_or(Count::Short)?;
    if ip.protocol != net::PROTOCOL_UDP {
        return Err(Count::NotUdp);
    }
    // The header has its own length. Whatever its value, nothing beyond the end is read.
    let at = 14 + ip.header_length();
    let udp: &net::Udp = packet.header(at).ok_or(Count::Short)?;
    if udp.destination.get() != PORT {
        return Err(Count::NotForUs);
    }
    let parcel: &Parcel = packet.header(at + 8).ok_or(Count::Short)?;
    if parcel.magic.get() != MAGIC {
        return Err(Count::WrongMagic);
    }
    Ok(at + 8)
}

/// Count a hop down and add the hops to the sum; return if a hop was left, and the kind.
fn forward(packet: &mut impl Packet, at: usize) -> core::result::Result<u8, Count> {
    let parcel: &mut Parcel = packet.header_mut(at).ok_or(Count::Short)?;
    if parcel.hops == 0 {
        return Err(Count::NoHopsLeft);
    }
    parcel.hops -= 1;
    // The sender of a packet controls the sum: an overflow must not panic.
    parcel.sum.set(parcel.sum.get().wrapping_add(parcel.hops.into()));
    parcel.tag.reverse();
    Ok(parcel.kind)
}

#[rex_xdp("lo")]
fn parcel_xdp(packet: &mut Xdp) -> XdpAction {
    let kind = match find(packet).and_then(|at| Ok((at, forward(packet, at)?))) {
        Ok((at, UNPACK)) => return unpack(packet, at + size_of::<Parcel>()),
        Ok((_, kind)) => kind,
        Err(reason) => {
            count(reason);
            let shot = matches!(reason, Count::NoHopsLeft);
            return if shot { XdpAction::Drop } else { XdpAction::Pass };
        }
    };
    count(Count::Forwarded);
    if kind == 0 { XdpAction::Pass } else { XdpAction::Tx }
}

/// Remove all bytes before the inner frame. The kernel refuses if the frame has less than
/// 14 bytes.
fn unpack(packet: &mut Xdp, length: usize) -> XdpAction {
    match packet.adjust_head(length as i32) {
        Ok(()) => {
            count(Count::Unpacked);
            XdpAction::Pass
        }
        Err(error) => {
            assert_eq!(error, Error::INVALID);
            XdpAction::Aborted
        }
    }
}

/// Add space before the packet and write an outer Ethernet header to it.
#[rex_xdp]
fn wrap(packet: &mut Xdp) -> XdpAction {
    let inner = packet.length();
    // More than any frame's headroom: the kernel refuses and moves nothing.
    assert!(packet.adjust_head(-4096).is_err() && packet.length() == inner);
    packet.adjust_head(-14).unwrap();
    assert_eq!(packet.length(), inner + 14);
    let outer: &mut net::Ethernet = packet.header_mut(0).unwrap();
    outer.destination = [0xff; 6];
    outer.source = [2, 0, 0, 0, 0, 9];
    outer.ethertype = Be16::new(0x88b5);
    XdpAction::Tx
}

#[rex_tc("lo/ingress")]
fn parcel_tc(packet: &mut Tc) -> TcAction {
    match find(packet).and_then(|at| forward(packet, at)) {
        Ok(_) => {
            count(Count::Forwarded);
            TcAction::Ok
        }
        Err(reason) => {
            count(reason);
            if matches!(reason, Count::NoHopsLeft) { TcAction::Shot } else { TcAction::Unspecified }
        }
    }
}

/// Read at offsets that the packet contains: 16-bit values, of which few are inside it.
/// Return how many were.
#[rex_xdp]
fn read_anywhere(packet: &mut Xdp) -> XdpAction {
    let length = packet.bytes().len();
    let mut inside = 0;
    for place in 0..=u16::MAX {
        inside += usize::from(packet.header::<Be32>(place.into()).is_some());
        assert_eq!(packet.read::<u16>(place.into()).is_some(), usize::from(place) + 2 <= length);
    }
    assert!(packet.header::<Be32>(usize::MAX).is_none());
    assert!(packet.header_mut::<[u8; 4096]>(0).is_none());
    if inside == length - 3 { XdpAction::Tx } else { XdpAction::Drop }
}
