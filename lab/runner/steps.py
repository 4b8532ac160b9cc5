# SPDX-License-Identifier: GPL-2.0-only
"""Steps, done in a guest one after the other.

`StepDriver.verbs` has a method for each verb of the model, which fills in a `StepResult`.
Exceptions of the connection end the iteration: the oracles find out afterwards whether the
kernel or the lab is to blame.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pexpect

from lab import events, jsontext
from lab.deadline import Deadline, DeadlineExceeded, host_factor
from lab.errors import InfraError
from lab.guest.guest import Guest
from lab.guest.job import Job
from lab.guest.loader import LoaderAnswer
from lab.guest.ssh import MAX_OUTPUT, CommandTimeout, Completed, ConnectionLost
from lab.judge.observation import Iteration, StepResult
from lab.oracle.console.parser import Report
from lab.runner import settings, shell_lines
from lab.runner.extensions import Artifact, LoadedExtensions, Unloading
from lab.runner.residue import Residue
from lab.scenario.model.background import BaseBackground, CpuHotplug, ShellBackground
from lab.scenario.model.base import Ref
from lab.scenario.model.extensions import BaseExtension
from lab.scenario.model.steps import (
    BaseStep,
    ConsoleStep,
    RepeatStep,
    SetStep,
    ShellStep,
    StartStep,
    StopStep,
    TriggerStep,
    UnloadStep,
    WaitForStep,
)
from lab.scenario.model.triggers import BaseTrigger, RunTrigger

# Seconds on the reference host.
STEP_SECONDS = 20.0

# At most this many samples are taken over the repetitions of a `repeat`.
GAUGE_SAMPLES = 20

# Characters of output that are kept of all steps together, and after that of each further
# step. A step that floods its output may be repeated a thousand times.
ALL_OUTPUT = 16 << 20
LEAST_OUTPUT = 400


@dataclass
class StepDriver:
    """A driver that does an item's steps in a guest; there is one per iteration."""

    guest: Guest
    extensions: Mapping[str, BaseExtension]
    background: Mapping[str, BaseBackground]
    artifacts: Mapping[str, Artifact]
    deadline: Deadline
    final_maps: Mapping[Ref, Any] = field(default_factory=dict)
    sample: Callable[[], dict[str, float]] | None = None
    # Count the packets of each trigger that reach a socket, even if its step does not ask.
    count_received: bool = False
    # Whether the last step leaves a kernel that can still be asked.
    closing: bool = True
    emit: events.Emit = events.ignore
    item: str = ""
    reports: Callable[[], list[Report]] = list
    unloading: Unloading | None = None
    residue: Residue | None = None

    def __post_init__(self) -> None:
        self.iteration = Iteration()
        self._loaded = LoadedExtensions(
            self.guest,
            self.extensions,
            self.artifacts,
            self.iteration,
            self._limit,
            self.unloading,
            self.residue,
        )
        self._running: dict[str, Job] = {}
        self._triggers: dict[str, tuple[Job | None, StepResult]] = {}
        self._undo: list[tuple[str, str]] = []
        self._talk: Any = None
        self._kept = 0
        self.verbs: Mapping[str, Callable[[Any, StepResult], None]] = {
            "load": self._loaded.load,
            "attach": self._loaded.attach,
            "trigger": self._do_trigger,
            "start": self._do_start,
            "stop": self._do_stop,
            "read": self._loaded.read,
            "write": self._loaded.write,
            "set": self._do_set,
            "unload": self._do_unload,
            "repeat": self._do_repeat,
            "shell": self._do_shell,
            "console": self._do_console,
            "pin": self._loaded.pin,
            "wait_for": self._do_wait_for,
        }

    # The iteration

    def run(self, steps: tuple[BaseStep, ...]) -> Iteration:
        """Do the steps; an interruption is recorded in the iteration."""
        try:
            for number, step in enumerate(steps, 1):
                self._step(step, f"step {number}")
            if self.closing:
                self._loaded.account()
                for name in list(self._loaded.loaded):
                    self._read_final_maps(name)
        except (ConnectionLost, DeadlineExceeded) as error:
            last = self.iteration.results[-1] if self.iteration.results else None
            where = last.path if last and not last.ended else "after the last step"
            self.iteration.interrupted = f"{where}: {error}"
            self.iteration.lost = not isinstance(error, CommandTimeout | DeadlineExceeded)
        return self.iteration

    def clean_up(self) -> None:
        """End background work, unload what is loaded, undo settings."""
        if self._talk is not None:
            self._talk.close()
        for name in list(self._running):
            self._stop(name)
        for name in list(self._triggers):
            self._drop_trigger(name)
        for name in reversed(list(self._loaded.loaded)):
            self._loaded.unload(name)
        for path, value in reversed(self._undo):
            self.guest.run(shell_lines.write_line(path, value), self._limit(STEP_SECONDS))
        self._undo.clear()

    def _step(self, step: BaseStep, path: str) -> None:
        result = StepResult(step, path)
        self.iteration.results.append(result)
        self.emit(events.StepStarted(self.item, f"{path}: {step.label}"))
        self.deadline.check(f"the item, at {path} ({step.label})")
        start = time.monotonic()
        try:
            self.verbs[step.verb](step, result)
            result.ended = True
        except (ConnectionLost, DeadlineExceeded) as error:
            result.problem = result.problem or str(error)
            raise
        finally:
            result.seconds = result.seconds or time.monotonic() - start
            self.emit(
                events.StepFinished(
                    self.item,
                    f"{path}: {step.label}",
                    result.seconds,
                    {"problem": result.problem, "outcomes": dict(result.outcomes)},
                )
            )

    def _limit(self, seconds: float | None) -> Deadline:
        wanted = (seconds or STEP_SECONDS) * host_factor()
        return self.guest.machine.by_faster_clock(wanted, self.deadline)

    def _do_unload(self, step: UnloadStep, result: StepResult) -> None:
        self._loaded.account(result)
        self._read_final_maps(step.unload)
        result.problem = self._loaded.unload(step.unload)

    def _read_final_maps(self, name: str) -> None:
        """Read the values that the item's expectation needs: they vanish with the extension."""
        if name in self._loaded.loaded:
            wanted = {ref: keys for ref, keys in self.final_maps.items() if ref.extension == name}
            self.iteration.maps.update(self._loaded.read_maps(wanted))

    # Triggers

    def _do_trigger(self, step: TriggerStep, result: StepResult) -> None:
        self._loaded.account()
        trigger = step.trigger
        if trigger.background:
            self._start_trigger(step, result)
            return
        if isinstance(trigger, RunTrigger):
            answer = self._loaded.call(
                "run", result, seconds=trigger.timeout, **_run_arguments(trigger)
            )
            self._take_run(answer, result, trigger)
        else:
            limit = self._limit(trigger.timeout)
            done = self.guest.run(self._trigger_line(step), limit)
            self._check_whole(done, result)
            self._take_shell(done.status, done.stdout, done.stderr, done.seconds, trigger, result)
        self._count(step, result)

    def _count(self, step: TriggerStep, result: StepResult) -> None:
        """Record the runs of a trigger that ended, and the values that it left in maps."""
        self._loaded.account(result)
        expected = step.expect.maps if step.expect else {}
        result.maps = self._loaded.read_maps(expected)

    def _trigger_line(self, step: TriggerStep) -> str:
        asked = step.expect is not None and step.expect.received is not None
        return shell_lines.trigger_line(step.trigger, received=self.count_received or asked)

    def _start_trigger(self, step: TriggerStep, result: StepResult) -> None:
        trigger = step.trigger
        limit = self._limit(STEP_SECONDS)
        if isinstance(trigger, RunTrigger):
            self.guest.loader.post("run", limit, **_run_arguments(trigger))
            self._triggers[step.label] = (None, result)
        else:
            job = self.guest.job(self._trigger_line(step), limit, keep=True)
            self._triggers[step.label] = (job, result)

    def _end_trigger(self, name: str) -> None:
        job, result = self._triggers.pop(name)
        assert isinstance(result.step, TriggerStep)
        trigger = result.step.trigger
        limit = self._limit(trigger.timeout)
        if job is None:
            assert isinstance(trigger, RunTrigger)
            self._take_run(self.guest.loader.collect(limit), result, trigger)
        else:
            done = job.wait(limit)
            self._check_whole(done, result)
            self._take_shell(done.status, done.stdout, done.stderr, done.seconds, trigger, result)
        self._count(result.step, result)

    def _drop_trigger(self, name: str) -> None:
        """End a trigger that no step waited for."""
        job, _ = self._triggers.pop(name)
        if job is None:
            self.guest.loader.collect(self._limit(STEP_SECONDS))
        else:
            job.end(self._limit(STEP_SECONDS))

    def _take_run(self, answer: LoaderAnswer, result: StepResult, trigger: RunTrigger) -> None:
        if not answer.ok:
            result.problem = answer.problem
            return
        result.returns = int(answer["retval"])
        result.seconds = int(answer.get("duration_ns", 0)) * trigger.repeat / 1e9
        result.output = str(answer.get("data_out", ""))

    def _take_shell(
        self,
        status: int,
        stdout: str,
        stderr: str,
        seconds: float,
        trigger: BaseTrigger,
        result: StepResult,
    ) -> None:
        result.status, result.seconds = status, seconds
        self._keep(stdout + stderr, result)
        if trigger.kind in ("shell", "sysrq", "wait"):
            return
        try:
            answer = jsontext.parse(stdout)
            result.seconds = _duration(answer["seconds"])
            result.answers.append(answer)
            if answer.get("ok") is True and "received" in answer:
                result.received = int(answer["received"])
        except (ValueError, KeyError, TypeError, RecursionError):
            result.problem = f"the trigger did not report: {(stdout + stderr).strip()[:400]}"
            return
        if answer.get("ok") is not True:
            result.problem = f"the trigger failed: {answer.get('error', stdout.strip())}"

    # Background work, settings, shell, console

    def _do_start(self, step: StartStep, result: StepResult) -> None:
        paths = {
            name: artifact.in_guest
            for name, artifact in self.artifacts.items()
            if artifact.path is not None
        }
        line = shell_lines.background_line(self.background[step.start], paths)
        self._running[step.start] = self.guest.job(line, self._limit(STEP_SECONDS))

    def _do_stop(self, step: StopStep, result: StepResult) -> None:
        if step.stop in self._running:
            result.problem = self._stop(step.stop)
        else:
            self._end_trigger(step.stop)

    def _stop(self, name: str) -> str:
        """End background work; return an error text if it had ended before, or "".

        Only a shell line may end before it is stopped.
        """
        work = self.background[name]
        ended = self._running.pop(name).end(self._limit(STEP_SECONDS))
        if isinstance(work, CpuHotplug):
            self.guest.run(shell_lines.ALL_CPUS_ONLINE, self._limit(STEP_SECONDS))
        if ended and not isinstance(work, ShellBackground):
            return f"the background work {name} had failed before it was stopped"
        return ""

    def _do_set(self, step: SetStep, result: StepResult) -> None:
        limit = self._limit(STEP_SECONDS)
        result.problem = settings.apply(self.guest, step.set, self._undo, limit)

    def _do_shell(self, step: ShellStep, result: StepResult) -> None:
        line = shell_lines.on_cpu(step.shell.command, step.shell.cpu)
        done = self.guest.run(line, self._limit(step.shell.timeout))
        result.status, result.seconds = done.status, done.seconds
        self._check_whole(done, result)
        self._keep(done.stdout + done.stderr, result)

    def _check_whole(self, done: Completed, result: StepResult) -> None:
        """Raise `InfraError` if output that an expectation is about was dropped."""
        if _wants_output(result.step) and done.truncated:
            raise InfraError(
                f"{result.path} printed more than {MAX_OUTPUT} bytes: what was dropped can't be "
                "held to what is expected of it",
                hint="print less, or write it to a file and print what matters",
            )

    def _keep(self, output: str, result: StepResult) -> None:
        """Keep a step's output; that of steps without expectations is limited in total."""
        if not _wants_output(result.step):
            output = output[-max(LEAST_OUTPUT, ALL_OUTPUT - self._kept) :]
        self._kept += len(output)
        result.output = output

    def _do_console(self, step: ConsoleStep, result: StepResult) -> None:
        if self._talk is None:
            self._talk = self.guest.machine.console.talk()
        for number, line in enumerate(step.console, 1):
            if line.send is not None:
                self._talk.sendline(line.send)
                continue
            limit = self._limit(line.timeout)
            try:
                self._talk.expect(line.expect, timeout=limit.remaining)
            except (pexpect.TIMEOUT, pexpect.EOF):
                seen = str(self._talk.before)[-400:]
                result.problem = f"line {number}: the console did not say /{line.expect}/"
                result.output = seen
                return
            result.output += str(self._talk.before) + str(self._talk.after)

    def _do_wait_for(self, step: WaitForStep, result: StepResult) -> None:
        limit = self._limit(step.wait_for.timeout)
        wanted = step.wait_for.report
        try:
            found = self.guest.machine.console.wait_for(
                lambda lines: any(wanted in report.kinds for report in self.reports()),
                limit,
                f"a report of kind {wanted}",
            )
        except DeadlineExceeded:
            result.problem = f"no report of kind {wanted} within {limit.seconds:.0f} s"
            return
        if not found:
            result.problem = f"the console closed before a report of kind {wanted} came"

    def _do_repeat(self, step: RepeatStep, result: StepResult) -> None:
        every = max(1, step.repeat.times // GAUGE_SAMPLES)
        for turn in range(1, step.repeat.times + 1):
            for number, inner in enumerate(step.repeat.steps, 1):
                self._step(inner, f"{result.path}, turn {turn}, step {number}")
            if self.sample is not None and (turn - 1) % every == 0:
                self.iteration.gauges.append({"turn": float(turn), **self.sample()})


def _wants_output(step: BaseStep) -> bool:
    return getattr(getattr(step, "expect", None), "output", None) is not None


def _duration(said: Any) -> float:
    """Return seconds that a guest measured; raise `ValueError` if it is not a duration."""
    seconds = float(said)
    if not 0 <= seconds < math.inf:
        raise ValueError(f"{seconds} is no duration")
    return seconds


def _run_arguments(trigger: RunTrigger) -> dict[str, Any]:
    return {
        "handle": trigger.run.extension,
        "program": trigger.run.name,
        "repeat": trigger.repeat,
        "size": trigger.size,
        "data": trigger.data,
        "ctx": trigger.ctx,
        "cpu": trigger.cpu,
    }
