// SPDX-License-Identifier: GPL-2.0-only
use core::ffi::c_void;
use core::marker::PhantomData;

use super::{Context, Returns};
use crate::abi::{self, XDP_PASS};
use crate::error::{Error, Result};
use crate::packet::{Packet, Raw};

/// A packet at its device's driver.
pub struct Xdp<'a> {
    raw: *mut c_void,
    here: PhantomData<&'a ()>,
}

impl Xdp<'_> {
    /// Move the start of the packet: a positive number removes bytes from its head, a
    /// negative one adds space.
    pub fn adjust_head(&mut self, delta: i32) -> Result<()> {
        // SAFETY: the context of the running program.
        Error::check(unsafe { abi::rex_packet_adjust_head(self.raw, delta) })
    }
}

// SAFETY: the type's number; the context is only passed back to the kernel.
unsafe impl Context for Xdp<'_> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_XDP;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        Xdp { raw, here: PhantomData }
    }
}

// SAFETY: `from_raw` created it from the context.
unsafe impl Raw for Xdp<'_> {
    fn raw(&self) -> *mut c_void {
        self.raw
    }
}

impl Packet for Xdp<'_> {}

/// The fate of a packet after XDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum XdpAction {
    /// Drop it because of an error, which a tracepoint reports.
    Aborted = 0,
    /// Drop it.
    Drop = 1,
    /// Pass it to the network stack.
    Pass = XDP_PASS as u32,
    /// Send it out through the device that received it.
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
    /// Make the first `size` bytes of the packet contiguous and writable (0: only the bytes
    /// that are already contiguous).
    pub fn pull(&mut self, size: u32) -> Result<()> {
        // SAFETY: the context of the running program.
        Error::check(unsafe { abi::rex_packet_pull(self.raw, size) })
    }
}

// SAFETY: the type's number; the context is only passed back to the kernel.
unsafe impl Context for Tc<'_> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_SCHED_CLS;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        Tc { raw, here: PhantomData }
    }
}

// SAFETY: `from_raw` created it from the context.
unsafe impl Raw for Tc<'_> {
    fn raw(&self) -> *mut c_void {
        self.raw
    }
}

impl Packet for Tc<'_> {}

/// The fate of a packet after tc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum TcAction {
    /// Continue as if this program did not exist.
    Unspecified = -1,
    /// Let it pass.
    Ok = 0,
    /// Drop it.
    Shot = 2,
}

impl Returns<Tc<'_>> for TcAction {
    fn code(self) -> u64 {
        u64::from(self as i32 as u32)
    }
}
