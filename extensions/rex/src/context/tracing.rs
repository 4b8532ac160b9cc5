// SPDX-License-Identifier: GPL-2.0-only
use core::ffi::c_void;
use core::marker::PhantomData;
use core::ops::Deref;

use super::{Context, Returns};
use crate::abi;
use crate::plain::Plain;

/// The CPU's registers at a kprobe or kretprobe.
pub struct Kprobe<'a> {
    registers: &'a PtRegs,
}

/// `struct pt_regs` of x86-64.
#[repr(C)]
struct PtRegs {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    bp: u64,
    bx: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    ax: u64,
    cx: u64,
    dx: u64,
    si: u64,
    di: u64,
    orig_ax: u64,
    ip: u64,
    cs: u64,
    flags: u64,
    sp: u64,
    ss: u64,
}

const _: () = assert!(size_of::<PtRegs>() == 168);

impl Kprobe<'_> {
    /// Return the function's argument `number` (0 to 5) at the function's entry. Later in the
    /// function the registers may hold other values. Panics if `number` is larger.
    pub fn argument(&self, number: usize) -> u64 {
        let at = self.registers;
        [at.di, at.si, at.dx, at.cx, at.r8, at.r9][number]
    }

    /// Return the function's return value, for a kretprobe.
    pub fn returned(&self) -> u64 {
        self.registers.ax
    }

    /// Return the instruction pointer.
    pub fn ip(&self) -> u64 {
        self.registers.ip
    }

    /// Return argument `number` (0 to 5) of a system call, for a probe on its entry
    /// `__x64_sys_*`, which gets the caller's registers. None if they can't be read.
    pub fn syscall_argument(&self, number: usize) -> Option<u64> {
        // di, si, dx, r10, r8, r9: indices in `struct pt_regs`.
        let place = [14, 13, 12, 7, 9, 8][number];
        crate::kernel::read_kernel(self.registers.di as usize + 8 * place).ok()
    }
}

// SAFETY: BPF_PROG_TYPE_KPROBE gets a `struct pt_regs`.
unsafe impl Context for Kprobe<'_> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_KPROBE;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        // SAFETY: as the caller promises; nothing writes to the registers while the program runs.
        Kprobe { registers: unsafe { &*raw.cast() } }
    }
}

/// The record of a tracepoint, as `format` in tracefs describes it, read as an `R`.
///
/// The kernel refuses to attach the program if `R` is longer than the record.
pub struct Tracepoint<'a, R> {
    record: &'a R,
}

impl<R: Plain> Deref for Tracepoint<'_, R> {
    type Target = R;

    fn deref(&self) -> &R {
        self.record
    }
}

// SAFETY: BPF_PROG_TYPE_TRACEPOINT gets the record. The kernel attaches the program only if
// the record has at least CTX_SIZE bytes. R needs an alignment of at most 8 bytes, which the
// record has.
unsafe impl<R: Plain> Context for Tracepoint<'_, R> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_TRACEPOINT;
    const CTX_SIZE: usize = size_of::<R>();

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        // SAFETY: as the caller promises.
        Tracepoint { record: unsafe { &*raw.cast() } }
    }
}

/// The first N arguments of a raw tracepoint.
pub struct RawTracepoint<'a, const N: usize = 0> {
    arguments: &'a [u64; N],
}

impl<const N: usize> RawTracepoint<'_, N> {
    /// Return argument `number`, counted from 0. Panics if it is not below N.
    pub fn argument(&self, number: usize) -> u64 {
        self.arguments[number]
    }
}

// SAFETY: BPF_PROG_TYPE_RAW_TRACEPOINT gets an array of the arguments. The kernel attaches
// the program only if the array has at least CTX_SIZE bytes.
unsafe impl<const N: usize> Context for RawTracepoint<'_, N> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_RAW_TRACEPOINT;
    const CTX_SIZE: usize = 8 * N;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        // SAFETY: as the caller promises.
        RawTracepoint { arguments: unsafe { &*raw.cast() } }
    }
}

/// The context of a perf event whose counter overflowed.
pub struct PerfEvent<'a> {
    raw: *mut c_void,
    here: PhantomData<&'a ()>,
}

/// A sample of a perf event.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// The instruction pointer of the interrupted code.
    pub ip: u64,
    /// The number of events that this sample represents.
    pub period: u64,
    /// The address of the accessed data, 0 if the event has none.
    pub address: u64,
}

impl PerfEvent<'_> {
    /// Return the sample.
    pub fn sample(&self) -> Sample {
        let mut out = [0; 3];
        // SAFETY: the context of the running program; `out` holds three numbers.
        unsafe { abi::rex_perf_sample(self.raw, out.as_mut_ptr()) };
        Sample { ip: out[0], period: out[1], address: out[2] }
    }
}

// SAFETY: the type's number; the context is only passed back to the kernel.
unsafe impl Context for PerfEvent<'_> {
    const PROG_TYPE: u32 = abi::BPF_PROG_TYPE_PERF_EVENT;

    unsafe fn from_raw(raw: *mut c_void) -> Self {
        PerfEvent { raw, here: PhantomData }
    }
}

macro_rules! tracing_returns {
    ($([$($generic:tt)*] $context:ty;)*) => { $(
        impl<$($generic)*> Returns<$context> for () {
            fn code(self) -> u64 {
                0
            }
        }

        impl<$($generic)*> Returns<$context> for i32 {
            fn code(self) -> u64 {
                u64::from(self as u32)
            }
        }
    )* };
}

tracing_returns! {
    [] Kprobe<'_>;
    [] PerfEvent<'_>;
    [R] Tracepoint<'_, R>;
    [const N: usize] RawTracepoint<'_, N>;
}
