// SPDX-License-Identifier: GPL-2.0-only
//! Runs that take about as long as the budget, and records of how each ended.
//!
//! `spins` runs for a random time, usually just below the budget. `ends` is attached to the
//! tracepoint for ended runs, and runs while the ended run is still the last one of its CPU.
//! Together they know for every run if it reached its end, was ended, or both. Each run is
//! counted once, and impossible cases are counted separately.
#![no_std]
use rex::prelude::*;

const CPUS: u32 = 4;

/// Entry 0: the budget in ns, which the scenario also set in the kernel.
#[rex_map]
static SETTINGS: Array<AtomicU64> = Array::new(1);

/// Counts of runs by how they ended.
#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(8);

const ENTERED: u32 = 0;
/// Reached their end; of these, in the last tenth of the budget.
const LEFT: u32 = 1;
const LEFT_NEAR: u32 = 2;
/// Ended by the kernel; of these, after the run had recorded its own end.
const ENDED: u32 = 3;
const ENDED_AT_THE_END: u32 = 4;
/// The longest run that reached its end, and the shortest that was ended, in ns.
const LONGEST: u32 = 5;
const SHORTEST_ENDED: u32 = 6;

/// Counts of impossible cases.
#[rex_map]
static WRONG: Array<AtomicU64> = Array::new(4);

/// The run was ended before its budget was spent.
const EARLY: u32 = 0;
/// The run was ended twice.
const TWICE: u32 = 1;
/// The run neither reached its end nor was reported as ended.
const VANISHED: u32 = 2;
/// The run reached its end although it took many times the budget.
const LOST: u32 = 3;

/// For each CPU: how its last run ended, and when the previous one was over. The last run
/// began after that, even if the host stopped the CPU at its first instruction.
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

/// Return a time to spin in ns, and true if it exceeds the budget so far that no run may survive.
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
        // The run has reached its end, but the kernel may still end it.
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
    // A run that recorded its own end has stored that time in `before`: don't measure it.
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
