# SPDX-License-Identifier: GPL-2.0-only
"""The catalog of a workspace, and a submission on top of the checkout: checked and built."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import UserError
from lab.extension import c
from lab.kernel.artifact import Kernel
from lab.runner import plan
from lab.runner.catalog import catalog_of
from lab.runner.plan import Planner
from lab.scenario.load import check_file, find_in, load_scenarios
from lab.workspace import CHECKOUT, Workspace

TYPES = """\
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
typedef unsigned char __u8; typedef unsigned short __u16; typedef unsigned int __u32;
typedef unsigned long long __u64; typedef int __s32; typedef long long __s64;
typedef __u8 u8; typedef __u16 u16; typedef __u32 u32; typedef __u64 u64;
typedef __s32 s32; typedef __s64 s64; typedef __u16 __be16; typedef __u32 __be32;
typedef __u32 __wsum; typedef _Bool bool;
enum bpf_map_type { BPF_MAP_TYPE_ARRAY = 2 };
struct pt_regs { unsigned long di, si, dx, cx, r8, r9, ax, sp, ip, bp, r10; };
#pragma clang attribute pop
"""
# It uses a header that the lab ships, and a name that the lab uses too.
SOURCE = """\
// SPDX-License-Identifier: GPL-2.0-only
#include "kext.h"

COUNTERS({map}, 1);

SEC("kprobe/__x64_sys_getpgid")
int {program}(void *context)
{{
	count(&{map}, 0, 1);
	return 0;
}}
"""
SCENARIO = """\
summary: The submission counts calls
extension: {{c: {name}}}
trigger: {{syscall: getpgid, times: 3}}
expect: {{outcome: returned, maps: {{{map}: {{0: 3}}}}}}
"""


def submission(folder: Path, name: str = "handed_in", map: str = "calls") -> Path:
    """Return a folder with a C extension and a scenario for it."""
    files = {
        f"extensions/c/{name}.bpf.c": SOURCE.format(map=map, program="on_call"),
        f"scenarios/course/{name.replace('_', '-')}.yaml": SCENARIO.format(name=name, map=map),
    }
    for file, text in files.items():
        (folder / file).parent.mkdir(parents=True)
        (folder / file).write_text(text)
    return folder


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """A kernel that is not there, with the few types that the sources need."""
    types = tmp_path / "types" / "vmlinux.h"
    types.parent.mkdir()
    types.write_text(TYPES)
    monkeypatch.setattr(c, "kernel_types", lambda *_: types)
    nowhere = tmp_path / "none"
    return Kernel("stock", "key", "6.12", nowhere, nowhere, nowhere, (), btf=nowhere)


def test_a_submission_is_checked_against_what_it_brings_and_what_is_below(tmp_path: Path) -> None:
    workspace = Workspace.default().overlay(submission(tmp_path))
    catalog = catalog_of(workspace)
    assert catalog.c["handed_in"].programs == ("on_call",)
    # The map's macro is in a header of the checkout.
    assert catalog.c["handed_in"].maps == ("calls",)
    below = catalog_of(Workspace.default())
    assert {**catalog.c, "handed_in": None} == {**below.c, "handed_in": None}
    assert (catalog.flavors, catalog.rust) == (below.flavors, below.rust)
    (file,) = (tmp_path / "scenarios").rglob("*.yaml")
    assert check_file(file, catalog) == []
    assert "no C extension 'handed_in'" in check_file(file, below)[0].message


def test_a_submission_is_built_from_its_own_folder(tmp_path: Path, kernel: Kernel) -> None:
    workspace = Workspace.default().overlay(submission(tmp_path / "mine"))
    planner = Planner(workspace, Cache(tmp_path / "cache"))
    (file,) = (tmp_path / "mine" / "scenarios").rglob("*.yaml")
    (scenario,) = load_scenarios(file, catalog_of(workspace))
    built = planner._artifact(scenario, "main", kernel).path
    assert built is not None
    data = built.read_bytes()
    assert b"on_call" in data
    # Lines that the verifier quotes don't tell where the folders are.
    for place in (tmp_path, CHECKOUT):
        assert f"{place}/".encode() not in data


def test_an_error_names_the_file_that_was_handed_in(tmp_path: Path, kernel: Kernel) -> None:
    workspace = Workspace.default().overlay(submission(tmp_path / "mine"))
    source = workspace.find("c", "handed_in")
    source.write_text(source.read_text().replace("count(&calls, 0, 1)", "count(&calls, 0, one)"))
    with pytest.raises(c.CompileRejected, match=f"{source}:9:.* undeclared identifier 'one'"):
        c.build_c(workspace, "handed_in", kernel, Cache(tmp_path / "cache"))


def test_what_is_below_does_not_change_with_what_is_on_top(tmp_path: Path, kernel: Kernel) -> None:
    """The overlay has a header of the same name, and the same cache holds both results."""
    base, cache = Workspace.at(submission(tmp_path / "below")), Cache(tmp_path / "cache")
    (below,) = base.c
    (below / "kext.h").write_text((CHECKOUT / "extensions/c/kext.h").read_text())
    top = submission(tmp_path / "above", "other")
    (top / "extensions/c/kext.h").write_text("#error not this one\n")
    first = c.build_c(base, "handed_in", kernel, cache)
    assert c.build_c(base.overlay(top), "handed_in", kernel, cache) == first


def test_another_header_below_is_another_object(tmp_path: Path, kernel: Kernel) -> None:
    top, cache = submission(tmp_path / "above"), Cache(tmp_path / "cache")
    text = (CHECKOUT / "extensions/c/kext.h").read_text()
    built = []
    for number in (2, 3):
        base = Workspace.at(tmp_path / f"below{number}")
        base.c[0].mkdir(parents=True)
        (base.c[0] / "kext.h").write_text(f"{text}\nint extra_{number};\n")
        built.append(c.build_c(base.overlay(top), "handed_in", kernel, cache).path.read_bytes())
    assert b"extra_2" in built[0]
    assert b"extra_3" in built[1]


def test_a_planner_does_not_share_what_has_the_same_name(tmp_path: Path, kernel: Kernel) -> None:
    """Not even if it is given another workspace: a name in it is another source."""
    first, second = (
        Workspace.default().overlay(submission(tmp_path / name, map=name)) for name in ("a", "b")
    )
    planner = Planner(first, Cache(tmp_path / "cache"))
    (file,) = (tmp_path / "a" / "scenarios").rglob("*.yaml")
    (scenario,) = load_scenarios(file)
    built = {}
    for name, workspace in (("a", first), ("b", second), ("again", first)):
        planner.workspace = workspace
        built[name] = planner._artifact(scenario, "main", kernel)
    assert built["again"] == built["a"] != built["b"]


def test_a_planner_does_not_share_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither those that it has, nor the errors of those that it can't have."""
    monkeypatch.setattr(plan, "build_kernel", lambda flavor, *_: flavor.folder)
    for name in ("a", "b"):
        made = tmp_path / name / "kconfigs" / "mine"
        made.mkdir(parents=True)
        (made / "kernel.yaml").write_text("summary: s\nbase: stock\n")
    first, second = (Workspace.default().overlay(tmp_path / name) for name in ("a", "b"))
    planner = Planner(Workspace.default(), Cache(tmp_path / "cache"))
    with pytest.raises(UserError, match="no flavor 'mine'"):
        planner.kernel("mine")
    for workspace in (first, second):
        planner.workspace = workspace
        assert not planner.has("mine")
        folder: object = planner.kernel("mine")
        assert folder == workspace.find("kernel", "mine")
        assert planner.has("mine")


