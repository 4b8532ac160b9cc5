# SPDX-License-Identifier: GPL-2.0-only
"""The liveness oracle: the CPUs that echoed a fresh nonce, on the host's clock.

Trust: WIRE_NONCE. The guest runs `kextload alive NONCE`: a child pinned to each
online CPU prints one line of JSON. The nonce is new each time, so that a recorded
answer is worthless. A guest can still let one CPU answer for another: only the
guest itself says that a task ran on the CPU that it names.
"""

from __future__ import annotations

import re

from lab import jsontext
from lab.oracle.evidence import Evidence

_NONCE = re.compile(r"[0-9a-zA-Z]{16,}")


def judge(nonce: str, answer: str, cpus: int, seconds: float) -> Evidence:
    """Return evidence from an answer of `cpus` CPUs after `seconds` on the host's clock.

    Lines that are not JSON, have another nonce or name a CPU that the machine does not
    have are ignored.
    """
    if not _NONCE.fullmatch(nonce):
        raise ValueError("a nonce is at least 16 letters and digits")
    answered: set[int] = set()
    strangers = 0
    for line in answer.splitlines():
        report = _object(line)
        if report is None or "nonce" not in report:
            continue
        cpu = report.get("cpu")
        good = report["nonce"] == nonce and report.get("ok") is True
        if good and type(cpu) is int and 0 <= cpu < cpus:
            answered.add(cpu)
        else:
            strangers += 1
    why = f"{strangers} lines with a wrong nonce or CPU" if strangers else ""
    return _evidence(nonce, cpus, answered, why, seconds, heard=True)


def silence(nonce: str, cpus: int, why: str, seconds: float) -> Evidence:
    """Return evidence that no CPU answered; `why` is the connection's own error."""
    return _evidence(nonce, cpus, set(), why, seconds, heard=False)


def all_answered(evidence: Evidence) -> bool:
    """Return whether every CPU answered."""
    return bool(evidence.data["asked"]) and not evidence.data["missing"]


def was_heard(evidence: Evidence) -> bool:
    """Return whether the guest answered at all: then missing CPUs are really missing."""
    return bool(evidence.data["heard"])


def _object(line: str) -> dict[str, object] | None:
    try:
        data = jsontext.parse(line)
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _evidence(
    nonce: str, cpus: int, answered: set[int], why: str, seconds: float, *, heard: bool
) -> Evidence:
    missing = sorted(set(range(cpus)) - answered)
    if not missing:
        summary = f"all {cpus} CPUs answered within {seconds:.1f} s"
    elif answered:
        named = ", ".join(str(cpu) for cpu in missing)
        summary = f"no answer from CPU {named} within {seconds:.1f} s"
    else:
        summary = f"no CPU answered within {seconds:.1f} s"
    if missing and why:
        summary += f" ({why})"
    return Evidence(
        "liveness",
        summary,
        {
            "nonce": nonce,
            "asked": cpus,
            "answered": sorted(answered),
            "missing": missing,
            "seconds": round(seconds, 3),
            "why": why,
            "heard": heard,
        },
    )
