# SPDX-License-Identifier: GPL-2.0-only
"""Findings: what was expected and what happened, and whether that holds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.oracle.evidence import Trust
from lab.scenario.model.base import Bound, Ref
from lab.scenario.model.expect import TextExpect
from lab.words import OUTCOMES, Topic

_LOGS: tuple[Topic, ...] = ("verifier_log", "compiler_log")


@dataclass(frozen=True)
class Source:
    """The origin of a finding, in words, and how far it can be trusted."""

    words: str
    trust: Trust

    @property
    def is_host(self) -> bool:
        """Tell whether the host observes it without the guest's help."""
        return self.trust >= Trust.CONSOLE


# The host runs it, before there is a guest.
COMPILER = Source("the compiler", Trust.QMP_OR_EXIT)
QEMU = Source("QEMU's events", Trust.QMP_OR_EXIT)
NONCE = Source("a nonce over SSH", Trust.WIRE_NONCE)
CONSOLE = Source("the console", Trust.CONSOLE)
COUNTERS = Source("counters in the guest", Trust.COUNTER)
STATISTICS = Source("the loader's statistics", Trust.COUNTER)
LOADER = Source("the loader's answers", Trust.GUEST_TEXT)
GUEST_CLOCK = Source("the guest's clock", Trust.GUEST_TEXT)
GUEST_TOOLS = Source("what tools in the guest say", Trust.GUEST_TEXT)

# The source that a finding on each topic rests on, if it names none itself.
SOURCE_OF: Mapping[Topic, Source] = {
    "kernel": NONCE,
    "reports": CONSOLE,
    "forged": CONSOLE,
    "counters": COUNTERS,
    "resources": COUNTERS,
    "ledger": COUNTERS,
    "rex": COUNTERS,
    "reusable": STATISTICS,
    "outcome": STATISTICS,
    "maps": LOADER,
    "misses": STATISTICS,
    "received": GUEST_TOOLS,
    "verifier_log": LOADER,
    "compiler_log": COMPILER,
    "extension_report": CONSOLE,
    "slopes": COUNTERS,
    "time": GUEST_CLOCK,
    "steps": GUEST_TOOLS,
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what was expected, what happened, whether that holds.

    `topic` is None where nothing was seen of what is expected: a step could not
    be done, or what it is about could not be read. `source` is given where the
    topic does not say on what the finding rests. `asked` is false where
    the scenario expects nothing, such as the success of a step that is only to be done.
    """

    what: str
    expected: str
    happened: str
    holds: bool
    topic: Topic | None = None
    source: Source | None = None
    asked: bool = True

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, but {self.happened}"

    @property
    def rests_on(self) -> Source:
        """Return the source of the finding, which says how far it can be trusted."""
        return self.source or (SOURCE_OF[self.topic] if self.topic else GUEST_TOOLS)

    def to_json(self) -> dict[str, Any]:
        """Return the finding as plain data, with its source and the source's trust."""
        source = self.rests_on
        return {
            "what": self.what,
            "expected": self.expected,
            "happened": self.happened,
            "holds": self.holds,
            "topic": self.topic,
            "asked": self.asked,
            "trust": source.trust.name.lower(),
            "rests_on": source.words,
        }


def bound_finding(what: str, bound: Bound, value: float | None, topic: Topic) -> Finding:
    """Whether a number is within its bound; None is a number that there is not."""
    if value is None:
        return Finding(what, bound.describe(), "there is none", False)
    return Finding(what, bound.describe(), f"it is {value}", bound.holds(value), topic)


def outcome_finding(
    what: str, outcome: str, bound: Bound, counts: Mapping[str, int], *, complete: bool
) -> Finding:
    """Whether an outcome came as often as expected; if not, which others there were.

    `complete` says that all programs were asked: only then did none run where none is counted.
    """
    finding = bound_finding(f"{what} {outcome}", bound, counts.get(outcome, 0), "outcome")
    if outcome == "not_compiled":
        finding = replace(finding, source=COMPILER)
    if finding.holds:
        return finding
    others = [f"{one} {counts[one]}" for one in OUTCOMES if one != outcome and counts.get(one)]
    instead = ", ".join(others)
    if not instead and complete and not counts.get(outcome):
        instead = "no program ran"
    happened = f"{finding.happened} ({instead})" if instead else finding.happened
    return replace(finding, happened=happened)


def text_findings(
    what: str, expect: TextExpect, text: str, topic: Topic, *, needed: bool = False
) -> Iterator[Finding]:
    """Compare a text with what is expected of it.

    A text that is `needed` must not be empty, since an empty text contains nothing
    that it excludes. A missing log shows nothing about the expectation, so it has no topic.
    """
    about = None if topic in _LOGS else topic
    if needed and not text.strip():
        yield Finding(what, "the text that is asked for", "there is none", False, about)
        return
    wrong = expect.failures(text)
    shown = text.strip()[-400:] or "(empty)"
    if not wrong:
        yield Finding(what, "the text that is asked for", "it is there", True, topic)
    for failure in wrong:
        happened = f"it {failure}; it ends: {shown}"
        yield Finding(what, "the text that is asked for", happened, False, topic)


def map_findings(
    what: str,
    expected: Mapping[Ref, Mapping[int | str, Bound]],
    found: Mapping[Ref, Mapping[Any, int | None]],
) -> Iterator[Finding]:
    """Whether maps hold what is expected of them."""
    for ref, keys in expected.items():
        for key, bound in keys.items():
            value = found.get(ref, {}).get(key)
            yield bound_finding(f"{what}: {ref}[{key}]", bound, value, "maps")
