// SPDX-License-Identifier: GPL-2.0-only
use core::ffi::c_void;
use core::marker::PhantomData;

use super::{Context, Returns};
use crate::abi;
use crate::error::{Error, Result};
use crate::packet::{Packet, Raw};

/// A packet at its device's driver.
pub struct Xdp<'a> {
    raw: *mut c_void,
    here: PhantomData<&'a ()>,
}

impl Xdp<'_> {
    /// Move the start of the packet: a positive number of bytes cuts its head off, a
    /// negative one makes room.
    pub fn adjust_head(&mut self, delta: i32) -> Result<()> {
        // SAFETY: the context of the running program.
        Error::check(unsafe { abi::rex_packet_adjust_head(self.raw, delta) })
    }
}

// SAFETY: BPF_PROG_TYPE_XDP; the context goes back to the kernel as it is.
unsafe impl Context for Xdp<'_> {
    const PROG_TYPE: u32 = 6;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        Xdp { raw, here: PhantomData }
    }
}

// SAFETY: made from the context by `from_raw`.
unsafe impl Raw for Xdp<'_> {
    fn raw(&self) -> *mut c_void {
        self.raw
    }
}

impl Packet for Xdp<'_> {}

/// What becomes of a packet after XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum XdpAction {
    /// An error: dropped, with a tracepoint.
    Aborted = 0,
    /// Dropped.
    Drop = 1,
    /// On to the network stack.
    Pass = 2,
    /// Out by the device that it came in by.
    Tx = 3,
}

impl Returns<Xdp<'_>> for XdpAction {
    fn code(self) -> u64 {
        self as u64
    }
}

/// A packet at traffic control, on its way in or out.
pub struct Tc<'a> {
    raw: *mut c_void,
    here: PhantomData<&'a ()>,
}

impl Tc<'_> {
    /// Join the first `size` bytes of the packet in one piece (0: what is joined already),
    /// and make them writable.
    pub fn pull(&mut self, size: u32) -> Result<()> {
        // SAFETY: the context of the running program.
        Error::check(unsafe { abi::rex_packet_pull(self.raw, size) })
    }
}

// SAFETY: BPF_PROG_TYPE_SCHED_CLS; the context goes back to the kernel as it is.
unsafe impl Context for Tc<'_> {
    const PROG_TYPE: u32 = 3;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        Tc { raw, here: PhantomData }
    }
}

// SAFETY: made from the context by `from_raw`.
unsafe impl Raw for Tc<'_> {
    fn raw(&self) -> *mut c_void {
        self.raw
    }
}

impl Packet for Tc<'_> {}

/// What becomes of a packet after tc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TcAction {
    /// As if this program were not there.
    Unspecified = -1,
    /// On its way.
    Ok = 0,
    /// Dropped.
    Shot = 2,
}

impl Returns<Tc<'_>> for TcAction {
    fn code(self) -> u64 {
        u64::from(self as i32 as u32)
    }
}
