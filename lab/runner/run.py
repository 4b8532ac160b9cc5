# SPDX-License-Identifier: GPL-2.0-only
"""Run one item: boot, baseline, steps, watch. The result is an observation for the judge."""

from __future__ import annotations

import contextlib
import shlex
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab import events
from lab.deadline import Deadline, DeadlineExceeded, host_factor, scaled
from lab.errors import InfraError, LabError
from lab.guest.boot_errors import BootError
from lab.guest.guest import BACKTRACE_SECONDS, Guest, GuestSpec
from lab.guest.ssh import ConnectionLost
from lab.judge import extension_reports
from lab.judge.observation import Iteration, Observation
from lab.oracle.console import kmsg
from lab.oracle.console.lines import Shape
from lab.oracle.console.parser import evidence as report_evidence
from lab.oracle.console.settings import console_level
from lab.oracle.evidence import Evidence
from lab.oracle.modules.reports import causes
from lab.oracle.rex import counters as rex_oracle
from lab.runner import shell_lines
from lab.runner.baseline import Baseline, take_baseline
from lab.runner.census import Census, reading_of
from lab.runner.plan import Plan, pushed_files
from lab.runner.residue import Residue, not_looked_at
from lab.runner.steps import StepDriver
from lab.runner.tool_check import ToolCheck
from lab.runner.watch import Watch
from lab.scenario.model.extensions import CExtension, ModuleExtension
from lab.scenario.model.steps import SetStep
from lab.words import RexCounter

# The number of forgeries that become evidence; the dossier has more of them.
EVIDENT_FORGERIES = 10


