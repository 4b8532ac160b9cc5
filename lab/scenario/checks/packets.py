# SPDX-License-Identifier: GPL-2.0-only
"""Check for packets that can't be sent or counted as a scenario requires."""

from __future__ import annotations

from collections.abc import Iterator

from lab.config.yaml_file import Flaw, Map
from lab.scenario.checks.data import at_key, at_value, mapping, number, sequence, text, walk

# The bytes at the end of a payload that identify a packet: a nonce and the packet's number.
STAMP_BYTES = 16
_LOOPBACK = "lo"
_TIMES_BY_DEFAULT = 1


def check(data: Map) -> Iterator[Flaw]:
    """Find all flaws in one scenario's data, with its parameters inserted."""
    expect = mapping(data, "expect")
    of_all = "received" in expect
    sent, triggers = 0.0, 0
    for holder in (data, *walk(sequence(data, "steps"))):
        trigger = mapping(holder, "trigger")
        own = mapping(holder, "expect") if holder is not data else Map()
        if "packets" not in trigger:
            if "trigger" in holder and "received" in own:
                yield at_key(own, "received", "this trigger sends no packets, so none are received")
            continue
        triggers += 1
        sent += number(trigger, "times") or _TIMES_BY_DEFAULT
        yield from _trigger(trigger, counted=of_all or "received" in own)
        yield from _too_many(own, number(trigger, "times") or _TIMES_BY_DEFAULT)
    if of_all and not triggers and "compare" not in data:
        yield at_key(expect, "received", "no trigger sends packets, so none are received")
    elif of_all and not any("repeat" in step for step in walk(sequence(data, "steps"))):
        yield from _too_many(expect, sent)


def loses_packets(data: Map) -> bool:
    """Return whether a scenario expects that some packets do not reach the socket.

    If all packets arrive, this shows nothing: they would without the extension, too.
    """
    sent = 0.0
    for holder in (data, *walk(sequence(data, "steps"))):
        trigger = mapping(holder, "trigger")
        if "packets" in trigger:
            times = number(trigger, "times") or _TIMES_BY_DEFAULT
            sent += times
            if holder is not data and _excludes(mapping(holder, "expect"), times):
                return True
    expect = mapping(data, "expect")
    # `received` without any packets sent is another mistake, which `check` reports.
    return _excludes(expect, sent) or (not sent and "received" in expect)


def _excludes(expect: Map, sent: float) -> bool:
    """Return whether `received` fails if all packets arrive."""
    most = number(expect, "received")
    bound = expect.get("received")
    if isinstance(bound, Map):
        limits = (number(bound, "at_most"), number(bound, "equals"))
        most = min((limit for limit in limits if limit is not None), default=None)
    return most is not None and most < sent


def _trigger(trigger: Map, *, counted: bool) -> Iterator[Flaw]:
    keys = [key for key in ("to", "netns", "to_netns") if key in trigger]
    tcp = text(trigger, "protocol") == "tcp"
    if not (counted or tcp or keys):
        return
    size = number(trigger, "size")
    if size is not None and size < STAMP_BYTES:
        yield at_value(
            trigger, "size", f"a packet that is counted has at least {STAMP_BYTES} bytes"
        )
    device = text(trigger, "packets")
    if device not in (None, _LOOPBACK) and "to" not in trigger:
        yield at_value(
            trigger,
            "packets",
            f"'{device}' is not a loopback device, so the receiver is unknown: add 'to: ADDRESS'",
        )


def _too_many(expect: Map, sent: float) -> Iterator[Flaw]:
    bound = expect.get("received")
    least = number(expect, "received")
    if isinstance(bound, Map):
        least = max(number(bound, "at_least") or 0, number(bound, "equals") or 0)
    if least is not None and least > sent:
        yield at_value(expect, "received", f"the number of packets sent is only {sent:g}")
