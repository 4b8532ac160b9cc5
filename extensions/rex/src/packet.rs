// SPDX-License-Identifier: GPL-2.0-only
//! Packets: their bytes, headers that are read in place, and their sockets.
use core::ffi::c_void;
use core::net::SocketAddrV4;

use crate::abi;
use crate::plain::{self, Plain};
use crate::socket::Socket;

/// Operations of XDP and tc programs on a packet.
pub trait Packet: Raw {
    /// Return the contiguous bytes at the packet's start. A tc packet may have more in fragments:
    /// [`crate::context::Tc::pull`] makes them contiguous.
    fn bytes(&self) -> &[u8] {
        let (start, length) = bounds(self.raw());
        // SAFETY: the kernel's bounds. Nothing else writes to the packet meanwhile, and
        // functions that move its bytes take `&mut self`.
        unsafe { core::slice::from_raw_parts(start, length) }
    }

    /// Return the same bytes for writing; None if the kernel could not make them writable.
    fn bytes_mut(&mut self) -> Option<&mut [u8]> {
        // SAFETY: the context of the running program.
        if unsafe { abi::rex_packet_pull(self.raw(), 0) } < 0 {
            return None;
        }
        let (start, length) = bounds(self.raw());
        // SAFETY: as above, and the bytes are no longer shared with another packet.
        Some(unsafe { core::slice::from_raw_parts_mut(start, length) })
    }

    /// Return a reference to a header at `offset`; None if the contiguous bytes are too few.
    fn header<T: Plain>(&self, offset: usize) -> Option<&T> {
        plain::header(self.bytes().get(offset..)?)
    }

    /// Return a mutable reference to a header at `offset`.
    fn header_mut<T: Plain>(&mut self, offset: usize) -> Option<&mut T> {
        plain::header_mut(self.bytes_mut()?.get_mut(offset..)?)
    }

    /// Return a copy of a value at `offset`, in the CPU's byte order.
    fn read<T: Plain>(&self, offset: usize) -> Option<T> {
        plain::read(self.bytes().get(offset..)?)
    }

    /// Return the length of the whole packet in bytes.
    fn length(&self) -> usize {
        // SAFETY: the context of the running program.
        unsafe { abi::rex_packet_len(self.raw()) as usize }
    }

    /// Return the index of the device that received the packet, or will send it.
    fn ifindex(&self) -> u32 {
        // SAFETY: the context of the running program.
        unsafe { abi::rex_packet_ifindex(self.raw()) }
    }

    /// Find the TCP socket of this network namespace for packets from `from` to `to`: a
    /// connected one, or one that listens.
    fn tcp_socket(&self, from: SocketAddrV4, to: SocketAddrV4) -> Option<Socket> {
        // SAFETY: the context of the running program.
        unsafe { Socket::find(self.raw(), false, from, to) }
    }

    /// Find the UDP socket for packets from `from` to `to`.
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

/// A type that holds the context of a packet program.
///
/// # Safety
/// `raw` must return the context of the running XDP or tc program.
pub unsafe trait Raw {
    #[doc(hidden)]
    fn raw(&self) -> *mut c_void;
}
