# SPDX-License-Identifier: GPL-2.0-only
"""Entries of the cache are found by all files that were read for them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import inputs
from lab.cache import Cache
from lab.errors import UserError
from lab.inputs import Inputs

Get = Callable[[], str]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "a").write_text("one")
    (folder / "b").write_text("two")
    return folder


class Builder:
    """Makes an entry from the files `a` and `b`, and counts the builds."""

    def __init__(self, cache: Cache, base: Path) -> None:
        self.cache, self.base = cache, base
        self.environment: dict[str, str] = {}
        self.complete = True
        self.built = 0

    def get(self) -> str:
        entry = inputs.get(
            self.cache, "kind", "direct", self._build, base=self.base, what="it",
            environment=self.environment,
        )  # fmt: skip
        return (entry / "out").read_text()

    def _build(self, aside: Path) -> Inputs:
        self.built += 1
        texts = [(self.base / name).read_text() for name in ("a", "b")]
        first = self.base / "first"
        texts.append(first.read_text() if first.exists() else self.environment.get("V", "-"))
        (aside / "out").write_text(" ".join(texts))
        files = {"a", str(self.base / "b"), *(["first"] if first.exists() else [])}
        absent = frozenset() if first.exists() else frozenset({"first"})
        variables = {"V": self.environment.get("V")}
        return Inputs(frozenset(files), absent, variables, self.complete)


@pytest.fixture
def builder(tmp_path: Path, base: Path) -> Builder:
    return Builder(Cache(tmp_path / "cache"), base)


def test_all_that_was_read_decides(builder: Builder, base: Path) -> None:
    assert [builder.get(), builder.get(), builder.built] == ["one two -", "one two -", 1]
    (base / "a").write_text("ONE")
    assert [builder.get(), builder.built] == ["ONE two -", 2]
    (base / "b").write_text("TWO")
    assert [builder.get(), builder.built] == ["ONE TWO -", 3]
    (base / "first").write_text("first")
    assert [builder.get(), builder.built] == ["ONE TWO first", 4]
    builder.environment["V"] = "v"
    (base / "first").unlink()
    assert [builder.get(), builder.built] == ["ONE TWO v", 5]


def test_what_was_made_before_is_found_again(builder: Builder, base: Path) -> None:
    builder.get()
    for text in ("other", "one", "other", "one"):
        (base / "a").write_text(text)
        assert builder.get() == f"{text} two -"
    assert builder.built == 2


def test_another_folder_with_the_same_files_is_the_same(
    builder: Builder, base: Path, tmp_path: Path
) -> None:
    builder.get()
    builder.base = base.rename(tmp_path / "moved")
    assert [builder.get(), builder.built] == ["one two -", 1]


def test_a_change_that_keeps_size_and_time_is_seen(builder: Builder, base: Path) -> None:
    before = (base / "a").stat()
    builder.get()
    (base / "a").write_text("eno")
    os.utime(base / "a", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert builder.get() == "eno two -"


def test_a_new_time_alone_changes_nothing(builder: Builder, base: Path) -> None:
    builder.get()
    os.utime(base / "a", ns=(1, 1))
    assert [builder.get(), builder.built] == ["one two -", 1]


def test_an_old_file_is_not_read_again(builder: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    later = time.time_ns() + 60 * 10**9
    monkeypatch.setattr(time, "time_ns", lambda: later)
    builder.get()
    monkeypatch.setattr(inputs, "file_digest", lambda path: pytest.fail(f"{path} was read"))
    assert [builder.get(), builder.built] == ["one two -", 1]


def test_an_entry_that_was_removed_is_made_again(builder: Builder) -> None:
    builder.get()
    (entry,) = (builder.cache.root / "kind").glob("[!.]*")
    builder.cache.remove("kind", entry.name)
    assert [builder.get(), builder.built] == ["one two -", 2]


def test_what_nobody_can_tell_is_made_each_time(builder: Builder) -> None:
    builder.complete = False
    assert [builder.get(), builder.get(), builder.built] == ["one two -", "one two -", 2]


def test_a_file_that_changes_under_way_is_told(builder: Builder, base: Path) -> None:
    build = builder._build

    def slow(aside: Path) -> Inputs:
        made = build(aside)
        start = time.time_ns()
        while (base / "a").stat().st_ctime_ns < start:
            (base / "a").write_text("late")
        return made

    builder._build = slow  # type: ignore[method-assign]
    with pytest.raises(UserError, match="was changed while it was compiled"):
        builder.get()
    builder._build = build  # type: ignore[method-assign]
    assert builder.get() == "late two -"
