# SPDX-License-Identifier: GPL-2.0-only
"""Run soaks: rounds of extensions that loop, panic, overflow, leak and behave, in one guest.

Each round is an item of its own, drawn from the seed (`plan`), and run and judged like a
scenario. In addition its run counts must agree (`crosscheck`). All rounds share the guest and
the baseline, so the next round, or a slope, shows what a round leaves behind.
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
from lab.jobs.soak.crosscheck import RunCounts
from lab.jobs.soak.options import SoakOptions, SoakResult
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
from lab.runner.baseline import Baseline, take_baseline
from lab.runner.plan import Plan, Planner, pushed_files
from lab.runner.shell_lines import debug_path, write_line
from lab.runner.watch import Watch
from lab.scenario.expand import expand
from lab.scenario.items import Item
from lab.scenario.model.scenario import Written
from lab.vm import slots
from lab.words import GAUGES, REX_COUNTERS

# Fewer rounds than SLOPE_ROUNDS show no growth. In the first SLOPE_WARM rounds the kernel
# allocates what it then keeps.
SLOPE_ROUNDS, SLOPE_WARM = 20, 5
# Bounds in KiB per round. If leaks were not released, a round would lose about 30 tasks of 7 KiB
# each, and 12 KiB for a program's image. Caches and threads alone grow by half these bounds.
SLOPES = {"slab": 32.0, "percpu": 2.0, "vmalloc": 8.0}
# This sanitizer keeps freed memory in quarantine for a while, so slopes are not judged.
SANITIZER = "CONFIG_KASAN"


@dataclass
class Soak:
    """One soak, which reports its progress by events."""

    planner: Planner
    forks: Forks
    options: SoakOptions
    emit: events.Emit = events.ignore
    folder: Path = field(default_factory=new_run)

    def __post_init__(self) -> None:
        self._before: Mapping[str, int] = {}
        # The rounds since run counts were last read, including the current one.
        self._unread: list[int] = []

    def run(self) -> SoakResult:
        """Run rounds until the time is up or a round does not pass.

        An interrupt ends the soak, and the result so far is returned. Raises `UserError` for
        what the user has to fix, and the errors of starting a guest.
        """
        # One plan for all rounds: with `churn` it has every extension that a round may use.
        plan = self.planner.plan(item_of(replace(self._draw(1), churn=True), self.options.flavor))
        soaked = SoakResult(self.options, self._about(plan))
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
        # Growth belongs to no single round, so it has no dossier, only figures.
        if soaked.verdict == "passed":
            self._judge_slopes(soaked, plan.kernel.has(SANITIZER))
        return soaked

    def _rounds(self, guest: Guest, base: Plan, soaked: SoakResult) -> None:
        wanted = self.options
        baseline = take_baseline(guest)
        if wanted.unprotected:
            line = write_line(debug_path("rex/unprotected"), str(wanted.unprotected))
            done = guest.run(line)
            if not done.ok:
                raise InfraError("the protections can't be switched off", details=done.stderr)
        # This watch also sees reports that come late, between the rounds.
        config = base.kernel.config_options
        always = Watch(guest, baseline, Shape.of_kernel(config, base.guest.arguments))
        end = time.monotonic() + 60 * wanted.minutes
        numbers = itertools.count(1) if wanted.only is None else [wanted.only]
        for number in numbers:
            if wanted.only is None and time.monotonic() >= end:
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
        soaked: SoakResult,
    ) -> bool:
        """Run one round; return whether another may follow."""
        item = item_of(drawn, self.options.flavor)
        plan = Plan(item, base.kernel, base.image, base.guest, base.artifacts)
        attempt = attempt_within(guest, baseline, plan, self.emit)
        seen, seconds = attempt.observation, attempt.seconds
        judgement, run_counts = self._judge(drawn, item, seen, always)
        counts = self._counts(seen)
        self._add(soaked, drawn, judgement, run_counts, counts, seconds)
        self.emit(events.RoundFinished(item.id, drawn.number, judgement.verdict, seconds, counts))
        if judgement.verdict == "passed":
            # Remove the files of finished jobs. Their memory would count as growth.
            guest.run(f"rm -f {job.FOLDER}/kextlab-job-*")
            gauges = always.gauges()
            soaked.gauges.append({"turn": float(drawn.number), **gauges})
            soaked.rounds[-1]["gauges"] = gauges
            return True
        soaked.verdict, soaked.reasons = judgement.verdict, judgement.reasons
        seen.facts["round"] = soak_plan.as_scenario(drawn)
        seen.facts["soak"] = self.options.line()
        # There are hundreds of these; the dossier has them in a file of their own.
        seen.evidence = [one for one in seen.evidence if one.kind != "extension-report"]
        result = record(self.folder, attempt, judgement, rerun=self.options.line())
        soaked.result = result
        soaked.file = scenario_file.write(
            Path(result.dossier),
            drawn,
            self.options.flavor,
            self.options.unprotected,
            self.options.line(only=drawn.number),
        )
        return False

    def _judge(
        self, drawn: Round, item: Item, seen: Observation, always: Watch
    ) -> tuple[Judgement, RunCounts | None]:
        """Return the judgement of a round, and its run counts if they can be read."""
        judgement = judge(item.scenario, seen)
        if seen.state is None and "cpus" in seen.facts:
            # Nothing in a round stops the guest's network, so its CPUs are stuck in the kernel.
            happened = f"no CPU answers, and no detector says why:\n{seen.facts['cpus']}"
            silent = Finding("kernel", "alive", happened, False, "kernel")
            return Judgement("failed", (*judgement.findings, silent)), None
        run_counts: RunCounts | None = None
        more: list[Finding] = []
        text = next(
            (one.output for one in seen.first.results if one.step.label == soak_plan.COUNTS), ""
        )
        if text:
            try:
                run_counts = crosscheck.parse(text, seen.first.programs)
            except InfraError as error:
                if judgement.verdict == "passed":
                    return Judgement("error", (), str(error)), None
            else:
                more += crosscheck.findings(run_counts, tuple(drawn.schedules))
        if seen.rex_total and seen.state == "alive":
            more.append(crosscheck.balance({str(k): v for k, v in seen.rex_total.items()}))
        if judgement.verdict == "passed":
            late = always.reports()
            happened = late[0].title if late else "there was none"
            more.append(Finding("console", "no report between rounds", happened, not late))
        if judgement.infra_error or all(finding.holds for finding in more):
            return judgement, run_counts
        return Judgement("failed", (*judgement.findings, *more)), run_counts

    def _counts(self, seen: Observation) -> dict[str, int] | None:
        """Return the increase of the kernel's counters in this round; None if unreadable."""
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
        soaked: SoakResult,
        drawn: Round,
        judgement: Judgement,
        run_counts: RunCounts | None,
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
        if run_counts is None:
            return
        soaked.counted += 1
        for tallies in run_counts.tallies.values():
            soaked.behaviours.update({name: tally.begun for name, tally in tallies.items()})
        latency = run_counts.stats.get("latency_max_ns")
        if latency is not None and latency > (soaked.latency_max_ns or 0):
            # The kernel's maximum spans all rounds; a program's ends with the program. If a program
            # has the maximum, it is from this round.
            own = max(
                (one.get("latency_max_ns", 0) for one in run_counts.counters.values()), default=0
            )
            first = drawn.number if own >= latency else self._unread[0]
            soaked.latency_max_rounds = first, drawn.number
        soaked.latency_max_ns = latency
        self._unread.clear()

    def _judge_slopes(self, soaked: SoakResult, sanitized: bool) -> None:
        """Fail the soak if the kernel's memory grew from round to round."""
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
        return soak_plan.draw(
            self.options.seed, number, self.options.cpus, beyond=self.options.beyond
        )

    @property
    def _accel(self) -> str:
        return self.planner.chosen_accel().name

    def _about(self, plan: Plan) -> dict[str, Any]:
        return {
            "host": host_facts(),
            "accelerator": self._accel,
            "kernel": plan.kernel.flavor,
            "release": plan.kernel.release,
            "cpus": self.options.cpus,
            "minutes": self.options.minutes,
            "without": list(self.options.without),
            "beyond": self.options.beyond,
        }


def item_of(drawn: Round, flavor: str) -> Item:
    """Return a round as an item on a flavor, as if it came from a file."""
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
