// SPDX-License-Identifier: GPL-2.0-only
//! The programs of `extensions/c` that clang or the verifier rejects although they are safe,
//! under the same names: here they load, and give the right answer.
//!
//! None of them works around a limit. The language checks at run time what the verifier
//! would have to prove before: an index out of range would panic.
#![no_std]
use core::hint::black_box;

use rex::prelude::*;

mod calls;

#[rex_map]
static ANSWERS: Array<AtomicU64> = Array::new(4);

fn answer(number: u32, value: u64) {
    ANSWERS.at(number).unwrap().store(value, Relaxed);
}

const KEYWORD: &[u8; 8] = b"verifies";

/// Search a whole packet of any length for a keyword; return its position.
#[rex_xdp("lo")]
fn search_payload(packet: &Xdp) -> XdpAction {
    let bytes = packet.bytes();
    if bytes.len() < 6000 {
        return XdpAction::Pass;
    }
    if let Some(place) = bytes.windows(KEYWORD.len()).position(|window| window == KEYWORD) {
        answer(0, place as u64);
        answer(1, bytes.len() as u64);
    }
    XdpAction::Pass
}

/// Test 64 bytes and store the results in a bitmap.
#[rex_xdp]
fn test_bitmap(packet: &Xdp) -> XdpAction {
    let Some(bytes) = packet.bytes().first_chunk::<64>() else {
        return XdpAction::Pass;
    };
    let bitmap = bytes
        .iter()
        .enumerate()
        .fold(0, |bitmap, (number, &byte)| bitmap | u64::from(byte > 127) << number);
    answer(0, bitmap);
    if bitmap == u64::MAX { XdpAction::Drop } else { XdpAction::Pass }
}

#[rex_map]
static BOUNDS: Array<u32> = Array::new(1);

/// Sum 0 to n - 1, where n is read from a map.
#[rex_xdp]
fn sum_up(_packet: &Xdp) -> XdpAction {
    let mut sum = 0;
    for number in 0..BOUNDS.get(0).unwrap() {
        sum += u64::from(black_box(number)); // or the compiler would use the formula
    }
    answer(0, sum);
    XdpAction::Pass
}

const LENGTH: usize = 4096;

#[rex_map]
static TEXTS: Array<[u8; LENGTH]> = Array::new(1);

/// Count the words in a text of 4096 bytes in a map.
#[rex_xdp]
fn count_words(_packet: &Xdp) -> XdpAction {
    let text = TEXTS.get(0).unwrap();
    let words = text.split(|byte| b" \n\t".contains(byte)).filter(|word| !word.is_empty());
    answer(0, words.count() as u64);
    XdpAction::Pass
}

/// Sum the first bytes of a packet's 64-byte records.
#[rex_xdp]
fn walk_packet(packet: &Xdp) -> XdpAction {
    let sum: u32 = packet.bytes().chunks_exact(64).map(|record| u32::from(record[0])).sum();
    answer(0, sum.into());
    if sum & 1 == 1 { XdpAction::Drop } else { XdpAction::Pass }
}

#[rex_plain]
struct Table {
    index: u32,
    values: [u32; 16],
}

#[rex_map]
static TABLES: Array<Table> = Array::new(1);

/// Check an index in memory, then read it again: another writer could make the second value
/// too large, and the language checks it when it is used.
#[rex_xdp]
fn index_read_again(_packet: &Xdp) -> XdpAction {
    if TABLES.get(0).unwrap().index >= 16 {
        return XdpAction::Drop;
    }
    let table = TABLES.get(0).unwrap();
    match table.values.get(table.index as usize) {
        Some(value) if value & 1 == 0 => XdpAction::Pass,
        _ => XdpAction::Drop,
    }
}
