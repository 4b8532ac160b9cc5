// SPDX-License-Identifier: GPL-2.0-only
//! The interface to the kernel: tables that it reads, functions that it provides.
//!
//! `kernel/bpf/rex/load.c` has the same tables, `symbols.h` the same functions.
use core::ffi::c_void;

const TABLE_VERSION: u32 = 1;

// Numbers from include/uapi/linux/bpf.h.

/// Kprobes and kretprobes.
pub const BPF_PROG_TYPE_KPROBE: u32 = 2;
/// Packets at traffic control.
pub const BPF_PROG_TYPE_SCHED_CLS: u32 = 3;
/// Tracepoints.
pub const BPF_PROG_TYPE_TRACEPOINT: u32 = 5;
/// Packets at a device.
pub const BPF_PROG_TYPE_XDP: u32 = 6;
/// Samples of perf events.
pub const BPF_PROG_TYPE_PERF_EVENT: u32 = 7;
/// Tracepoints with raw arguments.
pub const BPF_PROG_TYPE_RAW_TRACEPOINT: u32 = 17;

/// Pass the packet to the network stack.
pub const XDP_PASS: i32 = 2;

pub(crate) const BPF_MAP_TYPE_HASH: u32 = 1;
pub(crate) const BPF_MAP_TYPE_ARRAY: u32 = 2;
pub(crate) const BPF_MAP_TYPE_PERCPU_ARRAY: u32 = 6;
pub(crate) const BPF_MAP_TYPE_LRU_HASH: u32 = 9;
pub(crate) const BPF_MAP_TYPE_QUEUE: u32 = 22;
pub(crate) const BPF_MAP_TYPE_STACK: u32 = 23;
pub(crate) const BPF_MAP_TYPE_RINGBUF: u32 = 27;

pub(crate) const BPF_F_ZERO_SEED: u32 = 1 << 6;

pub(crate) const BPF_ANY: u64 = 0;
pub(crate) const BPF_NOEXIST: u64 = 1;
pub(crate) const BPF_EXIST: u64 = 2;

/// The longest record of a tracepoint (PERF_MAX_TRACE_SIZE).
const MAX_CONTEXT: usize = 8192;
/// The largest key or value: they are copied on a stack of 64 KiB.
pub(crate) const MAX_VALUE: usize = 16 << 10;

/// A program, in the section `.rex.progs`.
#[repr(C)]
pub struct ProgEntry {
    version: u32,
    prog_type: u32,
    default_return: i32,
    ctx_size: u32,
    entry: unsafe extern "C" fn(*mut c_void) -> u64,
    name: [u8; 64],
    attach: [u8; 136],
}

const _: () = assert!(size_of::<ProgEntry>() == 224);

impl ProgEntry {
    /// Create the entry of a program; `attach` is its default target, or empty.
    pub const fn new(
        prog_type: u32,
        default_return: i32,
        ctx_size: usize,
        entry: unsafe extern "C" fn(*mut c_void) -> u64,
        name: &str,
        attach: &str,
    ) -> Self {
        assert!(ctx_size <= MAX_CONTEXT, "the context is too large");
        ProgEntry {
            version: TABLE_VERSION,
            prog_type,
            default_return,
            ctx_size: ctx_size as u32,
            entry,
            name: text(name),
            attach: text(attach),
        }
    }
}

/// A map, in the section `.rex.maps`. The kernel writes its address into `map`.
#[repr(C)]
pub struct MapEntry {
    map: usize,
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    map_flags: u32,
    lock_offset: i32,
    name: [u8; 32],
}

const _: () = assert!(size_of::<MapEntry>() == 64);

impl MapEntry {
    pub(crate) const fn new(
        map_type: u32,
        key_size: usize,
        value_size: usize,
        max_entries: u32,
        lock_offset: i32,
    ) -> Self {
        assert!(key_size <= MAX_VALUE && value_size <= MAX_VALUE, "at most 16 KiB");
        MapEntry {
            map: 0,
            map_type,
            key_size: key_size as u32,
            value_size: value_size as u32,
            max_entries,
            map_flags: 0,
            lock_offset,
            name: [0; 32],
        }
    }

    pub(crate) const fn flagged(mut self, flags: u32) -> Self {
        self.map_flags |= flags;
        self
    }

