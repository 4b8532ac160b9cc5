// SPDX-License-Identifier: GPL-2.0-only
//! References to sockets.
use core::ffi::c_void;
use core::net::SocketAddrV4;
use core::ptr::NonNull;

use crate::abi;

/// A socket that stays while this lives. [`crate::packet::Packet`] finds them.
#[must_use = "the reference is given back when this is dropped"]
pub struct Socket(NonNull<c_void>);

impl Socket {
    /// # Safety
    /// `context` is the context of a running XDP or tc program.
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

    /// The state, as TCP's are numbered: 1 established, 7 closed, 10 listening.
    pub fn state(&self) -> i32 {
        // SAFETY: we hold a reference.
        unsafe { abi::rex_sk_state(self.0.as_ptr()) }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { abi::rex_sk_put(self.0.as_ptr()) }
    }
}
