# SPDX-License-Identifier: GPL-2.0-only
"""Results: one item's verdict as data with a version; every other format is made from it."""

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

# Raised when a reader of an older version would misread a newer result.
VERSION = 1

# In the failure report; the dossier has more.
SHOWN_FORGERIES = 5

# How long a run took, in the kernel's words: `ran for more than 100 ms: 122 ms`,
# `overdue on CPU 1: 1003 ms after its 100 ms still in the kernel`.
_TOOK = re.compile(r": \d+ ms(?=$| after )", re.A)


@dataclass(frozen=True)
class Result:
    """What became of one item.

    `seconds` is the time on the host's clock, without waiting for a guest's slot;
    `parts` are its parts by name, and that wait (`wait`). `findings` are all that the
    judge looked at, `reasons` those that did not hold. `rests_on` is the source of the
    verdict and `trust` its trust: the least trusted source of a pass, the most trusted
    source of a failure. `extension_reports` is what the kernel said of programs that it
    ended, as text. `forgeries` are the first texts that only have the form of a report,
    of `forged` in all. `guest` is `fork` or `cold`.
    `rerun` is the line that runs the item again.
    """

    item: str
    scenario: str
    summary: str
    flavor: str
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    findings: tuple[dict[str, Any], ...] = ()
    evidence: tuple[dict[str, Any], ...] = ()
    trust: str = ""
    rests_on: str = ""
    outcomes: dict[str, int] = field(default_factory=dict)
    state: str = ""
    guest: str = ""
    excerpt: str = ""
    extension_reports: str = ""
    forgeries: tuple[dict[str, Any], ...] = ()
    forged: int = 0
    seconds: float = 0.0
    parts: dict[str, float] = field(default_factory=dict)
    rerun: str = ""
    dossier: str = ""
    version: int = VERSION

    def to_json(self) -> str:
        """The result as one line of JSON."""
        return json.dumps(dataclasses.asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str) -> Result:
        """The result from its line; raises `ValueError` for another version."""
        data = json.loads(line)
        if data.get("version") != VERSION:
            raise ValueError(f"a result of version {data.get('version')}, not {VERSION}")
        data["reasons"] = tuple(data["reasons"])
        data["findings"] = tuple(data["findings"])
        data["evidence"] = tuple(data["evidence"])
        data["forgeries"] = tuple(data.get("forgeries", ()))
        return cls(**data)


def explain(result: Result) -> str:
    """Return a failure for a person: what was expected and happened, evidence, console.

    Nothing in it can steer a terminal, whatever the guest wrote.
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
        lines += ["", f"forgeries ({result.forged}), which were not believed:"]
        lines += [f"  {forgery_line(one)}" for one in result.forgeries[:SHOWN_FORGERIES]]
    if result.excerpt:
        lines += ["", "console:"]
        lines += [f"  {line}" for line in result.excerpt.splitlines()]
    lines += ["", f"run it again:  {result.rerun}"]
    if result.dossier:
        lines.append(f"everything else: {result.dossier}")
    return plain("\n".join(lines))


def forgery_line(forgery: Mapping[str, Any]) -> str:
    """Return a forgery as one line: where, by which means, and its text."""
    return f"console line {forgery.get('line')} [{forgery.get('means')}]: {forgery.get('text')}"


def _evidence_lines(evidence: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each piece; those that differ only in how long something took have one."""
    alike: dict[str, list[str]] = {}
    for one in evidence:
        line = f"  [{one.get('kind', '?')}] {one.get('summary', '')}"
        alike.setdefault(_TOOK.sub(": ms", line), []).append(line)
    for first, *others in alike.values():
        yield first
        if others:
            yield f"    ... and {len(others)} more like it"


def append(folder: Path, result: Result) -> None:
    """Add a result to the run's `results.jsonl`; whole lines, so that processes can share it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write(result.to_json() + "\n")
