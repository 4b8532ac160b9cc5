// SPDX-License-Identifier: GPL-2.0-only
//! Tracepoint records, read as the extension's own types. A type that is longer than the
//! record would read past its end, so the kernel refuses it.
#![no_std]
use rex::prelude::*;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(2);

/// The whole record of a call with one argument.
#[rex_plain]
struct OneArgument {
    common: u64,
    number: i64,
    argument: u64,
}

/// The whole record of a call with two.
#[rex_plain]
struct TwoArguments {
    common: u64,
    number: i64,
    arguments: [u64; 2],
}

/// A record that no tracepoint has.
#[rex_plain]
struct Long {
    common: u64,
    number: i64,
    rest: [u64; 62],
}

/// getpgid has one argument.
#[rex_tracepoint("syscalls/sys_enter_getpgid")]
fn fits(context: &Tracepoint<OneArgument>) {
    if context.number == 121 && context.argument == 0 {
        COUNTS.at(0).unwrap().fetch_add(1, Relaxed);
    }
}

#[rex_tracepoint("syscalls/sys_enter_getpgid")]
fn one_too_many(context: &Tracepoint<TwoArguments>) {
    COUNTS.at(1).unwrap().fetch_add(context.arguments[1] | 1, Relaxed);
}

#[rex_tracepoint("syscalls/sys_enter_getpgid")]
fn far_too_many(context: &Tracepoint<Long>) {
    COUNTS.at(1).unwrap().fetch_add(context.rest[61] | 1, Relaxed);
}

/// sys_enter has two: the registers and the number.
#[rex_raw_tracepoint("sys_enter")]
fn raw_fits(context: &RawTracepoint<2>) {
    if context.argument(1) == 121 {
        COUNTS.at(0).unwrap().fetch_add(1, Relaxed);
    }
}

#[rex_raw_tracepoint("sys_enter")]
fn raw_too_many(context: &RawTracepoint<3>) {
    COUNTS.at(1).unwrap().fetch_add(context.argument(2) | 1, Relaxed);
}
