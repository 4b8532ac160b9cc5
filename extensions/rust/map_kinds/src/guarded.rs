// SPDX-License-Identifier: GPL-2.0-only
//! Values with a lock: every change is atomic.
use rex::prelude::*;

use crate::{code, found};

#[rex_plain]
struct Account {
    units: u64,
    changes: u64,
}

#[rex_map]
static ACCOUNTS: Array<Locked<Account>> = Array::new(1);
#[rex_map]
static NAMED: HashMap<u32, Locked<Account>> = HashMap::new(2);

/// Both CPUs add to the value from user space. Without a working lock, the time between
/// reading and writing is long enough for the other CPU to interfere.
#[rex_kprobe("__x64_sys_getpgid")]
fn add(_context: &Kprobe) {
    let mut account = ACCOUNTS.lock(0).unwrap();
    let before = *account;
    let until = kernel::ktime_ns() + 1000;
    while kernel::ktime_ns() < until {}
    account.units = before.units + 2;
    account.changes = before.changes + 1;
}

/// Check the value, and the limit of one lock per CPU.
#[rex_kprobe("__x64_sys_getppid")]
fn look(_context: &Kprobe) {
    let account = ACCOUNTS.lock(0).unwrap();
    found(0, account.units);
    found(1, account.changes);
    // One lock at a time: this lock and all others are busy.
    found(2, code(ACCOUNTS.lock(0).map(drop)));
    NAMED.insert(&5, &Account { units: 50, changes: 1 }).unwrap();
    found(3, code(NAMED.lock(&5).map(drop)));
    drop(account);
    found(4, NAMED.lock(&5).unwrap().units);
    found(5, code(NAMED.lock(&6).map(drop)));
    found(6, code(ACCOUNTS.lock(1).map(drop)));
    found(7, code(ACCOUNTS.lock(0).map(drop)));
}
