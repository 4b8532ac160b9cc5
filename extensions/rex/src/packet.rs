// SPDX-License-Identifier: GPL-2.0-only
//! Packets: their bytes, headers read in place, and the sockets that they are for.
use core::ffi::c_void;
use core::net::SocketAddrV4;

use crate::abi;
use crate::plain::{self, Plain};
use crate::socket::Socket;

/// What XDP and tc programs can do with a packet.
pub trait Packet: Raw {
    /// The bytes that can be looked at. Of a tc packet in pieces these are the first:
    /// [`crate::context::Tc::pull`] joins more to them.
    fn bytes(&self) -> &[u8] {
        let (start, length) = bounds(self.raw());
        // SAFETY: the kernel's bounds. Nobody else writes to the packet meanwhile, and
        // what moves its bytes takes `&mut self`.
        unsafe { core::slice::from_raw_parts(start, length) }
    }

    /// The same bytes, to be changed; None if the kernel could not make them writable.
    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the context of the running program.
        if unsafe { abi::rex_packet_pull(self.raw(), 0) } < 0 {
            return None;
        }
        let (start, length) = bounds(self.raw());
        // SAFETY: as above, and the bytes are this packet's alone now.
        Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
    }

    /// A header `offset` bytes from the start, in place; None if the packet ends before.
    fn header<T: Plain>(&self, offset: usize) -> Option<&T> {
        plain::header(self.bytes().get(offset..)?)
    }

    /// The same, to be changed in place.
    fn header_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T> {
        plain::header_mut(self.bytes_mut()?.get_mut(offset..)?)
    }

    /// A copy of a value `offset` bytes from the start, in the order of this CPU.
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        plain::read(self.bytes().get(offset..)?)
    }

    /// The length of the whole packet, in bytes.
    fn length(&self) -> usize {
        // SAFETY: the context of the running program.
        unsafe { abi::rex_packet_len(self.raw()) as usize }
    }

    /// The index of the device that it came in by, or goes out by.
    fn ifindex(&self) -> u32 {
        // SAFETY: the context of the running program.
        unsafe { abi::rex_packet_ifindex(self.raw()) }
    }

    /// The TCP socket, of this network namespace, that talks from `from` to `to`, or listens.
    fn tcp_socket(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<Socket> {
        // SAFETY: the context of the running program.
        unsafe { Socket::find(self.raw(), false, from, to) }
    }

    /// The same for UDP.
    fn udp_socket(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<Socket> {
        // SAFETY: the context of the running program.
        unsafe { Socket::find(self.raw(), true, from, to) }
    }
}

fn bounds(context: *mut c_void) -> (*mut u8, usize) {
    let (mut start, mut end) = (core::ptr::null_mut(), core::ptr::null_mut());
    // SAFETY: `Raw` promises the context of the running program.
    unsafe { abi::rex_packet(context, &mut start, &mut end) };
    (start, end.addr() - start.addr())
}

/// What has the context of a packet program.
///
/// # Safety
/// `raw` is the context of the XDP or tc program that is running.
pub unsafe trait Raw {
    #[doc(hidden)]
    fn raw(&self) -> *mut c_void;
}
