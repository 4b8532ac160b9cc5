# SPDX-License-Identifier: GPL-2.0-only
"""A file is replaced as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.atomic import atomic_write, check_writable


@pytest.mark.parametrize(("data", "content"), [("ü\n", b"\xc3\xbc\n"), (b"\x00\xff", b"\x00\xff")])
def test_text_and_bytes_are_written(tmp_path: Path, data: str | bytes, content: bytes) -> None:
    path = tmp_path / "new" / "folder" / "file"
    atomic_write(path, data)
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_an_open_file_keeps_its_old_content(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        atomic_write(path, "new")
        assert reader.read() == "old"
    assert path.read_text() == "new"


def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def full(aside: Path, data: bytes) -> int:
        with aside.open("wb") as stream:
            stream.write(data[:1])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_whether_a_file_can_be_written_is_known_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    check_writable(path)
    check_writable(tmp_path / "other")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OSError, match="No such file"):
        check_writable(tmp_path / "nowhere" / "file")
    with pytest.raises(OSError, match="directory"):
        check_writable(tmp_path)
