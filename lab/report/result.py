# SPDX-License-Identifier: GPL-2.0-only
"""Results: one item's verdict as versioned data; every other format is made from it."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.plain import plain
from lab.words import Verdict

# Increase it when a reader of the old version would misread a new result.
VERSION = 1

# The maximum number of forgeries in the failure report; the dossier has more.
SHOWN_FORGERIES = 5

# The duration of a run in a kernel message: `ran for more than 100 ms: 122 ms`,
# `overdue on CPU 1: 1003 ms after its 100 ms still in the kernel`.
_TOOK = re.compile(r": \d+ ms(?=$| after )", re.A)


@dataclass(frozen=True)
class Result:
    """The result of one item. Texts that are unknown or do not apply are empty."""

    # The item's ID.
    item: str
    # The path of the scenario's file.
    scenario: str
    # The scenario's summary.
    summary: str
    # The kernel flavor.
    flavor: str
    verdict: Verdict
    # Why the verdict is not `passed`, one reason each.
    reasons: tuple[str, ...] = ()
    # All findings of the judge, also those that hold, as `Finding.to_json` has them.
    findings: tuple[dict[str, Any], ...] = ()
    # All pieces of evidence, as `Evidence.to_json` has them.
    evidence: tuple[dict[str, Any], ...] = ()
    # The trust of the source in `rests_on`, in lower case.
    trust: str = ""
    # The source of the verdict: the least trusted one of a pass, the most trusted of a failure.
    rests_on: str = ""
    # The number of runs of the first use by outcome.
    outcomes: dict[str, int] = field(default_factory=dict)
    # The state of the kernel at the end.
    state: str = ""
    # The start of the guest: `fork` or `cold`.
    guest: str = ""
    # The lines of the console that explain a failure.
    excerpt: str = ""
    # The kernel's reports on programs that it ended, as text; only after a failure.
    extension_reports: str = ""
    # The first texts that only have the form of a kernel's report.
    forgeries: tuple[dict[str, Any], ...] = ()
    # The number of all such texts.
    forged: int = 0
    # The time on the host's clock, without waiting for a guest's slot.
    seconds: float = 0.0
    # Seconds by part of the item; `wait` is the time spent waiting for a slot.
    parts: dict[str, float] = field(default_factory=dict)
    # The command that runs the item again.
    rerun: str = ""
    # The path of the dossier.
    dossier: str = ""
    version: int = VERSION

    def to_json(self) -> str:
        """Return the result as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> Result:
        """Return the result that a line of JSON holds; raise `ValueError` for another version."""
        data = json.loads(line)
        if data.get("version") != VERSION:
            raise ValueError(f"a result of version {data.get('version')}, not {VERSION}")
        data["reasons"] = tuple(data["reasons"])
        data["findings"] = tuple(data["findings"])
        data["evidence"] = tuple(data["evidence"])
        data["forgeries"] = tuple(data.get("forgeries", ()))
        return cls(**data)


def explain(result: Result) -> str:
    """Return a failure as text for a person: reasons, evidence, reports, console.

    The text can't control a terminal, whatever the guest printed.
    """
    lines = [f"{result.item}: {result.verdict}  ({result.summary})", ""]
    lines += [f"  {line}" for reason in result.reasons for line in reason.splitlines()]
    if result.rests_on:
        lines += ["", f"the verdict rests on {result.rests_on} (trust: {result.trust})"]
    if result.evidence:
        lines += ["", "evidence:"]
        lines += _evidence_lines(result.evidence)
    if result.extension_reports:
        lines += ["", "extension reports:"]
        lines += [f"  {line}" for line in result.extension_reports.splitlines()]
    if result.forged:
        lines += ["", f"forgeries ({result.forged}), ignored:"]
        lines += [f"  {forgery_line(one)}" for one in result.forgeries[:SHOWN_FORGERIES]]
    if result.excerpt:
        lines += ["", "console:"]
        lines += [f"  {line}" for line in result.excerpt.splitlines()]
    lines += ["", f"run it again:  {result.rerun}"]
    if result.dossier:
        lines.append(f"everything else: {result.dossier}")
    return plain("\n".join(lines))


def forgery_line(forgery: Mapping[str, Any]) -> str:
    """Return a forgery as one line: its place, the means to recognize it, and its text."""
    return f"console line {forgery.get('line')} [{forgery.get('means')}]: {forgery.get('text')}"


def _evidence_lines(evidence: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a line for each piece of evidence; pieces that differ only in a duration share one."""
    alike: dict[str, list[str]] = {}
    for one in evidence:
        line = f"  [{one.get('kind', '?')}] {one.get('summary', '')}"
        alike.setdefault(_TOOK.sub(": ms", line), []).append(line)
    for first, *others in alike.values():
        yield first
        if others:
            yield f"    ... and {len(others)} more like it"


def append(folder: Path, result: Result) -> None:
    """Append a result to the run's `results.jsonl` in one write: processes share the file."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(result.to_json() + "\n")
