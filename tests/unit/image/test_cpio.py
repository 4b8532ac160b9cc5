# SPDX-License-Identifier: GPL-2.0-only
"""The cpio writer and reader."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.image import cpio

names = st.text(
    st.characters(codec="utf-8", exclude_characters="/\0", exclude_categories=["Cs"]),
    min_size=1,
    max_size=12,
).filter(lambda name: name not in (".", "..", "TRAILER!!!"))
trees = st.dictionaries(
    st.lists(names, min_size=1, max_size=4).map("/".join),
    st.tuples(st.binary(max_size=64), st.integers(0, 0o7777)),
    max_size=8,
)


def without_files_as_folders(tree: dict[str, tuple[bytes, int]]) -> list[cpio.Entry]:
    return [
        cpio.regular(path, data, mode)
        for path, (data, mode) in tree.items()
        if not any(other.startswith(f"{path}/") for other in tree)
    ]


@given(trees)
def test_what_is_written_is_read_back(tree: dict[str, tuple[bytes, int]]) -> None:
    entries = without_files_as_folders(tree)
    back = {entry.path: entry for entry in cpio.read(cpio.archive(entries))}
    assert [back[entry.path] for entry in entries] == entries
    added = set(back) - {entry.path for entry in entries}
    assert all(stat.S_ISDIR(back[path].mode) for path in added)


@given(trees, st.randoms(use_true_random=False))
def test_order_of_entries_does_not_matter(tree, random) -> None:  # type: ignore[no-untyped-def]
    entries = without_files_as_folders(tree)
    shuffled = list(entries)
    random.shuffle(shuffled)
    assert cpio.archive(shuffled) == cpio.archive(entries)


@given(trees)
def test_a_folder_comes_before_what_it_holds(tree: dict[str, tuple[bytes, int]]) -> None:
    seen: set[str] = set()
    for entry in cpio.read(cpio.archive(without_files_as_folders(tree))):
        parent = entry.path.rpartition("/")[0]
        assert not parent or parent in seen
        seen.add(entry.path)


@given(trees, trees, st.integers(0, 9))
def test_concatenated_archives_are_read_one_after_the_other(
    one: dict[str, tuple[bytes, int]], two: dict[str, tuple[bytes, int]], words: int
) -> None:
    first, second = (cpio.archive(without_files_as_folders(tree)) for tree in (one, two))
    joined = list(cpio.read(first + bytes(4 * words) + second))
    assert joined == [*cpio.read(first), *cpio.read(second)]


@given(trees, st.data())
def test_an_archive_that_was_cut_is_an_error(
    tree: dict[str, tuple[bytes, int]], data: st.DataObject
) -> None:
    whole = cpio.archive(without_files_as_folders(tree))
    length = data.draw(st.integers(1, len(whole) - 4))
    with pytest.raises(cpio.CpioError):
        list(cpio.read(whole[:length]))


def test_every_kind_of_entry_survives() -> None:
    entries = [
        cpio.directory("d", 0o700),
        cpio.regular("d/f", b"x", 0o4755),
        cpio.symlink("d/l", "../f"),
        cpio.character_device("dev/null", 1, 3, 0o666),
    ]
    back = {entry.path: entry for entry in cpio.read(cpio.archive(entries))}
    assert [back[entry.path] for entry in entries] == entries
    assert stat.S_ISCHR(back["dev/null"].mode)
    assert back["dev/null"].device == (1, 3)


@pytest.mark.parametrize("path", ["", "a/../b", "a//b", "./a", "TRAILER!!!", "a\0b"])
def test_paths_that_an_archive_cannot_hold_are_refused(path: str) -> None:
    with pytest.raises(cpio.CpioError):
        cpio.archive([cpio.Entry(path, stat.S_IFREG | 0o644)])


def test_a_path_named_twice_is_refused() -> None:
    with pytest.raises(cpio.CpioError, match="a: named twice"):
        cpio.archive([cpio.regular("a", b""), cpio.regular("/a", b"")])


def test_a_file_cannot_hold_files() -> None:
    with pytest.raises(cpio.CpioError, match="a is not a folder"):
        cpio.archive([cpio.regular("a", b""), cpio.regular("a/b", b"")])


@pytest.mark.skipif(not shutil.which("cpio"), reason="cpio is not installed")
def test_cpio_extracts_the_archive(tmp_path: Path) -> None:
    data = cpio.archive(
        [
            cpio.regular("a/one", b"1" * 5, 0o640),
            cpio.regular("a-b", b""),
            cpio.symlink("a/link", "one"),
        ]
    )
    subprocess.run(["cpio", "-idm"], input=data, cwd=tmp_path, check=True, capture_output=True)
    assert (tmp_path / "a/one").read_bytes() == b"11111"
    assert (tmp_path / "a/one").stat().st_mtime == 0
    assert stat.S_IMODE((tmp_path / "a/one").stat().st_mode) == 0o640
    assert (tmp_path / "a/link").readlink() == Path("one")
    assert (tmp_path / "a-b").read_bytes() == b""
