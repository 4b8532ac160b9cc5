# SPDX-License-Identifier: GPL-2.0-only
"""Findings on the kernel itself: its state, its reports, its taint and its counters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from lab.judge.finding import COUNTERS, NONCE, QEMU, Finding, Source, bound_finding
from lab.judge.observation import Observation
from lab.oracle import allow
from lab.oracle.console.reports import Report
from lab.scenario.model.expect import Expect
from lab.scenario.model.scenario import Scenario
from lab.words import FATAL_REPORTS, ReportKind


def kernel_finding(expect: Expect, seen: Observation) -> Finding:
    """Compare the kernel's state with the expected one."""
    why = "; ".join(
        evidence.summary for evidence in seen.evidence if evidence.kind in _STATE_EVIDENCE
    )
    happened = f"it is {seen.state}" + (f" ({why})" if why else "")
    holds = seen.state == expect.kernel
    if holds and expect.kernel == "crashed":
        holds = _crashed(seen)
        happened += "; it was restarted in good order" if not holds and _in_order(seen) else ""
    return Finding("kernel", expect.kernel, happened, holds, "kernel", _source_of_state(seen))


def _crashed(seen: Observation) -> bool:
    """Return True if the kernel's end was a crash.

    A kernel that was switched off or restarted in good order did not crash, whatever the
    console shows: a program may have written that.
    """
    if any(evidence.kind == "guest-panic" for evidence in seen.evidence):
        return True
    reasons = {evidence.data.get("reason") for evidence in seen.evidence}
    if "guest-shutdown" in reasons or _in_order(seen):
        return False
    fatal = any(report.kind in FATAL_REPORTS for report in seen.reports)
    return fatal or "guest-reset" in reasons


def _in_order(seen: Observation) -> bool:
    """Return True if the console says that the kernel was restarted on request."""
    return any(words in seen.console for words in _RESTARTED_IN_ORDER)


def _source_of_state(seen: Observation) -> Source:
    kinds = {evidence.kind for evidence in seen.evidence}
    if seen.state == "crashed":
        return QEMU
    if seen.state == "stalled" and "interrupts-off" in kinds:
        return QEMU
    return NONCE


# The output of reboot(2) and SysRq's `b` (kernel/reboot.c, drivers/tty/sysrq.c); a panic,
# which may restart the machine as well, prints neither.
_RESTARTED_IN_ORDER = ("reboot: Restarting system", "sysrq: Resetting")
_STATE_EVIDENCE = (
    "guest-panic",
    "qemu-exit",
    "interrupts-off",
    "kernel-bound",
    "liveness",
    "shutdown",
)


