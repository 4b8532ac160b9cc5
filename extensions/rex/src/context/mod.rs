// SPDX-License-Identifier: GPL-2.0-only
//! What programs are given, by their type, and what they may return.
mod packets;
mod tracing;

use core::ffi::c_void;

mod sealed {
    /// Only what is listed here is returned: other numbers mean other things to the kernel.
    pub trait Sealed {}
    impl Sealed for () {}
    impl Sealed for i32 {}
    impl Sealed for super::XdpAction {}
    impl Sealed for super::TcAction {}
}

pub use packets::{Tc, TcAction, Xdp, XdpAction};
pub use tracing::{Kprobe, PerfEvent, Sample, RawTracepoint, Tracepoint};

/// The context of a type of program.
///
/// # Safety
/// `PROG_TYPE` and `CTX_SIZE` are what the kernel knows the type by, and how far its
/// record is read.
pub unsafe trait Context: Sized {
    /// The kernel's number of the type of program.
    const PROG_TYPE: u32;
    /// Bytes of the context that are read, where that depends on the program.
    const CTX_SIZE: usize = 0;

    /// # Safety
    /// `raw` is what the kernel gave to a program of this type, which is running.
    unsafe fn from_raw(raw: *mut c_void) -> Self;
}

/// What a program with the context `C` may return.
pub trait Returns<C>: sealed::Sealed {
    /// The kernel's number of it.
    fn code(self) -> u64;
}
