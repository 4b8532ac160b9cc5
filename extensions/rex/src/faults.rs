// SPDX-License-Identifier: GPL-2.0-only
//! Invalid accesses on purpose: what a bug of the compiler, or of this crate, could do.
//!
//! Only for extensions whose manifest asks for the feature `faults`: tests of the
//! kernel, which has to survive them.
use core::arch::asm;

/// An address that is never mapped in the kernel's half.
pub const UNMAPPED: usize = 0xffff_8000_0000_0000;
/// An address that no page table can hold.
pub const NON_CANONICAL: usize = 0xdead_0000_0000_0000;

/// Nothing but what has to fault: the user's half, and the two addresses above.
fn check(address: usize) {
    let user = address < 1 << 47;
    assert!(user || address == UNMAPPED || address == NON_CANONICAL, "that might be there");
}

/// Read from an address that has to fault, as if a pointer led there.
#[inline(always)]
pub fn read(address: usize) -> u64 {
    check(address);
    load(address)
}

/// Write to an address that has to fault, as if a pointer led there.
#[inline(always)]
pub fn write(address: usize, value: u64) {
    check(address);
    store(address, value);
}

// By themselves, so that they have a frame to be found by.
#[inline(never)]
fn load(address: usize) -> u64 {
    // SAFETY: none. That is what it is for.
    unsafe { (address as *const u64).read_volatile() }
}

#[inline(never)]
fn store(address: usize, value: u64) {
    // SAFETY: none. That is what it is for.
    unsafe { (address as *mut u64).write_volatile(value) }
}

/// Run an instruction that does not exist.
#[inline(never)]
pub fn invalid_instruction() {
    // SAFETY: none. That is what it is for.
    unsafe { asm!("ud2") }
}

/// Divide by zero without Rust's check.
#[inline(never)]
pub fn divide_by_zero() -> u64 {
    let quotient: u64;
    // SAFETY: none. That is what it is for.
    unsafe {
        asm!("div {zero}", zero = in(reg) 0_u64,
             inout("rax") 1_u64 => quotient, inout("rdx") 0_u64 => _);
    }
    quotient
}
