// SPDX-License-Identifier: GPL-2.0-only
//! Hostile output that safe Rust can print, only for the tests of the lab.
#![no_std]
use rex::prelude::*;

/// Text that clears a terminal, sets its title, and looks like a new line with a prefix.
const NASTY: &str = "\x1b[2J\x1b]0;owned\x07\u{202e}\u{9b}31m\r\n<3>[    1.000000][    T1] x";

fn wanted() -> bool {
    kernel::current_comm().text() == "kexttrigger"
}

/// Panic with a message that must not be printed unescaped.
#[rex_kprobe("__x64_sys_getpgid")]
fn nasty(_context: &Kprobe) {
    if wanted() {
        panic!("nasty: {NASTY}");
    }
}

/// Write to the kernel's log until the kernel ends the run.
#[rex_kprobe("__x64_sys_getppid")]
fn flood(_context: &Kprobe) {
    while wanted() {
        rex_printk!("{NASTY}{:->200}", "flood");
    }
}
