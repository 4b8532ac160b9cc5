// SPDX-License-Identifier: GPL-2.0-only
//! Checks of the language at run time, and the end of a program that fails one: each program
//! panics in its own way, at a line that the scenarios know.
//!
//! Each has its own system call and handles only the trigger's calls. Entry 0 of its map
//! counts that it reached its panic, and entry 1 that it continued after it: that must
//! stay 0. `black_box` hides the errors from the compiler, which would otherwise refuse to
//! compile them.
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

/// Return true for a call of the trigger, and count it.
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

/// Panic three calls deep, each with its own frame on the stack.
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

/// A type whose formatting panics.
struct Unspeakable;

impl fmt::Display for Unspeakable {
    fn fmt(&self, _out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if black_box(true) {
            panic!("there are no words for it");
        }
        Ok(())
    }
}

/// Panic in code of the program that the crate calls to format a line.
#[rex_kprobe("__x64_sys_sched_yield")]
fn print(_context: &Kprobe) {
    if !wanted() {
        return;
    }
    rex_printk!("this is {}", black_box(Unspeakable));
    count(1);
}

/// Panic while a panic message is formatted: the report can't have that message.
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

/// Panic only at every hundredth call, to check that the others are not affected.
#[rex_kprobe("__x64_sys_getpgid")]
fn sometimes(_context: &Kprobe) {
    let Some(counter) = COUNTS.at(0) else { return };
    if counter.fetch_add(1, Relaxed) % 100 == 99 {
        panic!("a hundred calls");
    }
    count(1);
}
