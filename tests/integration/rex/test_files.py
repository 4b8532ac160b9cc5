# SPDX-License-Identifier: GPL-2.0-only
"""Files that the Rex kernel is asked to load, and refuses: each offset in them is checked."""

from __future__ import annotations

import errno
import json
import os
import struct
from collections.abc import Callable

import pytest
from elftools.elf.elffile import ELFFile
from harness.rex_guest import RexGuest

from lab.deadline import scaled

pytestmark = pytest.mark.integration

MUTANTS = int(os.environ.get("LAB_REX_MUTANTS", "1000"))


HEADER = {"machine": 18, "type": 16, "phoff": 32, "phentsize": 54, "phnum": 56, "class": 4}
LOAD, DYNAMIC = 1, 2


class Image(bytearray):
    """An image whose headers can be written by name."""

    def put(self, at: int, form: str, value: int) -> None:
        struct.pack_into("<" + form, self, at, value)

    def header(self, kind: int, nth: int = 0) -> int:
        """Return the offset of the nth program header of a kind."""
        count = struct.unpack_from("<H", self, HEADER["phnum"])[0]
        places = [64 + 56 * index for index in range(count)]
        return [at for at in places if struct.unpack_from("<I", self, at)[0] == kind][nth]

    def dynamic(self, tag: int) -> int:
        """Return the offset of a tag's entry in the dynamic section."""
        at = struct.unpack_from("<Q", self, self.header(DYNAMIC) + 8)[0]
        while struct.unpack_from("<Q", self, at)[0] != tag:
            at += 16
        return int(at)

    def relocation(self, nth: int = 0) -> int:
        return struct.unpack_from("<Q", self, self.dynamic(7) + 8)[0] + 24 * nth  # type: ignore[no-any-return]


def put(at: Callable[[Image], int], form: str, value: int) -> Callable[[Image], None]:
    return lambda image: image.put(at(image), form, value)


def rename(image: Image) -> None:
    at = image.index(b"rex_printk\0")
    image[at : at + 10] = b"rex_unlink"


BAD = [
    ("empty", lambda image: image.clear(), errno.ENOEXEC, "no ELF file"),
    ("truncated", lambda image: image.__delitem__(slice(700, None)), errno.ENOEXEC, "out of the"),
    ("oversized", lambda image: image.extend(bytes(1 << 20)), errno.E2BIG, "more than"),
    ("32-bit", put(lambda _: HEADER["class"], "B", 1), errno.ENOEXEC, "not a 64-bit"),
    ("machine", put(lambda _: HEADER["machine"], "H", 183), errno.ENOEXEC, "machine 183"),
    ("executable", put(lambda _: HEADER["type"], "H", 2), errno.ENOEXEC, "not a shared object"),
    ("no headers", put(lambda _: HEADER["phnum"], "H", 0), errno.ENOEXEC, "program headers"),
    ("headers", put(lambda _: HEADER["phoff"], "Q", 2**64 - 8), errno.ENOEXEC, "program headers"),
    ("writable code", put(lambda i: i.header(LOAD, 1) + 4, "I", 7), errno.ENOEXEC, "written and"),
    ("two codes", put(lambda i: i.header(LOAD, 2) + 4, "I", 5), errno.ENOEXEC, "more than one"),
    ("no code", put(lambda i: i.header(LOAD, 1) + 4, "I", 4), errno.ENOEXEC, "no segment of code"),
    ("offset", put(lambda i: i.header(LOAD, 1) + 8, "Q", 2**64 - 4096), errno.ENOEXEC, "out of"),
    ("huge", put(lambda i: i.header(LOAD, 3) + 40, "Q", 1 << 40), errno.E2BIG, "beyond"),
    ("negative", put(lambda i: i.header(LOAD, 3) + 16, "Q", 2**64 - 4096), errno.E2BIG, "beyond"),
    ("overlap", put(lambda i: i.header(LOAD, 2) + 16, "Q", 4096), errno.ENOEXEC, "overlaps"),
    ("interpreter", put(lambda i: i.header(0x6474E551), "I", 3), errno.ENOEXEC, "of type 3"),
    ("no dynamic", put(lambda i: i.header(DYNAMIC), "I", 4), errno.ENOEXEC, "no dynamic"),
    ("dynamic", put(lambda i: i.header(DYNAMIC) + 16, "Q", 2**63), errno.ENOEXEC, "dynamic"),
    ("table", put(lambda i: i.dynamic(7) + 8, "Q", 2**64 - 24), errno.ENOEXEC, "out of range"),
    ("entry size", put(lambda i: i.dynamic(9) + 8, "Q", 16), errno.ENOEXEC, "unknown form"),
    ("text relocation", put(lambda i: i.dynamic(9), "Q", 22), errno.ENOEXEC, "entry 22"),
    ("relocates code", put(lambda i: i.relocation(), "Q", 4096), errno.ENOEXEC, "not in data"),
    ("relocates beyond", put(lambda i: i.relocation(), "Q", 2**64 - 4), errno.ENOEXEC, "not in"),
    ("other relocation", put(lambda i: i.relocation() + 8, "Q", 1), errno.ENOEXEC, "type 1"),
    ("addend", put(lambda i: i.relocation() + 16, "Q", 1 << 40), errno.ENOEXEC, "leads out"),
    ("strings", put(lambda i: i.dynamic(10) + 8, "Q", 1), errno.ENOENT, None),
    ("unknown symbol", rename, errno.ENOENT, "no symbol rex_unlink"),
]


