# SPDX-License-Identifier: GPL-2.0-only
"""Build a fake kernel from source: stages, errors, kills, two builds at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from harness.fake_kernel import PATCH, exit_status, write_flavor, write_source, write_tarball

from lab.cache import Cache
from lab.errors import UserError
from lab.events import Event, Notice, StageFinished, StageProgress, StageStarted
from lab.kernel.build import build_kernel, find_kernel, make_plan, remove_kernel
from lab.kernel.flavor import load_flavor
from lab.kernel.from_source import WORK, relocate
from lab.workspace import Workspace

STAGES = ["fetch", "unpack", "patch", "configure", "compile", "link", "pack"]

# This process builds a flavor and prints events. It kills itself at the event in its arguments
# (`stage` or `stage:done`).
CHILD = """
import json, os, signal, sys
from pathlib import Path
from lab.cache import Cache
from lab.events import Notice, StageProgress, StageStarted, as_json
from lab.kernel.build import build_kernel
from lab.kernel.flavor import load_flavor
from lab.workspace import Workspace

flavor, cache, kill_at = sys.argv[1:]

def emit(event):
    print(as_json(event), flush=True)
    at = None
    if isinstance(event, StageStarted):
        at = event.stage
    elif isinstance(event, StageProgress):
        at = f"{event.stage}:{event.done}"
    if at == kill_at:
        os.kill(os.getpid(), signal.SIGKILL)