    pub(crate) const fn named(mut self, name: &str) -> Self {
        self.name = text(name);
        self
    }

    pub(crate) fn address(&self) -> usize {
        // SAFETY: a field of this structure. The kernel wrote it when it loaded the program;
        // the volatile read keeps the compiler from using the initial value 0.
        let map = unsafe { (&raw const self.map).read_volatile() };
        assert!(map != 0, "a map is a static with #[rex_map]");
        map
    }
}

/// Convert text to an array that ends with at least one zero.
const fn text<const N: usize>(from: &str) -> [u8; N] {
    let from = from.as_bytes();
    assert!(from.len() < N, "the name is too long");
    let mut bytes = [0; N];
    let mut i = 0;
    while i < from.len() {
        bytes[i] = from[i];
        i += 1;
    }
    bytes
}

// Pointers come from the kernel, or point to data that the callee uses only until it returns.
unsafe extern "C" {
    pub fn rex_panic(
        message: *const u8,
        length: u32,
        file: *const u8,
        file_length: u32,
        line: u32,
    ) -> !;
    pub safe fn rex_panic_begin() -> u32;
    pub fn rex_printk(message: *const u8, length: u32);

    pub safe fn rex_cpu() -> u32;
    pub safe fn rex_ktime_ns() -> u64;
    pub safe fn rex_random() -> u32;
    pub safe fn rex_current_pid_tgid() -> u64;
    pub safe fn rex_current_uid_gid() -> u64;
    pub fn rex_current_comm(buf: *mut u8, size: u32) -> i32;
    pub fn rex_probe_read_kernel(buf: *mut c_void, size: u32, from: usize) -> i64;
    pub fn rex_probe_read_user(buf: *mut c_void, size: u32, from: usize) -> i64;

    pub fn rex_map_lookup(map: usize, key: *const c_void) -> *mut c_void;
    pub fn rex_map_update(map: usize, key: *const c_void, value: *const c_void, flags: u64) -> i64;
    pub fn rex_map_delete(map: usize, key: *const c_void) -> i64;
    pub fn rex_map_next_key(map: usize, key: *const c_void, next: *mut c_void) -> i64;
    pub fn rex_map_push(map: usize, value: *const c_void, flags: u64) -> i64;
    pub fn rex_map_pop(map: usize, value: *mut c_void) -> i64;
    pub fn rex_map_peek(map: usize, value: *mut c_void) -> i64;
    pub fn rex_ringbuf_output(map: usize, data: *const c_void, size: u64, flags: u64) -> i64;
    pub fn rex_ringbuf_reserve(map: usize, size: u64) -> *mut c_void;
    pub fn rex_ringbuf_submit(sample: *mut c_void, flags: u64);
    pub fn rex_ringbuf_discard(sample: *mut c_void, flags: u64);

    pub fn rex_spin_lock(lock: *mut u32) -> i32;
    pub fn rex_spin_unlock(lock: *mut u32);
    pub safe fn rex_rcu_lock() -> i32;
    pub safe fn rex_rcu_unlock();

    pub safe fn rex_task_current() -> *mut c_void;
    pub safe fn rex_task_from_pid(pid: i32) -> *mut c_void;
    pub fn rex_task_put(task: *mut c_void);
    pub fn rex_task_pid(task: *const c_void) -> i32;
    pub fn rex_task_tgid(task: *const c_void) -> i32;
    pub fn rex_task_comm(task: *const c_void, buf: *mut u8, size: u32) -> i32;

    pub fn rex_packet(context: *mut c_void, start: *mut *mut u8, end: *mut *mut u8);
    pub fn rex_packet_len(context: *mut c_void) -> u32;
    pub fn rex_packet_ifindex(context: *mut c_void) -> u32;
    pub fn rex_packet_pull(context: *mut c_void, size: u32) -> i64;
    pub fn rex_packet_adjust_head(context: *mut c_void, delta: i32) -> i64;
    pub fn rex_perf_sample(context: *mut c_void, out: *mut u64);

    pub fn rex_sk_lookup(
        context: *mut c_void,
        udp: u32,
        from: u32,
        to: u32,
        ports: u32,
    ) -> *mut c_void;
    pub fn rex_sk_put(socket: *mut c_void);
    pub fn rex_sk_state(socket: *const c_void) -> i32;
}