@pytest.mark.parametrize(("change", "error", "said"), [x[1:] for x in BAD], ids=[x[0] for x in BAD])
def test_a_bad_image_is_refused(
    shared: RexGuest, change: Callable[[Image], None], error: int, said: str | None
) -> None:
    image = Image(shared.image.read_bytes())
    change(image)
    shared.log()
    assert set(shared.load(bytes(image))) == {error}
    log = shared.log()
    assert all(line.startswith("rex: load: ") for line in log)
    assert log
    assert said is None or said in log[0], log
    assert shared.unharmed()


def test_the_unchanged_image_is_not_refused(shared: RexGuest) -> None:
    assert set(shared.load(shared.image.read_bytes())) == {0}


def test_mutants_do_no_harm(shared: RexGuest) -> None:
    done = shared.guest.run(
        f"/root/rexrun fuzz /root/image.so 1 {MUTANTS}", scaled(60 + MUTANTS / 10)
    )
    found = {int(key): value for key, value in json.loads(done.stdout).items()}
    assert sum(found.values()) == MUTANTS
    assert found[0] > 0
    assert found[errno.ENOEXEC] > MUTANTS / 10
    assert set(found) <= {0, errno.ENOEXEC, errno.ENOENT, errno.EINVAL, errno.E2BIG}
    assert shared.unharmed()
    assert shared.leaks() == ""


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        *((kind, errno.EOPNOTSUPP) for kind in (1, 8, 13, 26, 27, 28, 31)),
        (29, errno.EINVAL),  # LSM programs, which this kernel has not got: bpf(2)'s own word
        (99, errno.EINVAL),
    ],
)
def test_another_type_of_program_is_refused(shared: RexGuest, kind: int, error: int) -> None:
    """These types are attached by trampolines, or have unknown contexts."""
    image = Image(shared.image.read_bytes())
    with shared.image.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".rex.progs")
    assert table is not None
    for at in range(table["sh_offset"], table["sh_offset"] + table["sh_size"], 224):
        image.put(at + 4, "I", kind)
    shared.guest.push({"/root/other.so": bytes(image)})
    shared.log()
    done = shared.guest.run("/root/rexrun load /root/other.so /root/other.so", scaled(60))
    assert set(json.loads(done.stdout)) == {error}
    if error == errno.EOPNOTSUPP:
        assert f"programs of type {kind} are not supported" in shared.log()[0]
    assert shared.unharmed()
