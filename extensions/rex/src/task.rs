// SPDX-License-Identifier: GPL-2.0-only
//! References to tasks.
use core::ffi::c_void;
use core::ptr::NonNull;

use crate::abi;
use crate::kernel::Comm;

/// A task that stays while this lives.
#[must_use = "the reference is given back when this is dropped"]
pub struct Task(NonNull<c_void>);

impl Task {
    /// The current task; None if the ledger is full.
    pub fn current() -> Option<Task> {
        NonNull::new(abi::rex_task_current()).map(Task)
    }

    /// The task of this id; None if there is none, or if the ledger is full.
    pub fn from_pid(pid: i32) -> Option<Task> {
        NonNull::new(abi::rex_task_from_pid(pid)).map(Task)
    }

    /// The id of the thread.
    pub fn pid(&self) -> i32 {
        // SAFETY: we hold a reference.
        unsafe { abi::rex_task_pid(self.0.as_ptr()) }
    }

    /// The id of the process.
    pub fn tgid(&self) -> i32 {
        // SAFETY: we hold a reference.
        unsafe { abi::rex_task_tgid(self.0.as_ptr()) }
    }

    /// The task's name.
    pub fn comm(&self) -> Comm {
        // SAFETY: we hold a reference, and there is room for as many bytes as are said.
        Comm::filled(|room, size| unsafe {
            abi::rex_task_comm(self.0.as_ptr(), room, size);
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { abi::rex_task_put(self.0.as_ptr()) }
    }
}
