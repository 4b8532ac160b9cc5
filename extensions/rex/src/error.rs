// SPDX-License-Identifier: GPL-2.0-only
use core::fmt;

/// An error of the kernel, with its `errno` number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(i32);

/// A result that can be an [`Error`].
pub type Result<T> = core::result::Result<T, Error>;

impl Error {
    /// ENOENT: there is no such entry.
    pub const NOT_FOUND: Error = Error(2);
    /// E2BIG: the map is full, or the index is beyond its end.
    pub const TOO_BIG: Error = Error(7);
    /// ENOMEM: out of memory.
    pub const NO_MEMORY: Error = Error(12);
    /// EFAULT: the address can't be read.
    pub const FAULT: Error = Error(14);
    /// EBUSY: this CPU already holds a lock, or this program interrupted an operation on the map.
    pub const BUSY: Error = Error(16);
    /// EEXIST: the entry already exists.
    pub const EXISTS: Error = Error(17);
    /// EINVAL: the kernel does not accept an argument.
    pub const INVALID: Error = Error(22);
    /// ENOSPC: the kernel's ledger, or a buffer, is full.
    pub const NO_ROOM: Error = Error(28);

    /// EDEADLK: a lock was not free in time; this program may have interrupted its holder.
    pub const DEADLOCK: Error = Error(35);

    /// Return the positive number, as in `errno`.
    pub const fn errno(self) -> i32 {
        self.0
    }

    pub(crate) fn check(code: i64) -> Result<()> {
        if code < 0 { Err(Error(-code as i32)) } else { Ok(()) }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Error::NOT_FOUND => "ENOENT",
            Error::TOO_BIG => "E2BIG",
            Error::NO_MEMORY => "ENOMEM",
            Error::FAULT => "EFAULT",
            Error::BUSY => "EBUSY",
            Error::EXISTS => "EEXIST",
            Error::INVALID => "EINVAL",
            Error::NO_ROOM => "ENOSPC",
            Error::DEADLOCK => "EDEADLK",
            Error(number) => return write!(out, "errno {number}"),
        };
        out.write_str(name)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, out)
    }
}
