// SPDX-License-Identifier: GPL-2.0-only
//! Print lines to the kernel's log.
use core::fmt::{self, Write};

use crate::abi;

/// Write a line to the kernel's log, like `println!`; it is truncated after 255 bytes.
///
/// The line begins with the program's name, and unprintable characters become `?`.
#[macro_export]
macro_rules! rex_printk {
    ($($argument:tt)*) => {
        $crate::expansion::print(::core::format_args!($($argument)*))
    };
}

const LENGTH: usize = 255;

/// Text of a bounded length.
pub(crate) struct Line {
    length: usize,
    buf: [u8; LENGTH],
}

impl Line {
    pub(crate) fn new() -> Self {
        Line { length: 0, buf: [0; LENGTH] }
    }

    pub(crate) fn add(&mut self, arguments: fmt::Arguments<'_>) {
        // The error means only that the line was truncated.
        let _ = self.write_fmt(arguments);
    }

    pub(crate) fn text(&self) -> &str {
        // Only whole characters were written.
        str::from_utf8(&self.buf[..self.length]).unwrap_or("")
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let left = LENGTH - self.length;
        let fits = text.floor_char_boundary(left);
        self.buf[self.length..self.length + fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.length += fits;
        if fits < text.len() { Err(fmt::Error) } else { Ok(()) }
    }
}

/// Print a line; `rex_printk!` calls this.
pub fn print(arguments: fmt::Arguments<'_>) {
    let mut line = Line::new();
    line.add(arguments);
    let text = line.text();
    // SAFETY: the text is read before the call returns.
    unsafe { abi::rex_printk(text.as_ptr(), text.len() as u32) }
}