@dataclass(eq=False)
class Run:
    """The run of one item. `go` does all of it; the guest's behaviour never makes it raise."""

    plan: Plan
    emit: events.Emit = events.ignore
    # The way to get a guest: boot, fork, or take one that waits already.
    start: Callable[[GuestSpec], Guest] = Guest.boot
    seen: Observation = field(default_factory=Observation)
    guest: Guest | None = None
    _watch: Watch | None = None
    _tools: ToolCheck | None = None
    _residue: Residue | None = None
    _stopped: bool = False
    _cleaned: bool = False
    _read: bool = False

    def stop(self) -> None:
        """End the guest from another thread; `go` then returns soon, or when the guest is up."""
        self._stopped = True
        if self.guest is not None:
            self.guest.machine.stop()

    def go(self, on_guest: Callable[[Run], None] | None = None) -> Observation:
        """Boot a guest, do the item in it, and return the observation.

        `on_guest` is called when the guest is up, before anything happens in it.
        """
        asked = time.monotonic()

        def whole() -> None:
            with self.start(self.plan.guest) as guest:
                self.guest = guest
                if self._stopped:
                    raise InfraError("the run was stopped")
                self._ready(guest, time.monotonic() - asked)
                if on_guest is not None:
                    on_guest(self)
                self._inside(guest)

        return self._observed(whole)

    def within(self, guest: Guest, baseline: Baseline) -> Observation:
        """Do the item in a guest that is up and stays up, and that has its files.

        Leftovers and counters are compared with a baseline that may be older than the item.
        This is for consecutive items, none of which may leave anything.
        """
        self.guest = guest
        return self._observed(lambda: self._inside(guest, baseline))

    def end_watch(self) -> None:
        """Stop listening to the console of a guest that stays up."""
        if self._watch is not None:
            self._watch.close()

    def _observed(self, work: Callable[[], None]) -> Observation:
        seen = self.seen
        try:
            work()
        except BootError as error:
            seen.infra_error, seen.console = error, error.console
        except InfraError as error:
            seen.infra_error = error
        except DeadlineExceeded as error:
            seen.infra_error = InfraError(f"the lab lost the guest: {error}")
        except LabError:
            raise
        except Exception as error:
            # A guest may give an answer that no reader expects: that ends its item, and no other.
            seen.infra_error = InfraError(
                f"the lab met an unexpected condition: {error!r}",
                details=traceback.format_exc(),
            )
        if seen.infra_error is not None and self._watch is not None and not self._read:
            # The kernel's output is on the host, regardless of later errors.
            with contextlib.suppress(InfraError):
                self._read_console(self._watch)
        guest = self.guest
        if guest is not None:
            seen.console = guest.machine.console.stamped()
            seen.facts["qemu"] = shlex.join(guest.machine.command)
            seen.facts["qemu_stderr"] = guest.machine.stderr
        return seen

    def _ready(self, guest: Guest, waited: float) -> None:
        # The guest's own start, also where it was made while something else ran.
        self.seen.seconds["start"] = max(waited, guest.ready_after)
        accel = self.plan.guest.shape.accel
        self.seen.facts["start"] = guest.how
        self.emit(events.GuestReady(self.plan.item.id, guest.ready_after, guest.how, accel))

    def _inside(self, guest: Guest, baseline: Baseline | None = None) -> None:
        seen, scenario = self.seen, self.plan.item.scenario
        expect = scenario.expect
        start = time.monotonic()
        files = pushed_files(self.plan)
        if files and baseline is None:
            guest.push(files)
        if scenario.extensions:
            _ = guest.loader
        self._tools = ToolCheck(guest)
        kernel = self.plan.kernel
        if any(isinstance(one, ModuleExtension) for one in scenario.extensions.values()):
            # Its trace instances must exist at the census's baseline.
            self._residue = Residue(guest, missing=not_looked_at(kernel))
            self._residue.begin()
        if baseline is None:
            census = Census(guest, reading_of(kernel), kernel.vmlinux)
            baseline = take_baseline(guest, census)
        watch = Watch(
            guest, baseline, Shape.of_kernel(kernel.config_options, self.plan.guest.arguments)
        )
        self._watch = watch
        watch.begin()
        seen.left_at_unload = watch.left_at_unload  # also if the kernel does not live to the end
        seen.seconds["baseline"] = time.monotonic() - start

        deadline = Deadline(scenario.timeout * host_factor())
        start = time.monotonic()
        driver = self._driver(guest, watch, deadline)
        seen.first = driver.run(scenario.steps)
        # With a kernel that is meant to be stuck, the cleanup would get stuck.
        clean = (
            expect.kernel == "alive"
            and not seen.first.interrupted
            and self._clean(driver, seen.first)
        )
        self._cleaned = clean
        if clean:
            # Expectations of counts are of the first use: the second adds to them.
            seen.rex = self._read_rex(watch)
        if expect.reusable:
            seen.second = self._second(guest, watch, deadline, clean)
        seen.seconds["steps"] = time.monotonic() - start

        start = time.monotonic()
        interrupted = seen.first.interrupted or (seen.second and seen.second.interrupted)
        lost = seen.first.lost or (seen.second is not None and seen.second.lost)
        evidence = self._find_state(watch, bool(interrupted), lost or expect.kernel != "alive")
        self._add(evidence)
        if seen.state == "alive":
            self._aftermath(guest, watch)
        else:
            self._add([kmsg.unchecked("the kernel is not known to be alive")])
            self._look_inside(guest)
        self._read_console(watch)
        if lost and seen.state == "alive" and not seen.reports and seen.infra_error is None:
            # The kernel is alive, so this shows nothing about it.
            seen.infra_error = InfraError(
                f"the connection, or a tool of the lab in the guest, broke: {interrupted}",
                hint="did the scenario end the guest's SSH server or the loader?",
            )
        seen.seconds["watch"] = time.monotonic() - start

    def _find_state(self, watch: Watch, interrupted: bool, news_first: bool) -> list[Evidence]:
        """Find the kernel's state, with time for what it may still report; return the evidence.

        `news_first`: a panic is likely, or asked for, if the steps were interrupted.
        """
        if interrupted and news_first:
            watch.wait_for_late_panic()
        elif not interrupted:
            watch.wait_for_quiet()
        self.seen.state, evidence = watch.state()
        if interrupted and not news_first and self.seen.state == "alive":
            # A step ran out of time, and the kernel may be about to report why. A stalled
            # kernel that should be alive fails the item, whatever it reports later.
            watch.wait_for_late_panic()
            self.seen.state, evidence = watch.state()
        return evidence

    def _look_inside(self, guest: Guest) -> None:
        """Record the positions of the CPUs of a kernel that does not answer."""
        if guest.machine.ended or guest.machine.panicked:
            return
        with contextlib.suppress(InfraError):
            self.seen.facts["cpus"] = guest.where(self.plan.kernel.vmlinux)
            if self.seen.state is None:
                backtraces = guest.machine.ask_backtraces(scaled(BACKTRACE_SECONDS))
                self.seen.facts["backtraces"] = backtraces
        if self.seen.state is None:
            self.seen.infra_error = InfraError(
                "the guest does not answer over SSH, and nothing says that its kernel is stuck",
                details=self.seen.facts.get("cpus", ""),
                hint="did the scenario stop the guest's network or its SSH server?",
            )

    def _read_console(self, watch: Watch) -> None:
        seen = self.seen
        self._read = True
        self._add(watch.evidence)
        seen.reports = watch.reports()
        if self._residue is not None:
            seen.residue = list(self._residue.found)
            seen.not_looked_at = self._residue.missing
            seen.causes = causes(seen.reports, self._residue.layouts)
        self._add([report_evidence(report) for report in seen.reports])
        iterations = [one for one in (seen.first, seen.second) if one is not None]
        programs = {number: ref for one in iterations for number, ref in one.programs.items()}
        seen.extension_reports, problem = extension_reports.with_names(
            watch.rex_reports(),
            programs,
            {name: one.debug for name, one in self.plan.artifacts.items() if one.debug},
        )
        if problem:
            seen.facts["symbols"] = problem
        self._add([report.evidence() for report in seen.extension_reports])
        seen.forgeries, seen.forged = watch.forgeries()
        seen.losses = watch.losses()
        self._add([forgery.evidence() for forgery in seen.forgeries[:EVIDENT_FORGERIES]])
        self._add([loss.evidence() for loss in seen.losses])

    def _second(self, guest: Guest, watch: Watch, deadline: Deadline, clean: bool) -> Iteration:
        if not clean:
            return Iteration(interrupted="the first use did not end well")
        driver = self._driver(guest, watch, Deadline(deadline.seconds))
        second = driver.run(self.plan.item.scenario.steps)
        if not second.interrupted:
            self._clean(driver, second)
        return second

    def _driver(self, guest: Guest, watch: Watch, deadline: Deadline) -> StepDriver:
        scenario = self.plan.item.scenario
        return StepDriver(
            guest,
            scenario.extensions,
            scenario.background,
            self.plan.artifacts,
            deadline,
            final_maps=scenario.expect.maps,
            count_received=scenario.expect.received is not None,
            closing=scenario.expect.kernel == "alive",
            sample=watch.gauges if scenario.expect.slopes else None,
            emit=self.emit,
            item=self.plan.item.id,
            reports=watch.reports,
            unloading=watch.unloading,
            residue=self._residue,
        )

    def _clean(self, driver: StepDriver, iteration: Iteration) -> bool:
        try:
            driver.clean_up()
        except (ConnectionLost, DeadlineExceeded) as error:
            iteration.interrupted = f"while cleaning up: {error}"
            return False
        return True

    def _read_rex(self, watch: Watch) -> dict[RexCounter, int] | None:
        try:
            return watch.rex()
        except (ConnectionLost, DeadlineExceeded):
            return None  # the second use, or the oracles after it, meet the same and say so

    def _aftermath(self, guest: Guest, watch: Watch) -> None:
        seen = self.seen
        try:
            if seen.first.interrupted or (seen.second and seen.second.interrupted):
                # A loader that is stuck can't be asked to end.
                guest.run("killall -9 kextload kexttrigger 2>/dev/null; true", scaled(10))
                guest.forget_loader()
            elif not self._only_modules():
                # It holds programs. Otherwise it keeps running: one process takes all inventories.
                guest.end_loader()
            aftermath = watch.aftermath(leak_expected=self.plan.item.keeps)
            seen.leaked, seen.bpf_objects = aftermath.left, aftermath.bpf_objects
            seen.rex_total = aftermath.rex
            seen.near_overflow_stacks = aftermath.near_overflow_stacks
            if seen.rex is None and (seen.second is None or not seen.second.results):
                # The first use did not end well, and nothing ran after it.
                seen.rex = aftermath.rex
            seen.taint, seen.counters = aftermath.taint, aftermath.counters
            self._check_counted(aftermath.rex)
            if self._residue is not None:
                self._add([self._residue.settle(leak_expected=self.plan.item.keeps)])
            watch.check_console(*self._own_settings())
            if self._tools is not None:
                self._tools.end()
        except (ConnectionLost, DeadlineExceeded) as error:
            # It was alive a moment ago: look again, and believe the newer answer.
            watch.wait_for_late_panic()
            seen.state, evidence = watch.state()
            self._add(evidence)
            if seen.state == "alive":
                raise InfraError(f"the guest is alive, but could not be asked: {error}") from error

    def _check_counted(self, rose: Mapping[RexCounter, int]) -> None:
        extensions = self.plan.item.scenario.extensions.values()
        if not rose or any(isinstance(one, CExtension) for one in extensions):
            return  # outcomes are then of both kinds of program
        counted = self.seen.first.outcomes + (self.seen.second or Iteration()).outcomes
        rex_oracle.check_counted(counted, rose)

    def _own_settings(self) -> tuple[set[str], int | None]:
        """Return what the scenario's own `set:` steps excuse: settings, and a quiet console.

        A setting may differ at the end only if the steps stopped before they undid it.
        """
        iterations = [one for one in (self.seen.first, self.seen.second) if one is not None]
        own = {
            shell_lines.sysctl_path(name): shell_lines.scalar_text(value)
            for step in self.plan.item.scenario.all_steps()
            if isinstance(step, SetStep)
            for name, value in step.set.sysctl.items()
        }
        levels = {"/proc/sys/kernel/printk": own.get("/proc/sys/kernel/printk")}
        undone = self._cleaned and not any(one.interrupted for one in iterations)
        return set() if undone else set(own), console_level(levels)

    def _only_modules(self) -> bool:
        extensions = self.plan.item.scenario.extensions.values()
        return all(isinstance(one, ModuleExtension) for one in extensions)

    def _add(self, evidence: list[Any]) -> None:
        for one in evidence:
            self.seen.evidence.append(one)
            self.emit(events.EvidenceFound(self.plan.item.id, one.to_json()))
