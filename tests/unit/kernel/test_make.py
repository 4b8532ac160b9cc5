# SPDX-License-Identifier: GPL-2.0-only
"""Follow make: count objects, find errors, drop half-written files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.errors import InfraError, UserError
from lab.kernel.make import Follower, Make, drop_torn

GCC = """\
  HOSTCC  scripts/kallsyms
  CC      init/main.o
  CC [M]  drivers/net/veth.o
  AS      arch/x86/lib/copy_user_64.o
kernel/fork.c: In function 'copy_process':
kernel/fork.c:2140:9: error: 'budget' undeclared (first use in this function)
 2140 |         budget = 1;
      |         ^~~~~~
kernel/fork.c:2140:9: note: each undeclared identifier is reported only once
make[3]: *** [scripts/Makefile.build:229: kernel/fork.o] Error 1
  CC      kernel/exit.o
make[2]: *** [scripts/Makefile.build:478: kernel] Error 2
make: *** [Makefile:236: __sub-make] Error 2
"""


def follow(output: str) -> tuple[Follower, list[tuple[int, str]], list[str]]:
    objects: list[tuple[int, str]] = []
    links: list[str] = []
    follower = Follower(lambda done, name: objects.append((done, name)), lambda: links.append("l"))
    for line in output.splitlines():
        follower.line(line)
    return follower, objects, links


def test_objects_are_counted() -> None:
    _, objects, links = follow(GCC)
    assert objects == [
        (1, "init/main.o"),
        (2, "drivers/net/veth.o"),
        (3, "arch/x86/lib/copy_user_64.o"),
        (4, "kernel/exit.o"),
    ]
    assert links == []


def test_only_the_compilers_error_is_shown() -> None:
    follower, _, _ = follow(GCC)
    assert follower.report().splitlines() == [
        "kernel/fork.c:2140:9: error: 'budget' undeclared (first use in this function)",
        " 2140 |         budget = 1;",
        "      |         ^~~~~~",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "init/main.c:3:10: fatal error: rex.h: No such file or directory",
        "arch/x86/entry/entry_64.S:12: Error: no such instruction: `movx'",
        "ld: vmlinux.o: in function `start_kernel':",
        "main.c:(.init.text+0x4): undefined reference to `rex_init'",
        'ERROR: modpost: "rex_call" [drivers/rex.ko] undefined!',
        "BTF: .tmp_vmlinux.btf: error: pahole (pahole) is not available",
        "vmlinux.o: error: objtool: rex+0x4: undefined stack state",
    ],
)
def test_other_tools_errors_are_known(line: str) -> None:
    follower, _, _ = follow(f"  CC      a.o\n{line}\nmake: *** [Makefile:1: x] Error 2\n")
    assert follower.report() == line


def test_an_unknown_failure_shows_the_last_lines_without_makes_own() -> None:
    output = "".join(f"line {n}\n" for n in range(100)) + "make: *** [Makefile:1: x] Error 2\n"
    lines = follow(output)[0].report().splitlines()
    assert lines[-1] == "line 99"
    assert len(lines) < 20


def test_a_flood_of_errors_is_cut() -> None:
    flood = "".join(f"a.c:{n}:1: error: no\n" for n in range(1000))
    assert len(follow(flood)[0].report().splitlines()) <= 40


def test_linking_begins_once_and_its_objects_are_not_counted() -> None:
    output = "  CC      a.o\n  LD      vmlinux.o\n  CC      b.o\n  LD      vmlinux\n"
    _, objects, links = follow(output)
    assert objects == [(1, "a.o")]
    assert links == ["l"]


def make_in(folder: Path, makefile: str) -> Make:
    tree = folder / "tree"
    tree.mkdir()
    (tree / "Makefile").write_text(makefile)
    return Make(tree, folder / "log", "-x", 1)


def test_a_full_disk_is_not_the_users_mistake(tmp_path: Path) -> None:
    make = make_in(tmp_path, "all:\n\t@echo 'a.c:1:1: error: No space left on device'; exit 1\n")
    with pytest.raises(InfraError, match="the disk is full"):
        make.run("all", what="building")


def test_a_failed_make_is_the_users_and_has_a_log(tmp_path: Path) -> None:
    make = make_in(tmp_path, "all:\n\t@echo 'a.c:1:1: error: no'; exit 1\n")
    with pytest.raises(UserError, match="building failed") as caught:
        make.run("all", what="building")
    assert caught.value.details == "a.c:1:1: error: no"
    assert "Error 1" in make.log.read_text()


def test_targets_that_are_younger_than_their_command_file_are_dropped(tmp_path: Path) -> None:
    folder = tmp_path / "kernel"
    folder.mkdir()
    for name, target, command in (("whole.o", 10, 11), ("same.o", 10, 10), ("torn.o", 12, 11)):
        (folder / name).touch()
        (folder / f".{name}.cmd").touch()
        os.utime(folder / name, ns=(target, target))
        os.utime(folder / f".{name}.cmd", ns=(command, command))
    (folder / ".gone.o.cmd").touch()
    assert drop_torn(tmp_path) == 1
    assert sorted(path.name for path in folder.glob("[a-z]*")) == ["same.o", "whole.o"]
