// SPDX-License-Identifier: GPL-2.0-only
//! Packet headers that are read in place: `packet.header::<Ipv4>(14)`.
use core::net::Ipv4Addr;

use crate::plain::{Be16, Be32, Plain};

macro_rules! headers {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $field:ident: $kind:ty,)* })*) => { $(
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug)]
        #[allow(missing_docs)] // the fields' names are those of the standards
        pub struct $name { $($(#[$about])* pub $field: $kind,)* }

        const _: () = assert!(align_of::<$name>() == 1);
        // SAFETY: fields of alignment 1 leave no gaps, and any bytes are valid for them.
        unsafe impl Plain for $name {}
    )* };
}

headers! {
    /// Ethernet without VLAN tags.
    Ethernet {
        destination: [u8; 6],
        source: [u8; 6],
        ethertype: Be16,
    }
    /// IPv4 without options (RFC 791).
    Ipv4 {
        version_ihl: u8,
        tos: u8,
        total_length: Be16,
        identification: Be16,
        fragment: Be16,
        ttl: u8,
        protocol: u8,
        checksum: Be16,
        source: Be32,
        destination: Be32,
    }
    /// UDP (RFC 768).
    Udp {
        source: Be16,
        destination: Be16,
        length: Be16,
        checksum: Be16,
    }
    /// TCP without options (RFC 9293).
    Tcp {
        source: Be16,
        destination: Be16,
        sequence: Be32,
        acknowledgment: Be32,
        offset: u8,
        flags: u8,
        window: Be16,
        checksum: Be16,
        urgent: Be16,
    }
}

/// The ethertype of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// The IPv4 protocol number of ICMP.
pub const PROTOCOL_ICMP: u8 = 1;
/// The IPv4 protocol number of TCP.
pub const PROTOCOL_TCP: u8 = 6;
/// The IPv4 protocol number of UDP.
pub const PROTOCOL_UDP: u8 = 17;

impl Ipv4 {
    /// Return the header's size in bytes, including options.
    pub fn header_length(&self) -> usize {
        usize::from(self.version_ihl & 15) * 4
    }

    /// Return the source address.
    pub fn from(&self) -> Ipv4Addr {
        self.source.get().into()
    }

    /// Return the destination address.
    pub fn to(&self) -> Ipv4Addr {
        self.destination.get().into()
    }
}
