# SPDX-License-Identifier: GPL-2.0-only
"""A guest with its loader, for the tests of the loader."""

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
# The name has no suffix: the loader recognizes an image by its content.
KINDS_IMAGE = "/root/kinds"
KINDS = ("programs", "maps", "links", "btfs", "net", "pins")


class LoaderGuest:
    """A guest's loader with the extensions that were pushed to it."""

    def __init__(self, guest: Guest, kernel: Kernel, planner: Planner) -> None:
        self.guest = guest
        self._kernel = kernel
        self._cache = planner.cache

    def call(self, verb: str, **arguments: Any) -> LoaderAnswer:
        return self.guest.loader.call(verb, scaled(SECONDS), **arguments)

    def do(self, verb: str, **arguments: Any) -> LoaderAnswer:
        """Give the loader a command that must succeed."""
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

    def bpf_objects(self) -> dict[str, Any]:
        objects = self.guest.bpf_objects()
        return {kind: objects[kind] for kind in KINDS}

    def settle(self, wanted: dict[str, Any]) -> None:
        """Wait until the BPF objects are as they were: frees are deferred."""
        Deadline(SECONDS).poll(lambda: self.bpf_objects() == wanted, f"the BPF objects {wanted}")


def alone(guest: Guest, kernel: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    """Yield a new loader for a fixture, and wait until the test's BPF objects are gone.

    Otherwise later tests would see its leftovers.
    """
    loader = LoaderGuest(guest, kernel, planner)
    guest.end_loader()
    before = loader.bpf_objects()
    yield loader
    guest.end_loader()
    loader.settle(before)
