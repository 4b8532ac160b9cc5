// SPDX-License-Identifier: GPL-2.0-only
//! Linux kernel extensions in safe Rust.
//!
//! An extension is a function with an attribute that says where it belongs:
//!
//! ```ignore
//! #![no_std]
//! use rex::prelude::*;
//!
//! #[rex_map]
//! static COUNTS: Array<AtomicU64> = Array::new(1);
//!
//! #[rex_kprobe("__x64_sys_getpgid")]
//! fn count(_ctx: &Kprobe) {
//!     COUNTS.at(0).unwrap().fetch_add(1, Relaxed);
//! }
//! ```
//!
//! Everything that is public here is safe to use; all `unsafe` of an extension is
//! in this crate. What a program acquires (a lock, a task, a socket, room in a ring
//! buffer) is a guard that gives it back when it is dropped. A program that
//! panics, or forgets a guard, has it given back by the kernel.
#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![warn(missing_docs)]

mod abi;
pub mod context;
mod error;
#[cfg(feature = "faults")]
pub mod faults;
pub mod kernel;
pub mod lock;
pub mod map;
pub mod net;
pub mod packet;
mod panic;
pub mod plain;
mod print;
pub mod rcu;
pub mod socket;
pub mod task;

pub use error::{Error, Result};

/// All that a usual extension needs.
pub mod prelude {
    pub use core::sync::atomic::Ordering::Relaxed;
    pub use core::sync::atomic::{AtomicI32, AtomicI64, AtomicU32, AtomicU64};

    pub use crate::context::{
        Kprobe, PerfEvent, RawTracepoint, Tc, TcAction, Tracepoint, Xdp, XdpAction,
    };
    pub use crate::error::{Error, Result};
    pub use crate::lock::Locked;
    pub use crate::map::{Array, HashMap, LruHashMap, PerCpuArray, Queue, RingBuf, Stack};
    pub use crate::packet::Packet;
    pub use crate::plain::Plain;
    pub use crate::rcu::Rcu;
    pub use crate::socket::Socket;
    pub use crate::task::Task;
    pub use crate::{kernel, net, rex_printk};
    pub use rex_macros::{
        rex_kprobe, rex_kretprobe, rex_map, rex_perf_event, rex_plain, rex_raw_tracepoint, rex_tc,
        rex_tracepoint, rex_xdp,
    };
}

/// What the attributes expand to; nobody else's business.
#[doc(hidden)]
pub mod expansion {
    pub use crate::abi::ProgEntry;
    pub use crate::context::{Context, Returns};
    pub use crate::map::Map;
    pub use crate::print::print;
    pub use core::ffi::c_void;
}
