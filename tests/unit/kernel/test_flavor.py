# SPDX-License-Identifier: GPL-2.0-only
"""Test flavors: valid kernel.yaml files, and the errors of invalid ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.config.problems import FileErrors
from lab.errors import UserError
from lab.kernel.flavor import (
    DebianSource,
    DebSource,
    GitSource,
    TarballSource,
    TreeSource,
    flavors,
    load_flavor,
)
from lab.workspace import Workspace

DIGEST = "0" * 64
MORE = "summary: m\nsource: {tree: t}\nmemory: 1024\n"


def write(root: Path, text: str, name: str = "mine") -> Path:
    folder = root / name
    folder.mkdir()
    (folder / "kernel.yaml").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{debian: linux-source-6.12}", DebianSource(debian="linux-source-6.12")),
        (f"{{tarball: x.tar, sha256: '{DIGEST}'}}", TarballSource(tarball="x.tar", sha256=DIGEST)),
        ("{git: /r, ref: main}", GitSource(git="/r", ref="main")),
        ("{tree: ~/linux}", TreeSource(tree="~/linux")),
        (
            "{deb: linux-image-6.12.*, modules: [veth]}",
            DebSource(deb="linux-image-6.12.*", modules=("veth",)),
        ),
    ],
)
def test_the_five_sources(tmp_path: Path, source: str, expected: object) -> None:
    folder = write(tmp_path, f"summary: s\nsource: {source}\n")
    assert load_flavor(Workspace(), folder).source == expected


def test_the_repository_ships_valid_flavors() -> None:
    shipped = flavors(Workspace.default())
    assert {"stock", "debian"} <= set(shipped)
    assert shipped["stock"].fragments
    assert not shipped["stock"].patches
    for flavor in shipped.values():
        assert "console=ttyS0" in flavor.boot_args
        assert "panic=-1" in flavor.boot_args


def test_a_base_gives_fragments_arguments_and_source(tmp_path: Path) -> None:
    base = write(
        tmp_path, "summary: b\nsource: {git: r, ref: x}\nboot_args: [a]\nmemory: 512\n", "base"
    )
    (base / "1.config").write_text("")
    (base / "patches").mkdir()
    (base / "patches" / "0.patch").write_text("")
    own = write(tmp_path, "summary: o\nbase: base\nboot_args: [b]\nmachine: microvm\n", "own")
    (own / "0.config").write_text("")
    (own / "patches").mkdir()
    (own / "patches" / "2.patch").write_text("")
    (own / "patches" / "1.patch").write_text("")
    flavor = load_flavor(Workspace(kernels=(tmp_path,)), "own")
    assert flavor.source == GitSource(git="r", ref="x")
    assert flavor.source_home == base
    assert flavor.fragments == (base / "1.config", own / "0.config")
    assert flavor.boot_args == ("a", "b")
    assert [path.name for path in flavor.patches] == ["1.patch", "2.patch"]
    assert [path.name for path in flavor.all_patches] == ["0.patch", "1.patch", "2.patch"]
    assert flavor.machine == "microvm"
    more = load_flavor(Workspace(kernels=(tmp_path,)), write(tmp_path, MORE, "more"))
    assert (flavor.memory, more.memory) == (512, 1024)


def test_an_unknown_flavor_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="no flavor 'stok'") as caught:
        load_flavor(Workspace.default(), "stok")
    assert caught.value.hint == "did you mean 'stock'?"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("source: {tree: t}\n", "1:1", "'summary' is missing"),
        ("summary: s\nsource: {tre: t}\n", "2:10", "'tre' is no kind of source"),
        ("summary: s\nsource: {tree: t}\nboot_arg: [a]\n", "3:1", "did you mean 'boot_args'?"),
        (
            "summary: s\nsource:\n  git: r\n  reff: x\n",
            "4:3",
            "did you mean 'ref'?",
        ),
        (f"summary: s\nsource:\n  tarball: t\n  sha256: {'g' * 64}\n", "4:11", "is not a SHA-256"),
        ("summary: s\nsource: {tree: t}\nmachine: pc\n", "3:10", "(known: q35, microvm)"),
        ("summary: s\nsource: {tree: t}\nmemory: 8\n", "3:9", "expected at least 64, not 8"),
        ("summary: s\nsource: {tree: t}\nboot_args: quiet\n", "3:12", "write [quiet]"),
        ("summary: s\nsource: {tree: t, deb: linux-image-x}\n", "2:19", "of one kind"),
    ],
)
def test_mistakes_are_told_with_their_place(
    tmp_path: Path, text: str, place: str, message: str
) -> None:
    folder = write(tmp_path, text)
    with pytest.raises(FileErrors) as caught:
        load_flavor(Workspace(), folder)
    problem = caught.value.problems[0]
    assert problem.file == f"{folder}/kernel.yaml"
    assert f"{problem.line}:{problem.column}" == place
    assert message in problem.message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    folder = write(tmp_path, "sumary: s\nsource: {tre: t}\nmachine: pc\n")
    with pytest.raises(FileErrors) as caught:
        load_flavor(Workspace(), folder)
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("summary: a\nsummary: b\n", r"kernel.yaml:2:1: the key 'summary' is here twice"),
        ("summary: [\n", "not YAML"),
        ("summary: s\n", "needs a source or a base"),
        ("summary: s\nbase: mine\n", "mine -> mine is a circle"),
        ("summary: s\nsource: {tree: t}\npatches: [no.patch]\n", r":3:11: no file 'no.patch'"),
        ("summary: s\nsource: {tree: t}\nfragments: [a.config]\n", "that the lab builds"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, text: str, message: str) -> None:
    folder = write(tmp_path, text)
    (folder / "a.config").write_text("")
    with pytest.raises(UserError, match=message):
        load_flavor(Workspace(kernels=(tmp_path,)), "mine")


def test_a_base_must_be_built_here(tmp_path: Path) -> None:
    write(tmp_path, "summary: s\nsource: {tree: t}\n", "theirs")
    write(tmp_path, "summary: s\nbase: theirs\n")
    with pytest.raises(UserError, match="theirs is not built from source"):
        load_flavor(Workspace(kernels=(tmp_path,)), "mine")
