// SPDX-License-Identifier: GPL-2.0-only
//! The panic handler, which ends the program.
use core::panic::PanicInfo;

use crate::abi;
use crate::print::Line;

// An editor checks the code for its own system, including tests, where `std` has a handler.
#[cfg_attr(target_os = "none", panic_handler)]
#[cfg_attr(not(target_os = "none"), allow(dead_code))]
fn panic(info: &PanicInfo<'_>) -> ! {
    let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
    if abi::rex_panic_begin() > 0 {
        // Formatting the message below panicked itself, so do not format again.
        leave("panicked while the message of a panic was formatted", file, line);
    }
    let mut message = Line::new();
    message.add(format_args!("{}", info.message()));
    leave(message.text(), file, line)
}

fn leave(message: &str, file: &str, line: u32) -> ! {
    // SAFETY: the kernel reads both texts before it ends the program.
    unsafe {
        abi::rex_panic(
            message.as_ptr(),
            message.len() as u32,
            file.as_ptr(),
            file.len() as u32,
            line,
        )
    }
}
