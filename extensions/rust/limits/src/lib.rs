// SPDX-License-Identifier: GPL-2.0-only
//! Runs that take about as long as they may, and books of what became of each.
//!
//! `spins` takes a time that it draws, most often just below the budget. `ends` is told of
//! each run that the kernel ends, by its tracepoint, while that run is still the last one
//! of its CPU. Together they know of every run whether it came to its end, was ended, or
//! both; each is counted once, and what must not be is counted apart.
#![no_std]
use rex::prelude::*;

const CPUS: u32 = 4;

/// Place 0: the budget in ns, as the scenario set it for the kernel.
#[rex_map]
static SETTINGS: Array<AtomicU64> = Array::new(1);

/// The runs, by what became of them.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(8);

const ENTERED: u32 = 0;
/// Came to their end, and by as much as a tenth of the budget below it.
const LEFT: u32 = 1;
const LEFT_NEAR: u32 = 2;
/// The kernel said that it ended them, before or after their last instruction but one.
const ENDED: u32 = 3;
const ENDED_AT_THE_END: u32 = 4;
/// The longest that any took that came to its end, and the shortest that was ended, in ns.
const LONGEST: u32 = 5;
const SHORTEST_ENDED: u32 = 6;

/// What must not be.
#[rex_map]
static WRONG: Array<AtomicU64> = Array::new(4);

/// Ended though it had not had its budget.
const EARLY: u32 = 0;
/// Ended twice.
const TWICE: u32 = 1;
/// Neither came to its end nor was said to be ended.
const VANISHED: u32 = 2;
/// Came to its end though it took many times the budget.
const LOST: u32 = 3;

/// Of each CPU: what became of its last run, and when the one before that was over. So the
/// next was not begun before, however long the host kept the CPU at its first instruction.
#[rex_map]
static BEFORE: Array<AtomicU64> = Array::new(CPUS);
#[rex_map]
static STATE: Array<AtomicU64> = Array::new(CPUS);

const RUNS: u64 = 1;
const IS_OVER: u64 = 2;
const WAS_ENDED: u64 = 3;

fn count(counts: &Array<AtomicU64>, place: u32) {
    if let Some(counter) = counts.at(place) {
        counter.fetch_add(1, Relaxed);
    }
}

/// A time in ns to spin for, and whether it is one that nothing may survive.
fn draw(budget: u64) -> (u64, bool) {
    let dice = kernel::random();
    let fine = u64::from(dice >> 8) % 1000;
    let share = |from: u64, to: u64| budget / 1_000_000 * (from * 1000 + fine * (to - from));
    match dice % 8 {
        0 => (share(0, 1000), false),
        1..=4 => (share(900, 1000), false),
        5 | 6 => (share(1000, 2200), false),
        _ if fine < 100 => (1000 * budget, true),
        _ => (share(980, 1020), false),
    }
}

#[rex_xdp]
fn spins(_packet: &Xdp) -> XdpAction {
    let cpu = kernel::cpu();
    let (Some(before), Some(state), Some(settings)) =
        (BEFORE.at(cpu), STATE.at(cpu), SETTINGS.at(0))
    else {
        return XdpAction::Aborted;
    };
    let budget = settings.load(Relaxed);
    if state.load(Relaxed) == RUNS {
        count(&WRONG, VANISHED);
    }
    let (wanted, far) = draw(budget);
    count(&COUNTS, ENTERED);
    let start = kernel::ktime_ns();
    state.store(RUNS, Relaxed);
    while kernel::ktime_ns() - start < wanted {}
    let took = kernel::ktime_ns() - start;
    if far {
        count(&WRONG, LOST);
    }
    if took < budget && took > budget / 10 * 9 {
        count(&COUNTS, LEFT_NEAR);
    }
    if let Some(longest) = COUNTS.at(LONGEST) {
        longest.fetch_max(took, Relaxed);
    }
    if let Some(left) = COUNTS.at(LEFT) {
        // From here on it is over, though the kernel may still end it.
        before.store(start + took, Relaxed);
        state.store(IS_OVER, Relaxed);
        left.fetch_add(1, Relaxed);
    }
    XdpAction::Drop
}

/// The program, the budget in ms, the place.
#[rex_raw_tracepoint("rex_terminate")]
fn ends(context: &RawTracepoint<2>) {
    let now = kernel::ktime_ns();
    let cpu = kernel::cpu();
    let (Some(before), Some(state)) = (BEFORE.at(cpu), STATE.at(cpu)) else { return };
    count(&COUNTS, ENDED);
    let was = state.swap(WAS_ENDED, Relaxed);
    // If it is over already, it has said when: there is nothing to measure it by.
    let took = if was == RUNS { now - before.swap(now, Relaxed) } else { u64::MAX };
    match was {
        WAS_ENDED => count(&WRONG, TWICE),
        IS_OVER => count(&COUNTS, ENDED_AT_THE_END),
        _ => {}
    }
    if took < context.argument(1) * 1_000_000 {
        count(&WRONG, EARLY);
    }
    if let Some(shortest) = COUNTS.at(SHORTEST_ENDED) {
        let _ = shortest.fetch_update(Relaxed, Relaxed, |least| {
            (least == 0 || took < least).then_some(took)
        });
    }
}
