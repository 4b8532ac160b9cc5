// SPDX-License-Identifier: GPL-2.0-only
//! What `lab soak` loads: a program at each kind of hook, all alike, that behave as user
//! space has it. Each run takes a number; the schedule of its program says what the runs
//! of that number do. When the schedule is at its end, or the gate is shut, runs only return.
//!
//! `tally` has three numbers for each program and behaviour: the runs that began to
//! behave so, those that came through, and those that could not do it just then.
#![no_std]
use rex::prelude::*;

mod behave;
mod hooks;

use behave::Place;

/// Of a schedule.
const LENGTH: usize = 64;
/// Of programs, and of behaviours of each: places in `tally`.
const PROGRAMS: u32 = 12;
const BEHAVIOURS: u32 = 20;

/// What the runs of a program do, one behaviour each. Of `stride` runs only the first
/// counts, for hooks that are reached all the time.
#[rex_plain]
struct Schedule {
    stride: u32,
    length: u32,
    behaviours: [u8; LENGTH],
}

#[rex_map]
static SCHEDULES: Array<Schedule> = Array::new(PROGRAMS);

/// The runs of each program while the gate was open.
#[rex_map]
static NUMBERS: Array<AtomicU64> = Array::new(PROGRAMS);

/// Not 0 while programs are to behave.
#[rex_map]
static GATE: Array<AtomicU64> = Array::new(1);

#[rex_map]
static TALLY: Array<AtomicU64> = Array::new(PROGRAMS * BEHAVIOURS * 3);
const BEGUN: u32 = 0;
const THROUGH: u32 = 1;
const WAIVED: u32 = 2;

fn count(program: u32, behaviour: u8, what: u32) {
    if let Some(counter) = TALLY.at((program * BEHAVIOURS + u32::from(behaviour)) * 3 + what) {
        counter.fetch_add(1, Relaxed);
    }
}

/// What this run is to do, if it is to do anything.
fn scheduled(program: u32) -> Option<u8> {
    if GATE.at(0)?.load(Relaxed) == 0 {
        return None;
    }
    let number = NUMBERS.at(program)?.fetch_add(1, Relaxed);
    let schedule = SCHEDULES.get(program)?;
    let stride = u64::from(schedule.stride.max(1));
    let place = number / stride;
    if number % stride != 0 || place >= u64::from(schedule.length) {
        return None;
    }
    schedule.behaviours.get(place as usize).copied()
}

/// All that a program does at its place.
fn act(program: u32, place: Place) {
    let Some(behaviour) = scheduled(program) else { return };
    count(program, behaviour, BEGUN);
    let came = behave::behave(behaviour, place);
    count(program, behaviour, if came { THROUGH } else { WAIVED });
}
