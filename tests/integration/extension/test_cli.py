# SPDX-License-Identifier: GPL-2.0-only
"""`lab extension`: what a student types between two edits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.extension.rust import rules
from lab.workspace import CHECKOUT

pytestmark = pytest.mark.integration


class Checkout:
    """A checkout that has no extension in Rust yet."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.rust = root / "extensions/rust"
        self.rust.mkdir(parents=True)
        (root / "extensions/rex").symlink_to(CHECKOUT / "extensions" / "rex")

    def call(self, *words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "lab", "extension", *words],
            env={**os.environ, "LAB_REPO": str(self.root)},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_new_makes_one_that_builds(checkout: Checkout) -> None:
    status, said, _ = checkout.call("new", "mine")
    assert (status, said.strip()) == (0, str(checkout.rust / "mine/src/lib.rs"))
    assert rules.features_of(checkout.rust / "mine") == ()
    _, said, _ = checkout.call("build", "mine")
    assert "program count: kprobe/__x64_sys_getpgid" in said
    assert "map counts" in said
    assert "rust   mine" in checkout.call("list")[1]


@pytest.mark.parametrize("name", ["Mine", "a-b", "../a", "", "1a", "a" * 60])
def test_a_name_that_is_none_is_refused(checkout: Checkout, name: str) -> None:
    status, _, said = checkout.call("new", name)
    assert status == 2
    assert "not a valid extension name" in said
    assert list(checkout.rust.iterdir()) == []


def test_nothing_is_written_over(checkout: Checkout) -> None:
    checkout.call("new", "mine")
    status, _, said = checkout.call("new", "mine")
    assert status == 2
    assert "already" in said


def test_an_error_is_told_with_its_place(checkout: Checkout) -> None:
    checkout.call("new", "mine")
    source = checkout.rust / "mine/src/lib.rs"
    source.write_text(source.read_text().replace("COUNTS.at(0)", "COUNTS.at()"))
    status, _, said = checkout.call("build", "mine")
    assert status == 2
    line = source.read_text().splitlines().index("    COUNTS.at().unwrap().fetch_add(1, Relaxed);")
    assert f"extension mine does not compile: src/lib.rs:{line + 1}:12: this method" in said


def test_one_that_is_not_there_is_named(checkout: Checkout) -> None:
    assert "no extension nothing" in checkout.call("build", "nothing")[2]
