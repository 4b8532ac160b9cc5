// SPDX-License-Identifier: GPL-2.0-only
//! Maps without keys: queues, stacks and ring buffers.
use rex::prelude::*;

use crate::{code, found};

#[rex_map]
static QUEUE: Queue<u64> = Queue::new(4);
#[rex_map]
static STACK: Stack<u64> = Stack::new(4);

/// User space pushed 1, 2 and 3.
#[rex_kprobe("__x64_sys_getpgid")]
fn queue(_context: &Kprobe) {
    found(0, QUEUE.peek().unwrap());
    let taken: [u64; 3] = core::array::from_fn(|_| QUEUE.pop().unwrap());
    found(1, taken.iter().fold(0, |number, digit| number * 10 + digit));
    found(2, QUEUE.pop().is_none() && QUEUE.peek().is_none());
    for number in [10, 20, 30, 40] {
        QUEUE.push(&number).unwrap();
    }
    found(3, code(QUEUE.push(&50)));
}

/// User space pushed 1, 2 and 3.
#[rex_kprobe("__x64_sys_getpgid")]
fn stack(_context: &Kprobe) {
    found(0, STACK.peek().unwrap());
    let taken: [u64; 3] = core::array::from_fn(|_| STACK.pop().unwrap());
    found(1, taken.iter().fold(0, |number, digit| number * 10 + digit));
    found(2, STACK.pop().is_none() && STACK.peek().is_none());
    for number in [10, 20, 30, 40] {
        STACK.push(&number).unwrap();
    }
    found(3, code(STACK.push(&50)));
}

#[rex_map]
static SAMPLES: RingBuf<u64> = RingBuf::new(4096);

/// User space sees 1, 20 and 4: a reserved sample can still be changed, and a sample that is
/// not submitted is never visible.
#[rex_kprobe("__x64_sys_getpgid")]
fn ring(_context: &Kprobe) {
    SAMPLES.output(&1).unwrap();
    let mut second = SAMPLES.reserve(2).unwrap();
    *second *= 10;
    second.submit();
    drop(SAMPLES.reserve(3));
    SAMPLES.output(&4).unwrap();
    // A sample takes 16 bytes with its header, and one slot stays empty.
    let room = (0..1000).take_while(|number| SAMPLES.output(number).is_ok()).count();
    found(0, room as u64);
    found(1, SAMPLES.output(&0).is_err());
    found(2, SAMPLES.reserve(0).is_none());
}
