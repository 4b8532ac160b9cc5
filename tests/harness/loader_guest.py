# SPDX-License-Identifier: GPL-2.0-only
"""A guest's loader, as the tests of it use it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab.deadline import Deadline, scaled
from lab.extension.c import build_c
from lab.guest.guest import Guest
from lab.guest.loader import LoaderAnswer
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.workspace import Workspace

SECONDS = 60.0
# Its name says nothing: images are known by their content.
KINDS_IMAGE = "/root/kinds"
KINDS = ("programs", "maps", "links", "btfs", "net", "pins")


class Bench:
    """A guest's loader with the extensions that were pushed to it."""

    def __init__(self, guest: Guest, kernel: Kernel, planner: Planner) -> None:
        self.guest = guest
        self._kernel = kernel
        self._cache = planner.cache

    def call(self, verb: str, **arguments: Any) -> LoaderAnswer:
        return self.guest.loader.call(verb, scaled(SECONDS), **arguments)

    def do(self, verb: str, **arguments: Any) -> LoaderAnswer:
        """A command that must succeed."""
        answer = self.call(verb, **arguments)
        assert answer.ok, answer
        return answer

    def push(self, name: str) -> str:
        return self.push_file(build_c(Workspace.default(), name, self._kernel, self._cache).path)

    def push_file(self, path: Path) -> str:
        self.guest.push({f"/root/{path.name}": path})
        return f"/root/{path.name}"

    def load(self, name: str, **arguments: Any) -> LoaderAnswer:
        return self.call("load", handle="a", path=self.push(name), **arguments)

    def pull(self, words: str) -> None:
        assert '"ok":true' in self.guest.run(f"kexttrigger {words}", scaled(SECONDS)).stdout

    def value(self, key: int = 0, name: str = "counts") -> int:
        (entry,) = self.do("read", handle="a", map=name, key=key)["entries"]
        return int(entry["value"])

    def ledger(self) -> dict[str, Any]:
        ledger = self.guest.ledger()
        return {kind: ledger[kind] for kind in KINDS}

    def settle(self, wanted: dict[str, Any]) -> None:
        """Frees are deferred: wait for the ledger to be as it was."""
        Deadline(SECONDS).poll(lambda: self.ledger() == wanted, f"the ledger {wanted}")


def alone(guest: Guest, kernel: Kernel, planner: Planner) -> Iterator[Bench]:
    """For a fixture: each test leaves the guest as it found it, or the next ones would be
    about its rests."""
    bench = Bench(guest, kernel, planner)
    guest.end_loader()
    before = bench.ledger()
    yield bench
    guest.end_loader()
    bench.settle(before)