def test_a_planner_does_not_share_images(
    tmp_path: Path, kernel: Kernel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither those of two workspaces nor those of two names."""
    asked = []
    monkeypatch.setattr(plan, "build_loader", lambda *_: None)
    monkeypatch.setattr(
        plan, "build_image", lambda workspace, name, *_, **__: asked.append((workspace, name))
    )
    first, second = Workspace.at(tmp_path / "a"), Workspace.at(tmp_path / "b")
    planner = Planner(first, Cache(tmp_path / "cache"))
    planner.image(kernel)
    planner.image(kernel)
    planner.image(kernel, "other")
    planner.workspace = second
    planner.image(kernel)
    assert asked == [(first, "minimal"), (first, "other"), (second, "minimal")]


def test_a_flavor_of_a_submission_is_one_of_its_workspace_only(tmp_path: Path) -> None:
    flavor = tmp_path / "kconfigs/mine/kernel.yaml"
    flavor.parent.mkdir(parents=True)
    flavor.write_text("summary: Theirs\nbase: stock\n")
    catalog = catalog_of(Workspace.default().overlay(tmp_path))
    assert "mine" in catalog.flavors
    assert "mine" not in catalog_of(Workspace.default()).flavors


def test_all_scenarios_of_a_workspace_the_first_of_a_name_only(tmp_path: Path) -> None:
    files = ["a/scenarios/x/one.yaml", "b/scenarios/x/one.yaml", "b/scenarios/x/two.yaml"]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    workspace = Workspace.at(tmp_path / "b").overlay(tmp_path / "a")
    found = [str(file.relative_to(tmp_path)) for file in find_in(workspace.scenarios)]
    assert found == ["a/scenarios/x/one.yaml", "b/scenarios/x/two.yaml"]
