// SPDX-License-Identifier: GPL-2.0-only
//! Query the kernel: time, CPU, the current task, memory.
use core::mem::MaybeUninit;

use crate::abi::{self, MAX_VALUE};
use crate::error::{Error, Result};
use crate::plain::Plain;

/// Return the nanoseconds since boot without time in suspend (CLOCK_MONOTONIC).
pub fn ktime_ns() -> u64 {
    abi::rex_ktime_ns()
}

/// Return the number of this CPU. A program never moves to another CPU.
pub fn cpu() -> u32 {
    abi::rex_cpu()
}

/// Return a pseudo-random number. Do not use it for secrets.
pub fn random() -> u32 {
    abi::rex_random()
}

/// Return the id of the current thread, as `gettid` returns it.
pub fn current_pid() -> u32 {
    abi::rex_current_pid_tgid() as u32
}

/// Return the id of the current process, as `getpid` returns it.
pub fn current_tgid() -> u32 {
    (abi::rex_current_pid_tgid() >> 32) as u32
}

/// Return the user id of the current task.
pub fn current_uid() -> u32 {
    abi::rex_current_uid_gid() as u32
}

/// Return the group id of the current task.
pub fn current_gid() -> u32 {
    (abi::rex_current_uid_gid() >> 32) as u32
}

/// The name of a task: at most 15 bytes, padded with zeros.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Comm([u8; 16]);

impl Comm {
    pub(crate) fn filled(fill: impl FnOnce(*mut u8, u32)) -> Comm {
        let mut comm = Comm([0; 16]);
        fill(comm.0.as_mut_ptr(), 16);
        comm
    }

    /// Return all 16 bytes.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Return the name as text; empty if it is not UTF-8.
    pub fn text(&self) -> &str {
        let end = self.0.iter().position(|&byte| byte == 0).unwrap_or(16);
        str::from_utf8(&self.0[..end]).unwrap_or("")
    }
}

/// Return the name of the current task.
pub fn current_comm() -> Comm {
    // SAFETY: the buffer has the size that is passed.
    Comm::filled(|buf, size| unsafe {
        abi::rex_current_comm(buf, size);
    })
}

/// Read a value from a kernel address. This never faults: the error for an unmapped address
/// is [`Error::FAULT`], and ERANGE for an address in the user's half.
pub fn read_kernel<T: Plain>(address: usize) -> Result<T> {
    const { assert!(size_of::<T>() <= MAX_VALUE, "at most 16 KiB") }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the buffer has the size that is passed.
    let code = unsafe {
        abi::rex_probe_read_kernel(value.as_mut_ptr().cast(), size_of::<T>() as u32, address)
    };
    Error::check(code)?;
    // SAFETY: all bytes were written, and any bytes are a valid T.
    Ok(unsafe { value.assume_init() })
}

/// Read a value from an address of the current process. This never faults or waits: the error
/// is [`Error::FAULT`], also for a page that was swapped out or never touched.
pub fn read_user<T: Plain>(address: usize) -> Result<T> {
    const { assert!(size_of::<T>() <= MAX_VALUE, "at most 16 KiB") }
    let mut value = MaybeUninit::<T>::uninit();
    // SAFETY: the buffer has the size that is passed.
    let code = unsafe {
        abi::rex_probe_read_user(value.as_mut_ptr().cast(), size_of::<T>() as u32, address)
    };
    Error::check(code)?;
    // SAFETY: all bytes were written, and any bytes are a valid T.
    Ok(unsafe { value.assume_init() })
}
