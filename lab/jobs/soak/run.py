# SPDX-License-Identifier: GPL-2.0-only
"""`lab soak`: rounds of extensions that loop, panic, overflow, leak and behave, in one guest.

Each round is an item of its own, drawn from the seed (`soak_plan`), run and judged
as scenarios are, and its books have to fit (`soak_books`). The guest and the baseline are
the same for all rounds: what one of them leaves is seen in the next, or in a slope.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lab import events
from lab.config.yaml_file import Map
from lab.deadline import DeadlineExceeded
from lab.errors import InfraError
from lab.guest import job
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.jobs.soak import crosscheck, scenario_file
from lab.jobs.soak import plan as soak_plan
from lab.jobs.soak.crosscheck import Books
from lab.jobs.soak.options import Order, Soaked
from lab.jobs.soak.plan import Round
from lab.jobs.soak.scenario_file import PROPERTY
from lab.judge import Judgement, judge
from lab.judge.finding import Finding
from lab.judge.observation import Observation
from lab.oracle.console.lines import Shape
from lab.oracle.slopes import slope
from lab.report.dossier import host_facts, new_run
from lab.report.record import record
from lab.runner.attempt import attempt_within
from lab.runner.plan import Plan, Planner, pushed_files
from lab.runner.shell_lines import debug_path, write_line
from lab.runner.watch import Baseline, Watch, take_baseline
from lab.scenario.expand import expand
from lab.scenario.items import Item
from lab.scenario.model.scenario import Written
from lab.vm import slots
from lab.words import GAUGES, REX_COUNTERS

# Fewer rounds tell nothing of growth. The kernel has all that it keeps after the first ones.
SLOPE_ROUNDS, SLOPE_WARM = 20, 5
# KiB per round. Some thirty tasks are forgotten or left behind in a round, of seven each, and
# a program's image takes twelve; a guest's caches and threads grow by half of these bounds.
SLOPES = {"slab": 32.0, "percpu": 2.0, "vmalloc": 8.0}
# Freed memory stays in this sanitizer's quarantine for a while.
SANITIZER = "CONFIG_KASAN"


@dataclass
class Soak:
    """Runs one soak; what it does on the way is told by events."""

    planner: Planner
    forks: Forks
    order: Order
    emit: events.Emit = events.ignore
    folder: Path = field(default_factory=new_run)

    def __post_init__(self) -> None:
        self._before: Mapping[str, int] = {}
        # The rounds since books were last read, this one among them.
        self._unread: list[int] = []

    def run(self) -> Soaked:
        """Run rounds until the time is up or one is not well.

        Raises `UserError` for what the user has to mend, and what starting a guest
        raises. An interrupt ends it, and what there is comes back.
        """
        # All that any round may use, for all of them.
        plan = self.planner.plan(item_of(replace(self._draw(1), churn=True), self.order.flavor))
        soaked = Soaked(self.order, self._about(plan))
        start = time.monotonic()
        stop = threading.Event()
        folder = self.planner.cache.root / slots.FOLDER
        try:
            with (
                slots.slot(folder, plan.guest.shape.memory, stop, self.emit),
                self.forks.start(plan.guest) as guest,
            ):
                self.emit(events.GuestReady(PROPERTY, guest.ready_after, guest.how, self._accel))
                guest.push(pushed_files(plan))
                start = time.monotonic()
                try:
                    self._rounds(guest, plan, soaked)
                except (InfraError, DeadlineExceeded) as error:
                    soaked.verdict, soaked.reasons = "error", (str(error),)
        except KeyboardInterrupt:
            soaked.interrupted = True
        soaked.seconds = time.monotonic() - start
        # Growth is nothing of one round: it has no dossier, but the figures of all.
        if soaked.verdict == "passed":
            self._judge_slopes(soaked, plan.kernel.has(SANITIZER))
        return soaked

    def _rounds(self, guest: Guest, base: Plan, soaked: Soaked) -> None:
        order = self.order
        baseline = take_baseline(guest)
        if order.unprotected:
            line = write_line(debug_path("rex/unprotected"), str(order.unprotected))
            done = guest.run(line)
            if not done.ok:
                raise InfraError("the protections can't be switched off", details=done.stderr)
        # Also between the rounds: what is late must not be missed.
        options = base.kernel.config_options
        always = Watch(guest, baseline, Shape.of_kernel(options, base.guest.arguments))
        end = time.monotonic() + 60 * order.minutes
        numbers = itertools.count(1) if order.only is None else [order.only]
        for number in numbers:
            if order.only is None and time.monotonic() >= end:
                break
            if not self._round(guest, baseline, always, base, self._draw(number), soaked):
                break

    def _round(
        self,
        guest: Guest,
        baseline: Baseline,
        always: Watch,
        base: Plan,
        drawn: Round,
        soaked: Soaked,
    ) -> bool:
        """One round; whether another may follow."""
        item = item_of(drawn, self.order.flavor)
        plan = Plan(item, base.kernel, base.image, base.guest, base.artifacts)
        attempt = attempt_within(guest, baseline, plan, self.emit)
        seen, seconds = attempt.observation, attempt.seconds
        judgement, books = self._judge(drawn, item, seen, always)
        counts = self._counts(seen)
        self._add(soaked, drawn, judgement, books, counts, seconds)
        self.emit(events.RoundFinished(item.id, drawn.number, judgement.verdict, seconds, counts))
        if judgement.verdict == "passed":
            # The lab's own files, of jobs that are over, would grow from round to round.
            guest.run(f"rm -f {job.FOLDER}/kextlab-job-*")
            gauges = always.gauges()
            soaked.gauges.append({"turn": float(drawn.number), **gauges})
            soaked.rounds[-1]["gauges"] = gauges
            return True
        soaked.verdict, soaked.reasons = judgement.verdict, judgement.reasons
        seen.facts["round"] = soak_plan.as_scenario(drawn)
        seen.facts["soak"] = self.order.line()
        # Hundreds of them, which the dossier has by themselves.
        seen.evidence = [one for one in seen.evidence if one.kind != "extension-report"]
        result = record(self.folder, attempt, judgement, rerun=self.order.line())
        soaked.result = result
        soaked.file = scenario_file.write(
            Path(result.dossier),
            drawn,
            self.order.flavor,
            self.order.unprotected,
            self.order.line(only=drawn.number),
        )
        return False

    def _judge(
        self, drawn: Round, item: Item, seen: Observation, always: Watch
    ) -> tuple[Judgement, Books | None]:
        """The verdict on a round, with its books, if it has some that can be read."""
        judgement = judge(item.scenario, seen)
        if seen.state is None and "cpus" in seen.facts:
            # Nothing in a round stops the guest's network: its CPUs are where they can't be left.
            happened = f"no CPU answers, and no detector says why:\n{seen.facts['cpus']}"
            silent = Finding("kernel", "alive", happened, False, "kernel")
            return Judgement("failed", (*judgement.findings, silent)), None
        books: Books | None = None
        more: list[Finding] = []
        text = next(
            (one.output for one in seen.first.results if one.step.label == soak_plan.BOOKS), ""
        )
        if text:
            try:
                books = crosscheck.parse(text, seen.first.programs)
            except InfraError as error:
                if judgement.verdict == "passed":
                    return Judgement("error", (), str(error)), None
            else:
                more += crosscheck.findings(books, tuple(drawn.schedules))
        if seen.rex_total and seen.state == "alive":
            more.append(crosscheck.balance({str(k): v for k, v in seen.rex_total.items()}))
        if judgement.verdict == "passed":
            late = always.reports()
            happened = late[0].title if late else "there was none"
            more.append(Finding("console", "no report between rounds", happened, not late))
        if judgement.infra_error or all(finding.holds for finding in more):
            return judgement, books
        return Judgement("failed", (*judgement.findings, *more)), books

    def _counts(self, seen: Observation) -> dict[str, int] | None:
        """What the kernel's counters rose by in this round; None if they could not be read."""
        if seen.rex_total is None:
            return None
        now = {str(name): value for name, value in seen.rex_total.items()}
        counts = {
            name: now[name] - self._before.get(name, 0) for name in REX_COUNTERS if name in now
        }
        self._before = now
        return {name: value for name, value in counts.items() if value}

    def _add(
        self,
        soaked: Soaked,
        drawn: Round,
        judgement: Judgement,
        books: Books | None,
        counts: Mapping[str, int] | None,
        seconds: float,
    ) -> None:
        soaked.totals.update(counts or {})
        soaked.rounds.append(
            {
                "round": drawn.number,
                "verdict": judgement.verdict,
                "seconds": round(seconds, 2),
                "counts": None if counts is None else dict(counts),
            }
        )
        self._unread.append(drawn.number)
        if books is None:
            return
        soaked.booked += 1
        for tallies in books.tallies.values():
            soaked.behaviours.update({name: tally.begun for name, tally in tallies.items()})
        latency = books.stats.get("latency_max_ns")
        if latency is not None and latency > (soaked.latency_max_ns or 0):
            # The longest of all rounds, while the programs' own ends with them.
            own = max((one.get("latency_max_ns", 0) for one in books.counters.values()), default=0)
            first = drawn.number if own >= latency else self._unread[0]
            soaked.latency_max_rounds = first, drawn.number
        soaked.latency_max_ns = latency
        self._unread.clear()

    def _judge_slopes(self, soaked: Soaked, sanitized: bool) -> None:
        """Whether the kernel's memory grew from round to round."""
        samples = soaked.gauges[SLOPE_WARM:]
        if len(samples) < SLOPE_ROUNDS:
            return
        for gauge in GAUGES:
            points = [(sample["turn"], sample[gauge]) for sample in samples]
            soaked.slopes[gauge] = round(slope(points), 3)
        wrong = tuple(
            f"slope of {gauge}: expected at most {most} KiB per round, but it is "
            f"{soaked.slopes[gauge]}"
            for gauge, most in SLOPES.items()
            if soaked.slopes[gauge] > most and not sanitized
        )
        if wrong:
            soaked.verdict, soaked.reasons = "failed", wrong

    def _draw(self, number: int) -> Round:
        return soak_plan.draw(self.order.seed, number, self.order.cpus, beyond=self.order.beyond)

    @property
    def _accel(self) -> str:
        return self.planner.chosen_accel().name

    def _about(self, plan: Plan) -> dict[str, Any]:
        return {
            "host": host_facts(),
            "accelerator": self._accel,
            "kernel": plan.kernel.flavor,
            "release": plan.kernel.release,
            "cpus": self.order.cpus,
            "minutes": self.order.minutes,
            "without": list(self.order.without),
            "beyond": self.order.beyond,
        }


def item_of(drawn: Round, flavor: str) -> Item:
    """A round as an item on a flavor, as if a file had said it."""
    data = soak_plan.as_scenario(drawn)
    context = {"file": PROPERTY, "extensions": tuple(data["extensions"])}
    scenario = expand(
        Written.model_validate(data, context=context),
        path=Path(PROPERTY),
        name=f"round-{drawn.number}",
        property=PROPERTY,
        parameters={},
        grid=({},),
        data=Map(),
    )
    return Item(f"{scenario.id}@{flavor}", scenario, flavor)
