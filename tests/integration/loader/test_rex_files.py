# SPDX-License-Identifier: GPL-2.0-only
"""Files that the loader or the Rex kernel refuses: with a reason, and nothing left."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from harness.loader_guest import KINDS_IMAGE as FILE
from harness.loader_guest import LoaderGuest, alone

from lab.deadline import scaled
from lab.guest.guest import Guest
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner

pytestmark = pytest.mark.integration

MUTANTS = 300


@pytest.fixture
def loader(rex_guest: Guest, rex: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    yield from alone(rex_guest, rex, planner)


def test_a_rejection_has_the_kernels_reason(loader: LoaderGuest, kinds: bytes) -> None:
    before = loader.bpf_objects()
    loader.guest.push({"/root/bad": kinds.replace(b"rex_printk\0", b"rex_unlink\0")})
    for _ in range(2):  # the second's log has nothing of the first's
        answer = loader.call("load", handle="a", path="/root/bad", autoload="says")
        assert (answer.ok, answer["stage"], answer["errname"]) == (False, "verify", "ENOENT")
        assert answer["program"] == "says"
        assert answer["error"].startswith("/root/bad: says: not loaded: ")
        assert answer["log"] == "rex: load: the kernel has no symbol rex_unlink\n"
    assert loader.do("list")["handles"] == []
    loader.settle(before)


def test_a_rejected_map_is_named(loader: LoaderGuest, kinds: bytes) -> None:
    before = loader.bpf_objects()
    bad = Elf(kinds)
    bad.put(bad.entry(".rex.maps", b"hash") + 8, "<I", 3)  # a map of programs with keys of 8 bytes
    loader.guest.push({"/root/bad": bytes(bad)})
    answer = loader.call("load", handle="a", path="/root/bad")
    assert (answer.ok, answer["stage"], answer["errname"]) == (False, "map", "EINVAL")
    assert "map hash: not created" in answer["error"]
    loader.settle(before)


def test_a_kernel_without_rex_says_so(
    guest: Guest, stock: Kernel, planner: Planner, kinds: bytes
) -> None:
    loader = LoaderGuest(guest, stock, planner)
    before = loader.bpf_objects()
    guest.push({FILE: kinds})
    answer = loader.call("load", handle="a", path=FILE)
    # This is no verdict on the program: the errno is not that of a rejection.
    assert (answer.ok, answer["stage"], answer["errname"]) == (False, "load", "ENOSYS")
    assert answer["error"] == f"{FILE}: this kernel has no Rex"
    guest.end_loader()
    loader.settle(before)


def test_binding_at_load_is_not_for_images(loader: LoaderGuest) -> None:
    answer = loader.call("load", handle="a", path=FILE, target="on_kprobe:schedule")
    assert (answer["stage"], answer["errname"]) == ("open", "EINVAL")


class Elf(bytearray):
    """An image whose section headers and tables can be written."""

    def put(self, at: int, form: str, *values: int) -> None:
        struct.pack_into(form, self, at, *values)

    def get(self, at: int, form: str) -> int:
        return int(struct.unpack_from(form, self, at)[0])

    def header(self, index: int) -> int:
        return self.get(40, "<Q") + 64 * index

    def section(self, name: str) -> int:
        """Return the offset of the header of a section."""
        names = self.get(self.header(self.get(62, "<H")) + 24, "<Q")
        for index in range(self.get(60, "<H")):
            at = names + self.get(self.header(index), "<I")
            if self[at : self.index(b"\0", at)] == name.encode():
                return self.header(index)
        raise KeyError(name)

    def content(self, name: str) -> int:
        return self.get(self.section(name) + 24, "<Q")

    def entry(self, table: str, name: bytes) -> int:
        """Return the offset of the entry of a program or map."""
        place, size, start = {".rex.progs": (24, 224, 0), ".rex.maps": (32, 64, 0)}[table]
        start = self.content(table)
        for at in range(start, start + self.get(self.section(table) + 32, "<Q"), size):
            if bytes(self[at + place : at + place + len(name) + 1]) == name + b"\0":
                return at
        raise KeyError(name)


def fill(table: str, name: bytes, place: int, size: int) -> Callable[[Elf], None]:
    """Text without an end."""

    def change(image: Elf) -> None:
        at = image.entry(table, name) + place
        image[at : at + size] = b"x" * size

    return change


def set_section(name: str, place: int, form: str, value: int) -> Callable[[Elf], None]:
    return lambda image: image.put(image.section(name) + place, form, value)


def name_again(image: Elf) -> None:
    # The later of the two: a table of another size would be refused for that.
    first, second = sorted(image.section(name) for name in (".rex.progs", ".rex.maps"))
    image.put(second, "<I", image.get(first, "<I"))


def same_name(image: Elf) -> None:
    at = image.entry(".rex.maps", b"stack") + 32
    image[at : at + 6] = b"queue\0"


def lock_at(offset: int) -> Callable[[Elf], None]:
    return lambda image: image.put(image.entry(".rex.maps", b"hash") + 28, "<i", offset)


BAD: list[tuple[str, Callable[[Elf], Any], str]] = [
    ("short", lambda i: i.__delitem__(slice(40, None)), "shorter than an ELF header"),
    ("truncated", lambda i: i.__delitem__(slice(3000, None)), "section headers out of"),
    ("32-bit", lambda i: i.put(4, "B", 1), "not a 64-bit"),
    ("executable", lambda i: i.put(16, "<H", 2), "not a shared object"),
    ("no sections", lambda i: i.put(60, "<H", 0), "no section headers"),
    ("header size", lambda i: i.put(58, "<H", 56), "section headers out of"),
    ("header offset", lambda i: i.put(40, "<Q", 2**64 - 64), "section headers out of"),
    ("no names", lambda i: i.put(62, "<H", 0xFFFF), "no section has the"),
    ("names", lambda i: i.put(62, "<H", 0), "names are no strings"),
    ("a name", set_section(".text", 0, "<I", 2**32 - 1), "a section's name out"),
    ("no programs", set_section(".rex.progs", 0, "<I", 0), "no programs"),
    ("no entries", set_section(".rex.progs", 32, "<Q", 0), "no programs"),
    ("half an entry", set_section(".rex.progs", 32, "<Q", 100), "no whole number"),
    ("table offset", set_section(".rex.progs", 24, "<Q", 2**64 - 224), "table out of the file"),
    ("table size", set_section(".rex.progs", 32, "<Q", 224 << 40), "table out of the file"),
    ("table address", set_section(".rex.maps", 16, "<Q", 2**32 - 1), "beyond any image"),
    ("no content", set_section(".rex.maps", 4, "<I", 8), "a table without content"),
    ("twice", name_again, "a table is there twice"),
    ("version", lambda i: i.put(i.entry(".rex.progs", b"says"), "<I", 2), "another version"),
    ("program name", fill(".rex.progs", b"says", 24, 64), "a program's name is none"),
    ("no name", lambda i: i.put(i.entry(".rex.progs", b"says") + 24, "B", 0), "name is none"),
    ("odd name", lambda i: i.put(i.entry(".rex.progs", b"says") + 24, "B", 0xFF), "name is none"),
    ("attach", fill(".rex.progs", b"says", 88, 136), "has no end"),
    ("map name", fill(".rex.maps", b"hash", 32, 32), "a map's name is none"),
    ("same name", same_name, "two maps of one name"),
    ("lock outside", lock_at(8), "lock is not in its value"),
    ("lock askew", lock_at(2), "lock is not in its value"),
]


@pytest.mark.parametrize(("change", "said"), [x[1:] for x in BAD], ids=[x[0] for x in BAD])
def test_a_malformed_image_is_refused(
    loader: LoaderGuest, kinds: bytes, change: Callable[[Elf], Any], said: str
) -> None:
    bad = Elf(kinds)
    change(bad)
    loader.guest.push({"/root/bad": bytes(bad)})
    answer = loader.call("load", handle="a", path="/root/bad")
    assert (answer.ok, answer["stage"], answer["errname"]) == (False, "open", "ENOEXEC"), answer
    assert answer["error"].startswith("/root/bad: not a Rex image: ")
    assert said in answer["error"]
    assert loader.do("list")["handles"] == []


def test_what_is_no_native_code_is_libbpfs(loader: LoaderGuest) -> None:
    """By its content: the name says nothing."""
    loader.guest.push({"/root/kinds.so": b"no ELF at all"})
    answer = loader.call("load", handle="a", path="/root/kinds.so")
    assert answer["stage"] == "open"
    assert "not opened as a BPF object" in answer["error"]


def test_mutants_do_no_harm(loader: LoaderGuest, kinds: bytes) -> None:
    """Whatever is in the file, there is an answer, and nothing is left."""
    before = loader.bpf_objects()
    source = random.Random(1)
    files: dict[str, bytes] = {}
    places = [range(64)]
    original = Elf(kinds)
    for name in (".rex.progs", ".rex.maps"):
        header = original.section(name)
        start, size = original.content(name), original.get(header + 32, "<Q")
        places += [range(header, header + 64), range(start, start + size)]
    for number in range(MUTANTS):
        mutant = Elf(kinds)
        for _ in range(source.randint(1, 4)):
            at = source.choice(source.choice(places))
            if source.random() < 0.5:
                mutant[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF, source.randrange(256)))
            else:
                mutant.put(
                    min(at, len(mutant) - 8) & ~7, "<Q", source.choice((0, 1, 2**63, 2**64 - 1))
                )
        files[f"/root/mutants/{number}"] = bytes(mutant)
    assert loader.guest.run("mkdir -p /root/mutants").ok
    loader.guest.push(files)
    stages: dict[str, int] = {}
    for path in files:
        answer = loader.call("load", handle="a", path=path)
        stage = "ok" if answer.ok else answer["stage"]
        stages[stage] = stages.get(stage, 0) + 1
        if answer.ok:
            loader.do("unload", handle="a")
    assert loader.guest.run("rm -r /root/mutants").ok
    assert set(stages) <= {"ok", "open", "map", "verify", "load"}
    failed = stages.get("map", 0) + stages.get("verify", 0)
    assert min(stages.get("ok", 0), stages.get("open", 0), failed) > MUTANTS / 20, stages
    loader.settle(before)
    assert loader.guest.run(
        "cat /sys/kernel/oops_count /sys/kernel/warn_count", scaled(60)
    ).stdout.split() == ["0", "0"]
