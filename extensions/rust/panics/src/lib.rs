// SPDX-License-Identifier: GPL-2.0-only
//! What the language checks when a program runs, and what becomes of one that fails a check:
//! each program panics in a way of its own, at a line that the scenarios know.
//!
//! Each sits at a system call of its own and looks only at the trigger's calls. It counts
//! that it came to its panic, in place 0, and that it went on behind it, in place 1: that
//! stays 0. What is wrong is hidden from the compiler by `black_box`, or it would refuse
//! to build it.
#![no_std]
use core::fmt;
use core::hint::black_box;

use rex::prelude::*;

mod cpus;
mod hooks;
mod packets;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(2);

fn count(index: u32) {
    if let Some(counter) = COUNTS.at(index) {
        counter.fetch_add(1, Relaxed);
    }
}

/// Whether this is a call of the trigger's, which is then counted.
fn wanted() -> bool {
    let wanted = kernel::current_comm().text() == "kexttrigger";
    if wanted {
        count(0);
    }
    wanted
}

#[rex_kprobe("__x64_sys_getpgid")]
fn explicit(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    if black_box(true) {
        panic!("an explicit panic of {}", kernel::current_comm().text());
    }
    count(1);
}

#[rex_kprobe("__x64_sys_getppid")]
fn index(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let table = black_box([1, 2, 3, 4]);
    black_box(table[black_box(7)]);
    count(1);
}

#[rex_kprobe("__x64_sys_getcwd")]
fn unwrap_none(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let nothing: Option<u64> = black_box(None);
    black_box(nothing.unwrap());
    count(1);
}

#[rex_kprobe("__x64_sys_newuname")]
fn overflow(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let sum: u8 = black_box(200) + black_box(100);
    black_box(sum);
    count(1);
}

#[rex_kprobe("__x64_sys_umask")]
fn divide(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    let quotient = black_box(1000) / black_box(0);
    black_box(quotient);
    count(1);
}

/// Three calls deep, each with a frame of its own on the stack.
#[rex_kprobe("__x64_sys_getgid")]
fn nested(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    black_box(outer(black_box(3)));
    count(1);
}

#[inline(never)]
fn outer(number: u64) -> u64 {
    black_box(middle(number + 1)) + 1
}

#[inline(never)]
fn middle(number: u64) -> u64 {
    black_box(inner(number + 1)) + 1
}

#[inline(never)]
fn inner(number: u64) -> u64 {
    if black_box(number) == 5 {
        panic!("called with {number}");
    }
    number
}

/// What can't be shown.
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if black_box(true) {
            panic!("there are no words for it");
        }
        Ok(())
    }
}

/// The panic is in code of the program that the crate calls to print it.
#[rex_kprobe("__x64_sys_sched_yield")]
fn print(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    rex_printk!("this is {}", black_box(Unspeakable));
    count(1);
}

/// A panic while the message of a panic is made: the report has to do without it.
#[rex_kprobe("__x64_sys_gettid")]
fn message(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    if black_box(true) {
        panic!("this is {}", black_box(Unspeakable));
    }
    count(1);
}

/// Panics only at each hundredth call, to see what becomes of the others.
#[rex_kprobe("__x64_sys_getpgid")]
fn sometimes(_context: &Kprobe) {
    let Some(counter) = COUNTS.at(0) else { return };
    if counter.fetch_add(1, Relaxed) % 100 == 99 {
        panic!("a hundred calls");
    }
    count(1);
}
