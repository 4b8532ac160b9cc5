# SPDX-License-Identifier: GPL-2.0-only
"""Errors in flavors' files, word for word.

`tests/golden/flavor/NAME.yaml` has its errors in `NAME.txt`; `bases/` has the flavors
that they name. UPDATE_GOLDEN=1 in the environment rewrites the texts; read their diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.golden import check_text
from harness.paths import GOLDEN

from lab.errors import UserError
from lab.kernel.flavor import load_flavor
from lab.workspace import Workspace

FLAVOR = GOLDEN / "flavor"
FILES = sorted(FLAVOR.glob("*.yaml"))


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 20
    assert {path.stem for path in FILES} == {path.stem for path in FLAVOR.glob("*.txt")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_errors_are_given_word_for_word(path: Path) -> None:
    with pytest.raises(UserError) as caught:
        load_flavor(Workspace(kernels=(FLAVOR / "bases",)), path)
    text = str(caught.value).replace(f"{FLAVOR}/", "").replace(str(FLAVOR), "FOLDER")
    check_text(path.with_suffix(".txt"), f"{text}\n")
