# SPDX-License-Identifier: GPL-2.0-only
"""Test the figures of a soak, on the terminal and as JSON: unknown figures are left out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, cast

import pytest
from rich.console import Console

from lab import events
from lab.cli.soak import figures, shortened
from lab.jobs.soak.crosscheck import RunCounts, Tally
from lab.jobs.soak.options import SoakOptions, SoakResult
from lab.jobs.soak.plan import draw
from lab.jobs.soak.run import Soak
from lab.judge import Judgement
from lab.judge.observation import Observation
from lab.report.result import Result
from lab.report.terminal import Terminal

SILENT = "the guest no longer answers"
ONE = {"runs": 1200, "returned": 1100, "panicked": 100, "refused": 3, "disabled": 40}


def soaked(*rounds: dict[str, int] | None) -> SoakResult:
    """Return a soak whose rounds raised the kernel's counters by these amounts."""
    return told([(counts, None) for counts in rounds])


def told(rounds: list[tuple[dict[str, int] | None, RunCounts | None]]) -> SoakResult:
    soak = Soak(cast(Any, None), cast(Any, None), SoakOptions(1), folder=Path())
    found = SoakResult(SoakOptions(1), {})
    for number, (counts, run_counts) in enumerate(rounds, 1):
        judgement = Judgement("passed" if counts else "failed", ())
        soak._add(found, draw(1, number, 4), judgement, run_counts, counts, 1.0)
    return found


def test_a_guest_that_could_not_be_asked_has_no_counts() -> None:
    soak = Soak(cast(Any, None), cast(Any, None), SoakOptions(1), folder=Path())
    assert soak._counts(Observation(state="stalled")) is None
    rose = cast(Any, {"runs": 7, "returned": 7, "panicked": 0})
    assert soak._counts(Observation(state="alive", rex_total=rose)) == {"runs": 7, "returned": 7}


def test_nothing_is_known_of_a_first_round_in_which_the_guest_stalls() -> None:
    done = soaked(None)
    text = "\n".join(figures(done))
    assert text.startswith("1 round;")
    assert SILENT in text
    assert not [digit for digit in text.replace("1 round", "") if digit.isdigit()]
    data = done.as_data()
    assert data["totals"] is None
    assert data["behaviours"] is None
    assert data["latency_max_ns"] is None
    assert data["rounds"][0]["counts"] is None


def test_what_is_known_of_the_rounds_before_is_said_as_that() -> None:
    done = soaked(ONE, ONE, None)
    first, second, kernel = figures(done)
    assert first.startswith("3 rounds, 2,400 runs: 2,200 returned, 200 panicked")
    assert second == f"unknown what ran in round 3, which these figures leave out: {SILENT}"
    assert "repaired 0" in kernel
    data = done.as_data()
    assert data["totals"]["runs"] == 2400
    assert [one["counts"] is None for one in data["rounds"]] == [False, False, True]


def test_what_was_not_run_is_not_among_the_runs() -> None:
    (line, _) = figures(soaked(ONE))
    assert (
        line == "1 round, 1,200 runs: 1,100 returned, 100 panicked; not run: 3 refused, 40 disabled"
    )


def test_a_round_in_which_nothing_ran() -> None:
    (line, _) = figures(soaked({}))
    assert line == "1 round, 0 runs: none"
    assert soaked({}).as_data()["totals"] == {}


def test_no_round() -> None:
    assert figures(soaked()) == ["0 rounds"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [({}, "nothing ran"), ({"returned": 3}, "3 returned"), (None, f"unknown what ran: {SILENT}")],
)
def test_the_line_of_a_round(counts: dict[str, int] | None, words: str) -> None:
    out = io.StringIO()
    with Terminal(Console(file=out, width=200)) as progress:
        progress(events.RoundFinished("soak/round-1@rex", 1, "failed", 51.1, counts))
    assert out.getvalue().strip().endswith(words)


def run_counts(latency_ns: int, *own_ns: int) -> RunCounts:
    """Return counts with the kernel's longest latency since its start, and each program's."""
    counters = {str(place): {"latency_max_ns": own} for place, own in enumerate(own_ns)}
    return RunCounts({"xdp": {"return": Tally(1, 1, 0)}}, counters, {"latency_max_ns": latency_ns})


def longest(done: SoakResult) -> str:
    return next((line for line in figures(done) if line.startswith("longest")), "")


def test_the_round_of_the_longest_is_named() -> None:
    most = 401_100_000
    done = told(
        [(ONE, run_counts(5, 5)), (ONE, run_counts(most, 7, most)), (ONE, run_counts(most, 9))]
    )
    assert "401.1 ms" in longest(done)
    assert "in round 2" in longest(done)
    assert "guest's clock" in longest(done)
    assert done.as_data()["latency_max_rounds"] == (2, 2)


def test_a_round_without_counts_may_have_had_the_longest() -> None:
    done = told(
        [(ONE, run_counts(5, 5)), (ONE, None), (ONE, None), (ONE, run_counts(9_000_000, 8, 7))]
    )
    assert "9.0 ms, in one of the rounds 2 to 4" in longest(done)
    assert done.as_data()["latency_max_rounds"] == (2, 4)
    # If the round's own programs have it, it is from that round.
    done = told([(ONE, None), (ONE, run_counts(9_000_000, 8, 9_000_000))])
    assert "9.0 ms, in round 2" in longest(done)


def test_no_run_was_over() -> None:
    done = told([(ONE, run_counts(0, 0))])
    assert longest(done) == ""
    assert done.as_data()["latency_max_ns"] == 0
    assert done.as_data()["latency_max_rounds"] is None
    assert told([(ONE, None)]).as_data()["latency_max_rounds"] is None


def test_a_long_command_is_cut_in_what_is_printed() -> None:
    command = "mkfifo /run/kextlab-job-1.session; " + "kexttrigger syscall getpgid times=14 " * 20
    reason = f"steps: expected all of them to end, but step 29: `{command}` could not be started"
    evidence = {"summary": f"`{command}` did not end", "source": "nonce", "trust": "wire_nonce"}
    result = Result("i", "s", "Round 1", "rex", "failed", (reason, "`short`"), evidence=(evidence,))
    short = shortened(result)
    assert short.reasons[0].startswith("steps: expected all of them to end, but step 29: `mkfifo")
    assert short.reasons[0].endswith("...` could not be started")
    assert len(short.reasons[0]) < 180
    assert short.reasons[1] == "`short`"
    assert len(short.evidence[0]["summary"]) < 130
    assert short.evidence[0]["trust"] == "wire_nonce"
    # The dossier has the whole text.
    assert command in result.reasons[0]
