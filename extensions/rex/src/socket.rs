// SPDX-License-Identifier: GPL-2.0-only
//! References to sockets.
use core::ffi::c_void;
use core::net::SocketAddrV4;
use core::ptr::NonNull;

use crate::abi;

/// A reference that keeps a socket alive. [`crate::packet::Packet`] finds sockets.
#[must_use = "the reference is given back when this is dropped"]
pub struct Socket(NonNull<c_void>);

impl Socket {
    /// # Safety
    /// `context` must be the context of a running XDP or tc program.
    pub(crate) unsafe fn find(
        context: *mut c_void,
        udp: bool,
        from: SocketAddrV4,
        to: SocketAddrV4,
    ) -> Option<Socket> {
        let ports = u32::from(from.port().to_be()) | u32::from(to.port().to_be()) << 16;
        let address = |end: SocketAddrV4| u32::from_ne_bytes(end.ip().octets());
        // SAFETY: as the caller promises.
        let found = unsafe {
            abi::rex_sk_lookup(context, udp.into(), address(from), address(to), ports)
        };
        NonNull::new(found).map(Socket)
    }

    /// Return the state by TCP's numbers: 1 established, 7 closed, 10 listening.
    pub fn state(&self) -> i32 {
        // SAFETY: this is a reference to it.
        unsafe { abi::rex_sk_state(self.0.as_ptr()) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: this reference is given back once.
        unsafe { abi::rex_sk_put(self.0.as_ptr()) }
    }
}
