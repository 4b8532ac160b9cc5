// SPDX-License-Identifier: GPL-2.0-only
//! References to tasks.
use core::ffi::c_void;
use core::ptr::NonNull;

use crate::abi;
use crate::kernel::Comm;

/// A reference that keeps a task alive.
#[must_use = "the reference is given back when this is dropped"]
pub struct Task(NonNull<c_void>);

impl Task {
    /// Return the current task; None if the ledger is full.
    pub fn current() -> Option<Task> {
        NonNull::new(abi::rex_task_current()).map(Task)
    }

    /// Find the task with this id; None if there is none, or if the ledger is full.
    pub fn from_pid(pid: i32) -> Option<Task> {
        NonNull::new(abi::rex_task_from_pid(pid)).map(Task)
    }

    /// Return the id of the thread.
    pub fn pid(&self) -> i32 {
        // SAFETY: this is a reference to it.
        unsafe { abi::rex_task_pid(self.0.as_ptr()) }
    }

    /// Return the id of the process.
    pub fn tgid(&self) -> i32 {
        // SAFETY: this is a reference to it.
        unsafe { abi::rex_task_tgid(self.0.as_ptr()) }
    }

    /// Return the task's name.
    pub fn comm(&self) -> Comm {
        // SAFETY: this is a reference to it, and the buffer has the size that is passed.
        Comm::filled(|buf, size| unsafe {
            abi::rex_task_comm(self.0.as_ptr(), buf, size);
        })
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        // SAFETY: this reference is given back once.
        unsafe { abi::rex_task_put(self.0.as_ptr()) }
    }
}
