# SPDX-License-Identifier: GPL-2.0-only
"""Findings: an expectation, what happened, and whether the expectation holds."""

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
        """True if the host observes it without the guest's help."""
        return self.trust >= Trust.CONSOLE


# The host runs the compiler, before there is a guest.
COMPILER = Source("the compiler", Trust.QMP_OR_EXIT)
QEMU = Source("QEMU's events", Trust.QMP_OR_EXIT)
NONCE = Source("a nonce over SSH", Trust.WIRE_NONCE)
CONSOLE = Source("the console", Trust.CONSOLE)
COUNTERS = Source("counters in the guest", Trust.COUNTER)
STATISTICS = Source("the loader's statistics", Trust.COUNTER)
LOADER = Source("the loader's answers", Trust.GUEST_TEXT)
GUEST_CLOCK = Source("the guest's clock", Trust.GUEST_TEXT)
GUEST_TOOLS = Source("what tools in the guest say", Trust.GUEST_TEXT)

# The source on which a finding on each topic rests, if the finding names none itself.
SOURCE_OF: Mapping[Topic, Source] = {
    "kernel": NONCE,
    "reports": CONSOLE,
    "forged": CONSOLE,
    "counters": COUNTERS,
    "resources": COUNTERS,
    "bpf_objects": COUNTERS,
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
    """The comparison of one expectation with what happened."""

    what: str
    expected: str
    happened: str
    holds: bool
    #: None if the expectation could not be observed: a step could not be done, or its
    #: subject could not be read.
    topic: Topic | None = None
    #: The source on which it rests, if that does not follow from the topic.
    source: Source | None = None
    #: False if the scenario itself expects nothing, as for the success of a plain step.
    asked: bool = True

    def __str__(self) -> str:
        return f"{self.what}: expected {self.expected}, but {self.happened}"

    @property
    def rests_on(self) -> Source:
        """The source of the finding, which says how far it can be trusted."""
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
    """Compare a number with its bound; None is a number that does not exist."""
    if value is None:
        return Finding(what, bound.describe(), "there is none", False)
    return Finding(what, bound.describe(), f"it is {value}", bound.holds(value), topic)


def outcome_finding(
    what: str, outcome: str, bound: Bound, counts: Mapping[str, int], *, complete: bool
) -> Finding:
    """Compare the count of an outcome with its bound; on failure, name the other outcomes.

    `complete` says that the counts of all programs were read: only then does a count of
    zero mean that no program ran.
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
    """Compare a text with the expectation of it.

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
    """Compare the values of maps with their bounds."""
    for ref, keys in expected.items():
        for key, bound in keys.items():
            value = found.get(ref, {}).get(key)
            yield bound_finding(f"{what}: {ref}[{key}]", bound, value, "maps")