def report_findings(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Check reports, taint and counters: the wanted ones, and those that nothing allows."""
    wanted = scenario.expect.reports
    missing = allow.missing(seen.reports, wanted)
    for kind in wanted:
        happened = "the console shows none" if kind in missing else "it is there"
        holds = kind not in missing
        yield Finding(f"console report {kind}", "one on the console", happened, holds, "reports")
    yield from unallowed_reports(scenario, seen)
    yield from _forgeries(scenario.expect, seen)
    allowed = _allowed(scenario)
    if seen.taint is None and seen.state == "alive":
        # The runner reads the taint, the counters and those of Rex together.
        yield Finding("taint", "to be read", "it could not be", False)
    leaks = _leak_reports(scenario, seen)
    about_leaks = {report.kind for report in leaks}
    if seen.taint:
        explained = all(
            _TAINT_BY.get(flag, frozenset()) & (allowed | about_leaks) for flag in seen.taint
        )
        happened = f"the kernel is tainted: {seen.taint}"
        expected = "none that no allowed report explains"
        # No verdict rests on a taint that is explained.
        yield Finding("taint", expected, happened, explained, "reports", COUNTERS, asked=False)
    for counter, value in seen.counters.items():
        bound = scenario.expect.counters.get(counter)  # type: ignore[call-overload]
        if bound is not None:
            happened = f"it rose by {value}"
            holds = bound.holds(value)
            yield Finding(f"counter {counter}", bound.describe(), happened, holds, "counters")
        elif value > _counted(counter, leaks) and not _explained(counter, allowed):
            happened = f"it rose by {value}"
            yield Finding(f"counter {counter}", "no increase", happened, False, "counters")
    for counter, bound in scenario.expect.counters.items():
        if counter not in seen.counters:
            yield Finding(f"counter {counter}", bound.describe(), "it was not read", False)


def _forgeries(expect: Expect, seen: Observation) -> Iterator[Finding]:
    if expect.forged is not None:
        finding = bound_finding("forgeries", expect.forged, seen.forged, "forged")
        said = f"{finding.happened} ({seen.forgeries[0]})" if seen.forgeries else finding.happened
        yield replace(finding, happened=said)


def certain_forgeries(expect: Expect, seen: Observation) -> Iterator[Finding]:
    """Yield the finding on forgeries if there are too many even if some were not seen."""
    for finding in _forgeries(expect, seen):
        if not finding.holds and expect.forged and seen.forged > max(expect.forged.numbers):
            yield finding


def lost_text(seen: Observation) -> str:
    """Describe the text that is missing from the console; "" if none is.

    A report may be part of it, so such a console proves nothing.
    """
    if not seen.losses:
        return ""
    more = len(seen.losses) - 1
    rest = f" (and {more} more)" if more else ""
    return f"the console does not have all that the kernel printed: {seen.losses[0]}{rest}"


def unallowed_reports(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Yield a finding for each report that the scenario does not allow."""
    allowances = [
        allow.Allowance(kind, "the scenario names it") for kind in sorted(_allowed(scenario))
    ]
    leaks = _leak_reports(scenario, seen)
    others = [report for report in seen.reports if report not in leaks]
    for report in allow.unallowed(others, allowances):
        expected = "no report that the scenario does not allow"
        yield Finding("console", expected, report.title, False, "reports")


def resource_findings(scenario: Scenario, seen: Observation) -> Iterator[Finding]:
    """Yield the leftovers of modules that the kernel or the lab found, the cause first."""
    if scenario.expect.resources != "released":
        return
    # The lab's look counts objects: the kernel's report on the same function is left out.
    causes = [
        cause
        for cause in seen.causes
        if not cause.place or not any(f"in {cause.place}" in text for text in seen.residue)
    ]
    consequences = {cause.text for cause in causes if not cause.leak}
    # Pending timers and work come before their consequences. Memory comes last: it has done no
    # harm yet.
    texts = sorted(
        dict.fromkeys([*(cause.text for cause in causes), *seen.residue]),
        key=lambda text: (not text.endswith("still armed"), text not in consequences),
    )
    for text in texts:
        yield Finding("resources", "released", text, False, "resources")


def _leak_reports(scenario: Scenario, seen: Observation) -> list[Report]:
    """Return the reports that only say that a module left something."""
    if scenario.expect.resources is None:
        return []
    return [cause.report for cause in seen.causes if cause.leak]


def _counted(counter: str, reports: Iterable[Report]) -> int:
    """Return by how much these reports raise a counter."""
    kinds = _COUNTED.get(counter, frozenset({counter}))
    return sum(report.kind in kinds for report in reports)


def _allowed(scenario: Scenario) -> set[ReportKind]:
    named = {*scenario.expect.reports, *(entry.kind for entry in scenario.allow_console)}
    return named | _implied(scenario)


_OOPSES: frozenset[ReportKind] = frozenset(
    {"oops", "page-fault", "general-protection", "bug", "stack-overflow", "double-fault"}
)
# Kinds of report with which the kernel taints itself, by the taint's letter.
_TAINT_BY: dict[str, frozenset[ReportKind]] = {
    "D": _OOPSES | {"list-corruption", "panic"},
    "W": frozenset(
        {
            "warning",
            "list-corruption",
            "sleeping-in-atomic",
            "lockdep",
            "ubsan",
            "tx-timeout",
            "other-splat",
        }
    ),
    # From `other-splat`: the findings of the page and slab allocators.
    "B": frozenset({"bug", "kasan", "kfence", "other-splat"}),
    "L": frozenset({"soft-lockup"}),
}
# The same for its counters; one that is not here has the name of its kind.
_COUNTED: dict[str, frozenset[ReportKind]] = {
    "oops": _OOPSES | {"list-corruption"},
    # check_panic_on_warn() counts those of the sanitizers and of the scheduler, too.
    "warn": frozenset(
        {
            "warning",
            "list-corruption",
            "kasan",
            "kfence",
            "ubsan",
            "sleeping-in-atomic",
            "tx-timeout",
        }
    ),
}


def _implied(scenario: Scenario) -> set[ReportKind]:
    # A scenario that expects a crash need not list the panic that it consists of.
    return {"panic"} if scenario.expect.kernel == "crashed" else set()


def _explained(counter: str, allowed: set[ReportKind]) -> bool:
    return bool(_COUNTED.get(counter, frozenset({counter})) & allowed)
