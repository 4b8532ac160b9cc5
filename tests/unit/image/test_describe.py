# SPDX-License-Identifier: GPL-2.0-only
"""Errors in images' descriptions, word for word.

`tests/golden/image/NAME.yaml` has its errors in `NAME.txt`. UPDATE_GOLDEN=1 in the
environment rewrites the texts; read their diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.golden import check_text
from harness.paths import GOLDEN

from lab.config.reader import read
from lab.errors import UserError
from lab.image import describe
from lab.workspace import Workspace

IMAGE = GOLDEN / "image"
FILES = sorted(IMAGE.glob("*.yaml"))


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 10
    assert {path.stem for path in FILES} == {path.stem for path in IMAGE.glob("*.txt")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_errors_are_given_word_for_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(IMAGE)
    with pytest.raises(UserError) as caught:
        read(Path(path.name), describe.FORMAT)
    check_text(path.with_suffix(".txt"), f"{caught.value}\n")


def test_the_repository_ships_valid_descriptions() -> None:
    description, _ = describe.load(Workspace.default(), "minimal")
    modes = {file.to: file.mode for file in description.files}
    assert modes["/init"] == 0o755
    assert modes["/etc/passwd"] == 0o644
    assert next(each.mode for each in description.directories if each.path == "/tmp") == 0o1777
