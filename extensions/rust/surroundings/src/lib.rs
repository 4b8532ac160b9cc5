// SPDX-License-Identifier: GPL-2.0-only
//! Queries to the kernel: the current task, CPU and time, a system call's arguments and
//! result, and memory. User space knows all of these, too.
#![no_std]
use rex::prelude::*;

mod samples;

/// Results by number; the scenarios name the numbers.
#[rex_map]
static SEEN: Array<AtomicU64> = Array::new(16);

fn seen(number: u32, value: impl Into<u64>) {
    SEEN.at(number).unwrap().store(value.into(), Relaxed);
}

fn count(number: u32) {
    SEEN.at(number).unwrap().fetch_add(1, Relaxed);
}

/// The trigger's process; a shell may call the same functions.
fn is_trigger() -> bool {
    kernel::current_comm().text() == "kexttrigger"
}

#[rex_kprobe("__x64_sys_getpgid")]
fn who(_context: &Kprobe) {
    if !is_trigger() {
        return;
    }
    count(0);
    seen(1, kernel::current_tgid());
    seen(2, kernel::current_uid());
    seen(3, kernel::current_gid());
    seen(4, kernel::cpu());
    seen(5, kernel::ktime_ns() / 1_000_000);
    seen(6, kernel::current_pid());
}

/// How often the random number differed from the previous one, and how often it was odd.
#[rex_kprobe("__x64_sys_getgid")]
fn dice(_context: &Kprobe) {
    let number = kernel::random();
    if LAST.at(0).unwrap().swap(number, Relaxed) != number {
        count(0);
    }
    if number % 2 == 1 {
        count(1);
    }
}

#[rex_map]
static LAST: Array<AtomicU32> = Array::new(1);

/// Tasks: the current one, the first one, and one that can't exist.
#[rex_kprobe("__x64_sys_getppid")]
fn tasks(_context: &Kprobe) {
    if !is_trigger() {
        return;
    }
    let current = Task::current().unwrap();
    if current.pid() as u32 == kernel::current_pid() {
        count(0);
    }
    if current.tgid() as u32 == kernel::current_tgid() {
        count(1);
    }
    if current.comm() == kernel::current_comm() {
        count(2);
    }
    seen(3, current.tgid() as u64);
    let first = Task::from_pid(1).unwrap();
    seen(4, first.pid() as u64);
    seen(5, first.comm().text() == "init");
    // Task ids end at 4194304.
    seen(6, Task::from_pid(5_000_000).is_none() && Task::from_pid(-1).is_none());
}

/// umask(022): its argument at the entry, the mask before at the return.
#[rex_kprobe("__x64_sys_umask")]
fn umask_called(context: &Kprobe) {
    if is_trigger() {
        count(0);
        seen(1, context.syscall_argument(0).unwrap());
    }
}

#[rex_kretprobe("__x64_sys_umask")]
fn umask_returned(context: &Kprobe) {
    if is_trigger() {
        // The first time it is the shell's mask.
        let call = SEEN.at(2).unwrap().fetch_add(1, Relaxed);
        seen(if call == 0 { 3 } else { 4 }, context.returned());
    }
}

/// openat(AT_FDCWD, "/dev/null", ...): the path is in the memory of the process.
#[rex_kprobe("__x64_sys_openat")]
fn opens(context: &Kprobe) {
    if !is_trigger() {
        return;
    }
    let path = context.syscall_argument(1).unwrap() as usize;
    if kernel::read_user::<[u8; 10]>(path) != Ok(*b"/dev/null\0") {
        return;
    }
    count(0);
    // User addresses can't be read as kernel addresses, and vice versa.
    seen(1, kernel::read_kernel::<u8>(path).unwrap_err().errno() as u64);
    let registers = context.argument(0) as usize;
    seen(2, kernel::read_user::<u64>(registers).unwrap_err().errno() as u64);
    // The number of the system call, and a number that no call has.
    seen(3, kernel::read_kernel::<u64>(registers + 8 * 15).unwrap());
    // The end of the kernel's half and the start of the user's half are never mapped.
    seen(4, kernel::read_kernel::<u64>(usize::MAX - 7).unwrap_err().errno() as u64);
    seen(5, kernel::read_user::<u64>(8).unwrap_err().errno() as u64);
}
