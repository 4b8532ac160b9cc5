# SPDX-License-Identifier: GPL-2.0-only
"""Compare the errors of bad files, word for word.

`tests/golden/scenario/NAME.yaml` has its errors in `NAME.txt`. With
UPDATE_GOLDEN=1 in the environment, the test rewrites the texts; review their diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.golden import check_text
from harness.paths import GOLDEN

from lab.scenario.catalog import Catalog, Source
from lab.scenario.load import check_file

SCENARIO = GOLDEN / "scenario"
FILES = sorted(SCENARIO.glob("*.yaml"))
CATALOG = Catalog(
    flavors=("stock", "debian"),
    c={
        "count_getpid": Source(
            ("count", "other"),
            ("counts", "events"),
            {"count": "kprobe/f", "other": "tracepoint/syscalls/sys_enter_getpid"},
        ),
        "count_packets": Source(("packets",), ("counts",), {"packets": "xdp"}),
        "loop_nested": Source(("loop",), ()),
    },
    modules=("leak", "oops"),
    rust={
        "hello": Source(
            ("hello", "lost", "filter"),
            ("counts",),
            {"hello": "kprobe/f", "lost": "kprobe", "filter": "xdp"},
            "attribute",
        ),
    },
    syscalls=("getpid", "getppid", "openat"),
)


def test_the_corpus_is_there() -> None:
    assert len(FILES) >= 25
    assert {path.stem for path in FILES} == {path.stem for path in SCENARIO.glob("*.txt")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_errors_are_said_word_for_word(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(SCENARIO)
    problems = check_file(Path(path.name), CATALOG)
    said = "".join(f"{problem}\n" for problem in problems)
    assert said, "nothing is wrong with a file that is here because something is"
    check_text(path.with_suffix(".txt"), said)
