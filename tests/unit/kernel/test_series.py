# SPDX-License-Identifier: GPL-2.0-only
"""Build a series patch by patch, on a fake kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness.fake_kernel import PATCH, write_flavor, write_tarball

from lab.cache import Cache
from lab.errors import UserError
from lab.kernel.flavor import Flavor, load_flavor
from lab.kernel.from_source import WORK
from lab.kernel.series import build_each
from lab.workspace import Workspace

HEADER = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: Somebody <somebody@localhost>
Date: Tue, 24 Nov 2026 00:00:00 +0000
Subject: [PATCH] leave: Change the code

---
"""
BROKEN = PATCH.replace("code + 41", "code +")
NEXT = PATCH.replace("-\treturn code;", "-\treturn code + 41;").replace(
    "+\treturn code + 41;", "+\treturn code + 1;"
)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def flavor(root: Path, *patches: str) -> Flavor:
    tarball, digest = write_tarball(root)
    write_flavor(root, "base", source=f"source: {{tarball: {tarball}, sha256: {digest}}}\n")
    write_flavor(
        root,
        "own",
        source="base: base\n",
        fragments="CONFIG_OWN=y\n",
        patches={f"{number}.patch": HEADER + text for number, text in enumerate(patches)},
    )
    return load_flavor(Workspace(kernels=(root,)), "own")


def test_each_patch_is_built(tmp_path: Path, cache: Cache) -> None:
    steps = list(build_each(flavor(tmp_path, PATCH, NEXT), cache))
    assert [step.patch.name for step in steps] == ["0.patch", "1.patch"]
    assert all(step.granted == ("CONFIG_OWN",) for step in steps)
    assert [step.objects for step in steps] == [1, 1]
    assert not cache.path(WORK, "series-own").exists()


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ((PATCH, PATCH), "patch 1.patch does not apply with git am"),
        ((BROKEN, NEXT), "building after 0.patch failed"),
    ],
)
def test_the_first_patch_that_fails_is_named(
    tmp_path: Path, cache: Cache, patches: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UserError) as caught:
        list(build_each(flavor(tmp_path, *patches), cache))
    assert message in caught.value.message
    assert not cache.path(WORK, "series-own").exists()


def test_a_flavor_without_patches_has_no_series(tmp_path: Path, cache: Cache) -> None:
    with pytest.raises(UserError, match="has no patches on a base"):
        list(build_each(flavor(tmp_path), cache))
