# SPDX-License-Identifier: GPL-2.0-only
"""Snapshots on disk: what is saved is what is loaded, or nothing is."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.vm import snapshot
from lab.vm.snapshot import SnapshotDamaged

MIB = 1 << 20


def saved(folder: Path) -> Path:
    with (folder / snapshot.MEMORY).open("wb") as stream:
        stream.truncate(6 * MIB)
        os.pwrite(stream.fileno(), b"a page", 2 * MIB + 4096)
    (folder / snapshot.STATE).write_bytes(b"a state" * 100)
    (folder / snapshot.CONSOLE).write_text(json.dumps([[-1.5, "kextlab: init"]]))
    snapshot.seal(folder)
    return folder


def test_it_is_loaded_with_what_the_console_said(tmp_path: Path) -> None:
    found = snapshot.load(saved(tmp_path))
    assert [(line.at, line.text) for line in found.console] == [(-1.5, "kextlab: init")]


@pytest.mark.parametrize(
    "name", [snapshot.MEMORY, snapshot.STATE, snapshot.CONSOLE, snapshot.MANIFEST]
)
def test_a_file_that_is_gone_is_noticed(tmp_path: Path, name: str) -> None:
    (saved(tmp_path) / name).unlink()
    with pytest.raises(SnapshotDamaged):
        snapshot.load(tmp_path)


def test_damage_is_noticed_after_a_good_load(tmp_path: Path) -> None:
    snapshot.load(saved(tmp_path))
    with (tmp_path / snapshot.MEMORY).open("r+b") as stream:
        os.pwrite(stream.fileno(), b"x", 5 * MIB)
    with pytest.raises(SnapshotDamaged, match="memory"):
        snapshot.load(tmp_path)


@given(at=st.integers(0, 6 * MIB - 1), bit=st.integers(0, 7))
def test_every_flipped_bit_changes_the_fingerprint(
    tmp_path_factory: pytest.TempPathFactory, at: int, bit: int
) -> None:
    folder = saved(tmp_path_factory.mktemp("flip"))
    path = folder / snapshot.MEMORY
    before = snapshot._fingerprint(path)
    with path.open("r+b") as stream:
        byte = os.pread(stream.fileno(), 1, at)[0]
        os.pwrite(stream.fileno(), bytes([byte ^ (1 << bit)]), at)
    assert snapshot._fingerprint(path) != before


def test_holes_and_zeros_are_the_same_and_length_counts(tmp_path: Path) -> None:
    sparse, full, longer = (tmp_path / name for name in ("sparse", "full", "longer"))
    with sparse.open("wb") as stream:
        stream.truncate(3 * MIB + 5)
    full.write_bytes(bytes(3 * MIB + 5))
    longer.write_bytes(bytes(3 * MIB + 6))
    assert snapshot._fingerprint(sparse) == snapshot._fingerprint(full)
    assert snapshot._fingerprint(longer) != snapshot._fingerprint(full)
