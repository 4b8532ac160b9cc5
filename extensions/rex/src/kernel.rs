// SPDX-License-Identifier: GPL-2.0-only
//! What a program may ask of the kernel: time, CPU, the current task, memory.
use core::mem::MaybeUninit;

use crate::abi::{self, MAX_VALUE};
use crate::error::{Error, Result};
use crate::plain::Plain;

/// Nanoseconds since boot, not counting sleep (CLOCK_MONOTONIC).
pub fn ktime_ns() -> u64 {
    abi::rex_ktime_ns()
}

/// The number of this CPU. A program stays where it started.
pub fn cpu() -> u32 {
    abi::rex_cpu()
}

/// A pseudo-random number. Not for secrets.
pub fn random() -> u32 {
    abi::rex_random()
}

/// The id of the current thread, as user space knows it by `gettid`.
pub fn current_pid() -> u32 {
    abi::rex_current_pid_tgid() as u32
}

/// The id of the current process, as user space knows it by `getpid`.
pub fn current_tgid() -> u32 {
    (abi::rex_current_pid_tgid() >> 32) as u32
}

/// The user of the current task.
pub fn current_uid() -> u32 {
    abi::rex_current_uid_gid() as u32
}

/// The group of the current task.
pub fn current_gid() -> u32 {
    (abi::rex_current_uid_gid() >> 32) as u32
}

/// The name of a task, at most 15 bytes and zeros behind them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    pub(crate) fn filled(fill: impl FnOnce(*mut u8, u32)) -> Comm {
        let mut comm = Comm([0; 16]);
        fill(comm.0.as_mut_ptr(), 16);
        comm
    }

    /// All 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// The name as text; empty if it is none.
    pub fn text(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(16);
        str::from_utf8(&self.0[..end]).unwrap_or("")
    }
}

/// The name of the current task.
pub fn current_comm() -> Comm {
    // SAFETY: there is room for as many bytes as are said.
    Comm::filled(|room, size| unsafe {
        abi::rex_current_comm(room, size);
    })
}

/// A value from an address of the kernel, if it can be read. Nothing faults: where nothing
/// is the error is [`Error::FAULT`], and ERANGE for an address in the user's half.
pub fn read_kernel<T: Plain>(address: usize) -> Result<T> {
    const { assert!(size_of::<T>() <= MAX_VALUE, "at most 16 KiB") }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: there is room for as many bytes as are said.
    let code = unsafe {
        abi::rex_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address)
    };
    Error::check(code)?;
    // SAFETY: all of it was written, and any bytes make a T.
    Ok(unsafe { value.assume_init() })
}

/// A value from an address of the current process, if it can be read. Nothing faults, and
/// nothing waits: what was paged out, or never touched, is [`Error::FAULT`], too.
pub fn read_user<T: Plain>(address: usize) -> Result<T> {
    const { assert!(size_of::<T>() <= MAX_VALUE, "at most 16 KiB") }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: there is room for as many bytes as are said.
    let code = unsafe {
        abi::rex_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address)
    };
    Error::check(code)?;
    // SAFETY: all of it was written, and any bytes make a T.
    Ok(unsafe { value.assume_init() })
}
