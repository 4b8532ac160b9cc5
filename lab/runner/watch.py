# SPDX-License-Identifier: GPL-2.0-only
"""Check after the steps whether the kernel is alive and has released everything.

The checks run from outside, in the order of trust: QEMU's events, then a fresh nonce
that every CPU has to echo against the host's clock, then the console, then the
guest's counters.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.deadline import DeadlineExceeded, scaled
from lab.errors import InfraError
from lab.guest.guest import FINAL_OUTPUT_SECONDS, Guest
from lab.guest.ssh import ConnectionLost
from lab.oracle import counters as counters_oracle
from lab.oracle import inventory, liveness, machine
from lab.oracle.console import parser as console_oracle
from lab.oracle.console.forgeries import Forgery, Means
from lab.oracle.console.lines import Line, Shape
from lab.oracle.console.losses import Loss
from lab.oracle.console.parser import Report
from lab.oracle.evidence import Evidence
from lab.oracle.inventory import bpf_objects
from lab.oracle.rex import counters as rex_oracle
from lab.oracle.rex.reports import Collector, RexReport
from lab.runner.audit import Audit
from lab.runner.baseline import COUNTER_FILES, Aftermath, Baseline
from lab.runner.census import Found
from lab.runner.looks import ENOUGH_SECONDS, Looks
from lab.vm.qmp import QmpFailed
from lab.words import KernelState, ReportKind, RexCounter

# Seconds on the reference host.
PATIENCE = 4.0  # of the first nonce; the second gets twice as much
# Until a guest takes a nonce, for each of the two. The first ends when there can be a proof.
OPENING = (4.0, 14.0)
# The guest ends its part of a nonce by its own clock. If that follows the instructions, it is
# ahead of the host's: the guest gets this many times the seconds, and the host ends the nonce.
CLOCK_AHEAD = 8
LATE_PANIC_SECONDS = 8.0  # a connection that broke may be followed by the oops that broke it
# The kernel's slowest detector of a stuck CPU (a hard lockup after an RCU stall).
DETECTOR_SECONDS = 20.0
LOOKS_AFTER = 0.5  # of the first look at CPUs; a healthy guest has answered by then
QUIET_SECONDS = 0.4  # without a line, before a console counts as quiet
QUIET_LIMIT = 5.0
SETTLE_SECONDS = 8.0  # programs and maps are freed after grace periods
KEPT_SECONDS = 2.0  # some ten times what frees take on an idle guest


_STALLS: frozenset[ReportKind] = frozenset({"soft-lockup", "hard-lockup", "rcu-stall"})


@dataclass
class Watch:
    """A watch over one guest, from its baseline on."""

    guest: Guest
    baseline: Baseline
    shape: Shape
    evidence: list[Evidence] = field(default_factory=list)

    def __post_init__(self) -> None:
        # Fed with every byte as it comes, whatever the console keeps of it.
        self._rex = Collector()
        self._audit = Audit(self.guest, self.shape)
        # Lines are counted as the dossier's console.log has them.
        self._parser = console_oracle.Parser(
            self.shape,
            prefixed=True,
            before=self.guest.machine.console.count,
            listener=self._take,
        )
        self._unknown: dict[int, Forgery] = {}
        self._broken: Exception | None = None
        self.close = self.guest.machine.console.tap(self._hear)

    def _hear(self, data: bytes) -> None:
        try:
            self._parser.feed(data, self.guest.machine.age)
        except Exception as error:
            # The console must be read on, but what the parser says is worth nothing now.
            self._broken = error

    def _take(self, line: Line) -> None:
        self._rex.take(line)
        self._audit.hear(line)

    def state(self) -> tuple[KernelState | None, list[Evidence]]:
        """Return the kernel's state and the evidence for it; None if it is unknown."""
        dead = self._dead()
        if dead:
            return "crashed", dead
        evidence: list[Evidence] = []
        vm = self.guest.machine
        for patience, opening in zip((PATIENCE, 2 * PATIENCE), OPENING, strict=True):
            with Looks(vm, LOOKS_AFTER) as looks:
                found = self._ask(patience, opening)
            evidence.append(found)
            dead = self._dead()
            if dead:
                return "crashed", dead
            if liveness.all_answered(found):
                return "alive", [found]
            proof = self._proof(looks, frozenset(found.data["missing"]))
            if proof is not None:
                return self._unless_dead([*evidence, proof])
        if liveness.was_heard(evidence[-1]):
            return self._unless_dead(evidence)
        if looks.interrupts_off and looks.enough:
            off = looks.interrupts_off_evidence(looks.interrupts_off)
            return self._unless_dead([*evidence, off])
        # Where no CPU stays in the kernel, no detector is waited for: its report would not
        # explain why nothing answers.
        if looks.bound and self._stall_is_reported():
            # Anybody may have written the report, and ended the SSH server.
            with Looks(vm) as looks:
                looks.wait(scaled(2 * ENOUGH_SECONDS))
            if looks.bound and looks.enough:
                return self._unless_dead([*evidence, looks.kernel_bound(looks.bound)])
        dead = self._dead()
        # There is no answer, and no known reason: perhaps only SSH is gone.
        return ("crashed", dead) if dead else (None, evidence)

    def _proof(self, looks: Looks, missing: frozenset[int]) -> Evidence | None:
        """Return what proves a stall without a second nonce; None if nothing does.

        With interrupts off on every CPU nothing can take a CPU back. Otherwise two
        sources have to agree: a detector of the kernel's reported a stall, and QEMU saw
        a CPU that did not answer in the kernel at every look.
        """
        if not looks.enough:
            return None
        if len(looks.interrupts_off) == self.guest.machine.shape.cpus:
            return looks.interrupts_off_evidence(looks.interrupts_off)
        off = self._stalled_now(looks.interrupts_off & missing)
        if off:
            return looks.interrupts_off_evidence(off)
        # KVM does not show which CPUs are idle in the kernel.
        if self.guest.machine.shape.accel == "tcg":
            bound = self._stalled_now(looks.bound & missing)
            if bound:
                return looks.kernel_bound(bound)
        return None

    def _unless_dead(self, evidence: list[Evidence]) -> tuple[KernelState, list[Evidence]]:
        """Return that the kernel is stalled, unless it dies of what it reports just now."""
        self.wait_for_quiet()
        dead = self._dead()
        return ("crashed", dead) if dead else ("stalled", evidence)

    def _stalled_now(self, cpus: frozenset[int]) -> frozenset[int]:
        """Return those of the CPUs that a detector reported as stalled a short time ago.

        A report that names no CPU is about all of them. An older report may be about a stall
        that is over: detectors repeat theirs while a stall lasts.
        """
        newest = self.guest.machine.age - scaled(DETECTOR_SECONDS).seconds
        found: frozenset[int] = frozenset()
        for report in self.reports():
            if _STALLS & set(report.kinds) and report.at >= newest:
                found |= cpus if report.cpu is None else cpus & {report.cpu}
        return found

    def _stall_is_reported(self) -> bool:
        """Return True if a detector reports a stall; wait for the slowest of them.

        The detectors go by the guest's clock, and so does the wait where that is the faster.
        """
        limit = self.guest.machine.by_faster_clock(scaled(DETECTOR_SECONDS).seconds)

        def found(_lines: object) -> bool:
            kinds = {kind for report in self.reports() for kind in report.kinds}
            return bool(kinds & _STALLS) or not self._running()

        try:
            self.guest.machine.console.wait_for(found, limit, "a stall report")
        except DeadlineExceeded:
            return False
        return self._running()

    def wait_for_late_panic(self) -> None:
        """Wait, after a broken connection, for the report of a panic that may have broken it."""
        with contextlib.suppress(DeadlineExceeded):
            self.guest.machine.console.wait_for(
                lambda lines: not self._running(), scaled(LATE_PANIC_SECONDS), "a panic"
            )

    def wait_for_quiet(self) -> None:
        """Wait until the console is quiet for a moment, so that no late text is missed."""
        self.guest.machine.console.wait_for_quiet(QUIET_SECONDS, scaled(QUIET_LIMIT))

    def begin(self) -> None:
        """Begin to compare the console with the kernel's own log. Raises the errors of `fence`."""
        self._audit.begin()

    def fence(self) -> None:
        """Make sure that all that the kernel printed until now has reached the host.

        Raises `ConnectionLost` or `DeadlineExceeded` if it has not, and `InfraError` if the
        kernel's lines have another form now: a console that does not show what was just
        written may not show an oops, either.
        """
        self._audit.fence()

    def check_console(self, excused: Collection[str] = (), level: int | None = None) -> None:
        """Compare the console with the kernel's own log, and the settings with the baseline.

        `excused` and `level` are those of `Audit.end`. A report that the log does not have is
        a forgery from then on. Raises `InfraError` if the console can't be relied on, and
        the errors of `fence`.
        """
        found = self._audit.end(self._believed, lambda: self._parser.quoted, excused, level)
        if found is None:
            return
        self.evidence.append(found.evidence())
        forged: list[tuple[Line, Means]] = [(line, "serial") for line in found.unknown]
        forged += [(line, "embedded") for line in found.inner]
        self._unknown = {
            line.number: Forgery(line.number, line.at, line.text, means) for line, means in forged
        }
        if found.problem:
            raise InfraError(found.problem, hint=found.hint)

    def reports(self) -> list[Report]:
        """Return the reports on the console since the baseline."""
        self._check_parser()
        return [one for one in self._parser.reports if one.first_line not in self._unknown]

    def rex_reports(self) -> tuple[RexReport, ...]:
        """Return the reports since the baseline on native programs that were ended."""
        return tuple(one for one in self._rex.reports if one.first_line not in self._unknown)

    def forgeries(self) -> tuple[list[Forgery], int]:
        """Return the first forged reports since the baseline, and the number of all."""
        self._check_parser()
        found = [*self._parser.forgeries, *self._unknown.values()]
        return found, self._parser.forged + len(self._unknown)

    def losses(self) -> list[Loss]:
        """Return the signs since the baseline that some of the kernel's text is missing."""
        self._check_parser()
        return list(self._parser.losses)

    def _believed(self) -> set[int]:
        lines = {report.first_line for report in self._parser.reports}
        return lines | {report.first_line for report in self._rex.reports}

    def _check_parser(self) -> None:
        if self._broken is not None:
            raise InfraError(f"the console could not be parsed: {self._broken!r}")

    def aftermath(self, *, leak_expected: bool = False) -> Aftermath:
        """Compare what the guest holds and counts now with the baseline.

        Frees are deferred: the guest is asked again until nothing is left over, or
        the time is up. The time is shorter if something is expected to stay, or if
        only objects are left that modules free at once.
        """
        limit = scaled(KEPT_SECONDS if leak_expected else SETTLE_SECONDS)
        soon = scaled(KEPT_SECONDS)
        last: list[Aftermath] = []

        def settled() -> bool:
            last[:] = [self._compare()]
            return not last[0].left or (soon.expired and not last[0].deferred)

        with contextlib.suppress(DeadlineExceeded):
            limit.poll(settled, "resources to be released", interval=0.15)
        self.evidence += last[0].evidence
        return last[0]

    def _compare(self) -> Aftermath:
        before = self.baseline
        files = self.guest.read_files(COUNTER_FILES)
        counted = counters_oracle.snapshot(files)
        rex = rex_oracle.snapshot(files)
        found = Found([], {})
        if before.census is not None:
            found = before.census.look(modules_ran=counters_oracle.modules_ran(counted))
        now = found.bpf_objects
        if now is None:
            # Listing a network device whose code is gone would run that code.
            now = (
                before.bpf_objects if found.touchy else bpf_objects.parse(self.guest.bpf_objects())
            )
        left = [str(item) for item in bpf_objects.leaked(before.bpf_objects, now)]
        left += rex_oracle.left_held(before.rex, rex)
        deferred = bool(left)
        left += found.left
        return Aftermath(
            left,
            bpf_objects.increase(before.bpf_objects, now),
            rex_oracle.increase(before.rex, rex),
            rex_oracle.near_overflow_stacks(before.rex, rex),
            counters_oracle.new_taint(before.counters, counted),
            counters_oracle.increase(before.counters, counted),
            [
                bpf_objects.evidence(before.bpf_objects, now),
                *counters_oracle.evidence(before.counters, counted),
                *rex_oracle.evidence(before.rex, rex),
                *([inventory.evidence(found.left, found.not_looked_at)] if before.census else []),
            ],
            deferred,
        )

    @property
    def left_at_unload(self) -> list[str]:
        """Return what the last module left at its unload; the list is kept up to date."""
        census = self.baseline.census
        return [] if census is None else census.left_at_unload

    @contextlib.contextmanager
    def unloading(self, module: str, path: Path | None) -> Iterator[None]:
        """Look at what a module has registered before the body unloads it, and at what is left.

        `path` is its file on the host.
        """
        census = self.baseline.census
        if census is None:
            yield
            return
        _ = self.guest.loader  # start it now: nothing may be started after the unload
        census.look_at_module(module, path)
        yield
        census.look_after_unload()

    def rex(self) -> dict[RexCounter, int]:
        """Return the increase of the counters of native programs until now."""
        now = rex_oracle.snapshot(self.guest.read_files(rex_oracle.FILES))
        return rex_oracle.increase(self.baseline.rex, now)

    def gauges(self) -> dict[str, float]:
        """Return the amounts whose slope over repetitions can be bounded."""
        files = self.guest.read_files(list(counters_oracle.GAUGE_FILES))
        sizes = bpf_objects.sizes(bpf_objects.parse(self.guest.bpf_objects()))
        found: dict[str, float] = {}
        found.update(counters_oracle.gauges(files).items())
        return found | {kind: float(count) for kind, count in sizes.items()}

    def _ask(self, patience: float, opening: float) -> Evidence:
        nonce = secrets.token_hex(16)
        limit, begin = scaled(max(patience + 3, opening)), scaled(opening)
        start = time.monotonic()
        shape = self.guest.machine.shape
        cpus, inside = shape.cpus, scaled(patience).seconds
        if shape.icount is not None:
            # Seconds of the guest's time, which no slow host stretches.
            inside = patience * CLOCK_AHEAD
        try:
            if not self.guest.ssh.alive and self._running():
                # What broke may be the connection alone: a new one will tell.
                self.guest.reconnect(begin)
            answer = self.guest.alive(nonce, limit, inside, begin)
        except (ConnectionLost, QmpFailed) as error:
            return liveness.silence(nonce, cpus, str(error), time.monotonic() - start)
        return liveness.judge(nonce, answer, cpus, time.monotonic() - start)

    def _running(self) -> bool:
        return not (self.guest.machine.ended or self.guest.machine.panicked)

    def _dead(self) -> list[Evidence]:
        vm = self.guest.machine
        if vm.panicked or vm.ended:
            vm.wait_for_final_output(scaled(FINAL_OUTPUT_SECONDS))
        evidence = machine.evidence(
            [(event.name, event.data, event.at - vm.started_at) for event in vm.events],
            vm.exit_status,
            vm.stderr,
        )
        return [one for one in evidence if one.kind in ("guest-panic", "qemu-exit", "shutdown")]
