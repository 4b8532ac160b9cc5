// SPDX-License-Identifier: GPL-2.0-only
//! The extension of `lab soak`: the same program at each kind of hook, controlled by user
//! space. Each run takes a number; its program's schedule tells what the run of this number
//! does. At the schedule's end, or when the gate is shut, runs only return.
//!
//! `tally` has three numbers for each program and behavior: the runs that began it, those
//! that completed it, and those that could not do it at that time.
#![no_std]
use rex::prelude::*;

mod behave;
mod hooks;

use behave::Place;

/// The length of a schedule.
const LENGTH: usize = 64;
/// The numbers of programs and of behaviors, for the entries of `tally`.
const PROGRAMS: u32 = 12;
const BEHAVIOURS: u32 = 20;

/// The schedule of a program, one behavior per run. Of `stride` runs only the first
/// counts, for hooks that are reached very often.
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

/// Not 0 while programs follow their schedules.
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

/// Return the behavior of this run, if it has one.
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

/// Run a program's behavior at its hook.
fn act(program: u32, place: Place) {
    let Some(behaviour) = scheduled(program) else { return };
    count(program, behaviour, BEGUN);
    let came = behave::behave(behaviour, place);
    count(program, behaviour, if came { THROUGH } else { WAIVED });
}
