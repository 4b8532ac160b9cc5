// SPDX-License-Identifier: GPL-2.0-only
//! Code of `core` that calls back: formatting what has itself in it.
use core::fmt::{self, Debug, Display, Formatter, Write};

use rex::prelude::*;

use crate::{count, depth, wanted};

/// Takes any text and keeps none: a line of the log would be full soon.
struct Nowhere(u64);

impl Write for Nowhere {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0 += text.len() as u64;
        Ok(())
    }
}

/// So many boxes, one in the other.
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

/// Each line goes through as many functions of the library as there are boxes around it.
#[rex_kprobe("__x64_sys_getpgid")]
fn formats_pretty(_context: &Kprobe) {
    if wanted() {
        format(format_args!("{:#?}", Boxes(depth())));
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
