// SPDX-License-Identifier: GPL-2.0-only
//! Linux kernel extensions in safe Rust.
//!
//! An extension is a function with an attribute that names its hook:
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
//! All public items are safe to use; all `unsafe` code of an extension is in this crate. A
//! program holds an acquired resource (a lock, a task, a socket, space in a ring buffer)
//! through a guard, which releases the resource when it is dropped. If a program panics or
//! forgets a guard, the kernel releases the resource.
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

/// The items that most extensions need.
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

/// Items for the code that the attributes generate; not for direct use.
#[doc(hidden)]
pub mod expansion {
    pub use crate::abi::{
        BPF_PROG_TYPE_KPROBE, BPF_PROG_TYPE_PERF_EVENT, BPF_PROG_TYPE_RAW_TRACEPOINT,
        BPF_PROG_TYPE_SCHED_CLS, BPF_PROG_TYPE_TRACEPOINT, BPF_PROG_TYPE_XDP, ProgEntry, XDP_PASS,
    };
    pub use crate::context::{Context, Returns};
    pub use crate::map::Map;
    pub use crate::print::print;
    pub use core::ffi::c_void;
}
