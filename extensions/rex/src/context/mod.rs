// SPDX-License-Identifier: GPL-2.0-only
//! The contexts and return values of the program types.
mod packets;
mod tracing;

use core::ffi::c_void;

mod sealed {
    /// Limits return values to these types: other numbers have other meanings in the kernel.
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
/// `PROG_TYPE` must be the kernel's number of the type, and `CTX_SIZE` must cover all bytes of
/// the context that are read.
pub unsafe trait Context: Sized {
    /// The kernel's number of the program type.
    const PROG_TYPE: u32;
    /// Bytes of the context that the program reads, if that depends on the program.
    const CTX_SIZE: usize = 0;

    /// # Safety
    /// `raw` must be the context of the running program, which has this type.
    unsafe fn from_raw(raw: *mut c_void) -> Self;
}

/// A type that a program with the context `C` may return.
pub trait Returns<C>: sealed::Sealed {
    /// Return the kernel's number for this value.
    fn code(self) -> u64;
}