build_kernel(load_flavor(Workspace(), Path(flavor)), Cache(Path(cache)), emit, 1)
"""


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def child(
    flavor: Path, cache: Cache, kill_at: str = "", gate: Path | None = None
) -> subprocess.Popen[str]:
    env = {**os.environ, "GATE": str(gate)} if gate else {**os.environ}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(flavor), str(cache.root), kill_at],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=env,
    )


def test_the_stages_are_told_in_order_and_the_count_is_exact(tmp_path: Path, cache: Cache) -> None:
    seen: list[Event] = []
    flavor = load_flavor(Workspace(), write_flavor(tmp_path))
    kernel = build_kernel(flavor, cache, seen.append)

    assert [event.stage for event in seen if isinstance(event, StageStarted)] == STAGES
    assert [event.stage for event in seen if isinstance(event, StageFinished)] == STAGES
    progress = [event for event in seen if isinstance(event, StageProgress)]
    assert [(event.done, event.total) for event in progress] == [(1, 3), (2, 3), (3, 3)]
    assert {event.note for event in progress} == {"init/main.o", "kernel/fork.o", "kernel/exit.o"}
    assert kernel.release == "6.99.0-fake"
    assert kernel.vmlinux is not None
    assert kernel.vmlinux.is_file()
    assert kernel.bzimage.is_file()
    assert kernel.has("CONFIG_VETH")
    assert not kernel.has("CONFIG_LOOP")


def test_the_second_build_does_nothing(tmp_path: Path, cache: Cache) -> None:
    flavor = load_flavor(Workspace(), write_flavor(tmp_path))
    assert find_kernel(flavor, cache) is None
    first = build_kernel(flavor, cache)
    seen: list[Event] = []
    assert build_kernel(flavor, cache, seen.append) == first == find_kernel(flavor, cache)
    assert seen == []


def test_each_input_is_part_of_the_key(tmp_path: Path, cache: Cache) -> None:
    folder = write_flavor(tmp_path)
    keys = [make_plan(load_flavor(Workspace(), folder), cache).key]
    (folder / "10-all.config").write_text("CONFIG_NET=y\n")
    keys.append(make_plan(load_flavor(Workspace(), folder), cache).key)
    (folder / "patches").mkdir()
    (folder / "patches" / "1.patch").write_text(PATCH)
    keys.append(make_plan(load_flavor(Workspace(), folder), cache).key)
    other, digest = write_tarball(tmp_path / "other", "another")
    text = f"summary: a fake\nsource: {{tarball: {other}, sha256: {digest}}}\n"
    (folder / "kernel.yaml").write_text(text)
    keys.append(make_plan(load_flavor(Workspace(), folder), cache).key)
    assert len(set(keys)) == len(keys)
    # Settings of the boot alone do not change the key.
    (folder / "kernel.yaml").write_text(text + "boot_args: [quiet]\n")
    assert make_plan(load_flavor(Workspace(), folder), cache).key == keys[-1]


def test_boot_arguments_change_without_a_build(tmp_path: Path, cache: Cache) -> None:
    folder = write_flavor(tmp_path)
    build_kernel(load_flavor(Workspace(), folder), cache)
    file = folder / "kernel.yaml"
    file.write_text(file.read_text() + "boot_args: [quiet]\n")
    found = find_kernel(load_flavor(Workspace(), folder), cache)
    assert found is not None
    assert found.boot_args == ("quiet",)


def test_a_patch_changes_the_kernel(tmp_path: Path, cache: Cache) -> None:
    plain = build_kernel(load_flavor(Workspace(), write_flavor(tmp_path, "plain")), cache)
    patched = build_kernel(
        load_flavor(Workspace(), write_flavor(tmp_path, "patched", patches={"1.patch": PATCH})),
        cache,
    )
    assert plain.vmlinux is not None
    assert patched.vmlinux is not None
    assert b"0x29" in exit_status(patched.vmlinux)
    assert exit_status(plain.vmlinux) != exit_status(patched.vmlinux)


def test_a_derived_flavor_compiles_only_what_it_changes(tmp_path: Path, cache: Cache) -> None:
    write_flavor(tmp_path, "stock")
    write_flavor(tmp_path, "rex", source="base: stock\n", fragments="", patches={"1.patch": PATCH})
    flavor = load_flavor(Workspace(kernels=(tmp_path,)), "rex")
    build_kernel(load_flavor(Workspace(kernels=(tmp_path,)), "stock"), cache)
    seen: list[Event] = []
    kernel = build_kernel(flavor, cache, seen.append)
    notes = [event.note for event in seen if isinstance(event, StageProgress)]
    assert notes == ["kernel/exit.o"]
    assert kernel.vmlinux is not None
    assert b"0x29" in exit_status(kernel.vmlinux)
    assert kernel.release == "6.99.0-rex"


def test_a_copied_tree_does_not_know_where_it_was(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    noted = copy / "tools" / "objtool" / ".elf.o.cmd"
    other = copy / "tools" / "objtool" / "elf.c"
    noted.parent.mkdir(parents=True)
    for path in (noted, other):
        path.write_text("gcc -o /old/place/tools/objtool/elf.o\n/old/place/x:")
        os.utime(path, ns=(1, 5))
    relocate(copy, Path("/old/place"), Path("/new"))
    assert noted.read_text() == "gcc -o /new/tools/objtool/elf.o\n/new/x:"
    assert "/old/place" in other.read_text()
    assert noted.stat().st_mtime_ns == 5  # else make builds the tool, and all that needs it


def test_a_derived_flavor_builds_its_base_first_and_does_without_its_work_folder(
    tmp_path: Path, cache: Cache
) -> None:
    write_flavor(tmp_path, "stock")
    write_flavor(tmp_path, "rex", source="base: stock\n", patches={"1.patch": PATCH})
    flavor = load_flavor(Workspace(kernels=(tmp_path,)), "rex")
    first = build_kernel(flavor, cache)
    base = find_kernel(load_flavor(Workspace(kernels=(tmp_path,)), "stock"), cache)
    assert base is not None
    remove_kernel(flavor, cache)
    cache.remove(WORK, base.key)
    again = build_kernel(flavor, cache)
    assert first.vmlinux is not None
    assert again.vmlinux is not None
    assert b"0x29" in exit_status(again.vmlinux)


def test_a_missing_symbol_names_fragment_and_dependency(tmp_path: Path, cache: Cache) -> None:
    folder = write_flavor(tmp_path, fragments="# pairs\nCONFIG_VETH=y  # packets\n")
    with pytest.raises(UserError) as caught:
        build_kernel(load_flavor(Workspace(), folder), cache)
    text = str(caught.value)
    assert f"{folder}/10-all.config:2: CONFIG_VETH=y became n" in text
    assert "drivers/Kconfig:2: unmet dependency: CONFIG_NET" in text
    assert "CONFIG_VETH" in caught.value.message
    assert find_kernel(load_flavor(Workspace(), folder), cache) is None
    # Once fixed, it builds.
    (folder / "10-all.config").write_text("CONFIG_NET=y\nCONFIG_VETH=y\n")
    build_kernel(load_flavor(Workspace(), folder), cache)


def test_a_patch_that_does_not_fit_is_named_with_its_hunk(tmp_path: Path, cache: Cache) -> None:
    bad = PATCH.replace("return code;", "return something_else;")
    folder = write_flavor(tmp_path, patches={"1.patch": PATCH, "2-bad.patch": bad})
    with pytest.raises(
        UserError, match=r"patch 2-bad.patch does not apply, hunk #1 of kernel/exit"
    ):
        build_kernel(load_flavor(Workspace(), folder), cache)
    # The half-patched tree is not used again.
    (folder / "patches" / "2-bad.patch").unlink()
    kernel = build_kernel(load_flavor(Workspace(), folder), cache)
    assert kernel.vmlinux is not None
    assert b"0x29" in exit_status(kernel.vmlinux)


def test_a_failed_compile_shows_the_compilers_error_only(tmp_path: Path, cache: Cache) -> None:
    broken = PATCH.replace("return code + 41;", "return missing;")
    folder = write_flavor(tmp_path, patches={"1.patch": broken})
    with pytest.raises(UserError) as caught:
        build_kernel(load_flavor(Workspace(), folder), cache)
    assert "building kernel fake failed" in caught.value.message
    lines = caught.value.details.splitlines()
    assert "kernel/exit.c:3:" in lines[0]
    assert "error: " in lines[0]
    assert "missing" in lines[0]
    assert "return missing" in caught.value.details
    assert not any("***" in line or "CC " in line for line in lines)
    assert "build.log" in caught.value.hint


@pytest.mark.parametrize("kill_at", [*STAGES, "compile:1", "compile:2", "compile:3"])
def test_a_build_that_was_killed_is_taken_up(tmp_path: Path, cache: Cache, kill_at: str) -> None:
    folder = write_flavor(tmp_path, patches={"1.patch": PATCH})
    killed = child(folder, cache, kill_at)
    _, errors = killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL, errors
    flavor = load_flavor(Workspace(), folder)
    assert find_kernel(flavor, cache) is None

    kernel = build_kernel(flavor, cache)
    whole = build_kernel(flavor, Cache(tmp_path / "other"))
    assert kernel.vmlinux is not None
    assert whole.vmlinux is not None
    assert kernel.vmlinux.read_bytes() == whole.vmlinux.read_bytes()
    assert kernel.config.read_text() == whole.config.read_text()
    names = {path.name for path in kernel.boot.parent.iterdir()}
    assert names == {path.name for path in whole.boot.parent.iterdir()}


def test_a_build_that_was_killed_does_not_compile_again_what_is_done(
    tmp_path: Path, cache: Cache
) -> None:
    folder = write_flavor(tmp_path)
    child(folder, cache, "link").communicate(timeout=60)
    seen: list[Event] = []
    build_kernel(load_flavor(Workspace(), folder), cache, seen.append)
    assert not [event for event in seen if isinstance(event, StageProgress)]
    stages = [event.stage for event in seen if isinstance(event, StageStarted)]
    assert stages[:2] == ["configure", "compile"]


def test_compilers_that_outlive_a_killed_lab_are_waited_for(tmp_path: Path, cache: Cache) -> None:
    folder = write_flavor(tmp_path)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = child(folder, cache, gate=gate)
    with gate.open("w"):  # opened when a compiler reads it: it is in the middle
        gate.unlink()
        first.kill()
        first.communicate(timeout=60)
        second = child(folder, cache)
        assert second.stdout is not None
        for line in second.stdout:  # it gets as far as make, and no further
            if json.loads(line).get("stage") == "configure":
                break
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(0.3)
    _, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors


def test_two_builds_at_once_one_waits_and_says_for_whom(tmp_path: Path, cache: Cache) -> None:
    folder = write_flavor(tmp_path)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    first = child(folder, cache, gate=gate)
    with gate.open("w"):  # opened when a compiler reads it: the first is in the middle
        gate.unlink()
        second = child(folder, cache)
        assert second.stdout is not None
        told = json.loads(second.stdout.readline())
    assert first.wait(60) == 0
    rest, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    assert told["event"] == Notice.__name__
    assert "kernel fake: waiting for process" in told["text"]
    assert str(first.pid) in told["text"]
    assert rest == ""  # and finds it built


def test_what_was_removed_is_gone(tmp_path: Path, cache: Cache) -> None:
    flavor = load_flavor(Workspace(), write_flavor(tmp_path))
    build_kernel(flavor, cache)
    assert remove_kernel(flavor, cache)
    assert find_kernel(flavor, cache) is None
    assert not remove_kernel(flavor, cache)
    assert not list((cache.root / WORK).glob("[0-9a-f]*"))


def test_only_the_last_finished_work_folder_of_a_flavor_is_kept(
    tmp_path: Path, cache: Cache
) -> None:
    folder = write_flavor(tmp_path)
    other = build_kernel(load_flavor(Workspace(), write_flavor(tmp_path, "other")), cache).key
    first = build_kernel(load_flavor(Workspace(), folder), cache).key
    (folder / "10-all.config").write_text("CONFIG_NET=y\n# and nothing more\n")
    killed = child(folder, cache, "compile:2")
    killed.communicate(timeout=60)
    unfinished = make_plan(load_flavor(Workspace(), folder), cache).key
    (folder / "10-all.config").write_text("CONFIG_NET=y\n")
    last = build_kernel(load_flavor(Workspace(), folder), cache).key
    kept = {path.name for path in (cache.root / WORK).glob("[0-9a-f]*")}
    assert kept == {other, unfinished, last}
    assert cache.find("kernel", first)  # the kernel itself may be in use


def test_a_tree_of_its_owner_is_taken_as_it_is(tmp_path: Path, cache: Cache) -> None:
    tree = write_source(tmp_path / "tree")
    folder = write_flavor(tmp_path, source="source: {tree: ../tree}\n", fragments="")
    with pytest.raises(UserError, match=r"no arch/x86/boot/bzImage, no vmlinux, no \.config"):
        build_kernel(load_flavor(Workspace(), folder), cache)
    (tree / ".config").write_text("CONFIG_PVH=y\n")
    subprocess.run(["make", "-s", "CC=gcc", "vmlinux", "bzImage"], cwd=tree, check=True)
    kernel = build_kernel(load_flavor(Workspace(), folder), cache)
    assert kernel.release == "6.99.0-header"
    assert kernel.vmlinux == tree / "vmlinux"
    assert kernel.boot.name == "vmlinux.boot"
    # If its owner builds it again, it is another kernel.
    os.utime(tree / "vmlinux", ns=(1, 1))
    assert find_kernel(load_flavor(Workspace(), folder), cache) is None
