// SPDX-License-Identifier: GPL-2.0-only
//! Code of `core` that calls back: formatting nested values.
use core::fmt::{self, Debug, Display, Formatter, Write};

use rex::prelude::*;

use crate::{DEPTHS, count, depth, descend_in_kilobytes, wanted};

/// A writer that discards its text, because a log line would soon be full.
struct Nowhere(u64);

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

/// A number of nested boxes.
struct Boxes(u32);

impl Debug for Boxes {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let inner = Boxes(self.0.wrapping_sub(1));
        if inner.0 == 0 {
            return formatter.write_str("empty");
        }
        formatter.debug_struct("Boxes").field("number", &self.0).field("inner", &inner).finish()
    }
}

impl Display for Boxes {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let inner = Boxes(self.0.wrapping_sub(1));
        if inner.0 == 0 {
            return formatter.pad("empty");
        }
        write!(formatter, "{:>8} in {}", self.0, inner)
    }
}

/// Boxes whose innermost content recurses before it writes text: the text then passes only
/// through library functions, one for each box.
struct Late(u32);

impl Debug for Late {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        if self.0 > 1 {
            return formatter.debug_tuple("Late").field(&Late(self.0 - 1)).finish();
        }
        let mut result = Ok(());
        descend_in_kilobytes(DEPTHS.get(1).unwrap_or(1), &mut || {
            result = formatter.write_str("late");
        });
        result
    }
}

fn format(arguments: fmt::Arguments<'_>) {
    let mut nowhere = Nowhere(0);
    let _ = nowhere.write_fmt(arguments);
    core::hint::black_box(nowhere.0);
}

#[rex_kprobe("__x64_sys_getpgid")]
fn formats_debug(_context: &Kprobe) {
    if wanted() {
        format(format_args!("{:?}", Boxes(depth())));
        count(1);
    }
}

/// Each line passes through as many library functions as there are boxes around it.
#[rex_kprobe("__x64_sys_getpgid")]
fn formats_pretty(_context: &Kprobe) {
    if wanted() {
        format(format_args!("{:#?}", Boxes(depth())));
        count(1);
    }
}

#[rex_kprobe("__x64_sys_getpgid")]
fn formats_late(_context: &Kprobe) {
    if wanted() {
        format(format_args!("{:#?}", Late(depth())));
        count(1);
    }
}

#[rex_kprobe("__x64_sys_getpgid")]
fn formats_display(_context: &Kprobe) {
    if wanted() {
        format(format_args!("{}", Boxes(depth())));
        count(1);
    }
}
