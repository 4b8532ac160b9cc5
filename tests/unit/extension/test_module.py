# SPDX-License-Identifier: GPL-2.0-only
"""Build kernel modules against a build tree that is a few lines of make."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab import events, inputs
from lab.cache import Cache
from lab.errors import NotCompiled, UserError
from lab.extension import module
from lab.extension.module import build_module, compile_errors
from lab.host.process import ToolFailed
from lab.kernel.artifact import Kernel
from lab.workspace import Workspace

# This compiles like the kernel's build, and counts its calls.
TREE = """\
modules:
\t@echo asked >> $(CURDIR)/asked
\t@for name in $$(sed -n 's/^obj-m := \\(.*\\)\\.o$$/\\1/p' $(M)/Kbuild); do \\
\t  gcc $(KCFLAGS) -g -c -o $(M)/$$name.ko $(M)/$$name.c || exit 2; done
"""
GOOD = "const char *where(void) { return __FILE__; }\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "Makefile").write_text(TREE)
    (folder / ".config").write_text('CONFIG_CC_VERSION_TEXT="gcc (Debian 12.2.0-14) 12.2.0"\n')
    return folder


@pytest.fixture
def kernel(tree: Path) -> Kernel:
    return Kernel(
        flavor="stock",
        key="k1",
        release="6.12.0",
        boot=tree / "vmlinux",
        bzimage=tree / "bzImage",
        config=tree / ".config",
        boot_args=(),
        build_tree=tree,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    source = tmp_path / "modules" / "good"
    source.mkdir(parents=True)
    (source / "Kbuild").write_text("obj-m := good.o\n")
    (source / "good.c").write_text(GOOD)
    return tmp_path / "modules"


def asked(tree: Path) -> int:
    return len((tree / "asked").read_text().splitlines())


def test_names_are_the_folders_with_a_recipe(folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "old").mkdir()
    (folder / "old" / "Makefile").write_text("obj-m := old.o\n")
    assert Workspace(modules=(folder,)).names("module") == ["good", "old"]
    assert Workspace(modules=(folder / "nowhere",)).names("module") == []


def test_the_modules_of_the_lab_are_there() -> None:
    assert {"faults", "hello"} <= set(Workspace.default().names("module"))


def test_module_is_built_once(kernel: Kernel, cache: Cache, folder: Path, tree: Path) -> None:
    seen: list[events.Event] = []
    built = build_module(Workspace(modules=(folder,)), "good", kernel, cache, seen.append)
    assert built.name == "good.ko"
    assert build_module(Workspace(modules=(folder,)), "good", kernel, cache, seen.append) == built
    assert asked(tree) == 1
    assert [event.kind for event in seen] == ["StageStarted", "StageFinished"]
    assert sorted(path.name for path in built.parent.iterdir()) == ["good.ko", "good.ko.debug"]
    assert sorted(path.name for path in (folder / "good").iterdir()) == ["Kbuild", "good.c"]


def test_debug_information_is_kept_beside(kernel: Kernel, cache: Cache, folder: Path) -> None:
    built = build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert b".debug_info" not in built.read_bytes()
    assert b".debug_info" in built.with_name("good.ko.debug").read_bytes()


def test_module_does_not_say_where_it_was_built(kernel: Kernel, cache: Cache, folder: Path) -> None:
    built = build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert b"good/good.c" in built.read_bytes()
    assert str(cache.root).encode() not in built.read_bytes()


def test_changed_source_or_kernel_is_another_module(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path
) -> None:
    first = build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    other = build_module(
        Workspace(modules=(folder,)), "good", dataclasses.replace(kernel, key="k2"), cache
    )
    (folder / "good" / "good.c").write_text(GOOD + "int more;\n")
    changed = build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert len({first, other, changed}) == 3
    assert asked(tree) == 3


# The build in this tree leaves lists of the files that it read, in Kbuild's format.
LISTING_TREE = """\
modules:
\t@echo asked >> $(CURDIR)/asked
\t@sh $(CURDIR)/build $(M)
"""
LISTING_BUILD = r"""
cd $1
flags=$(sed -n 's/^ccflags-y := //p' Kbuild)
gcc -MMD -MF good.d -MT object $flags -c -o good.ko $PWD/good.c || exit 2
{
	echo "savedcmd_$PWD/good.o := gcc $flags"
	echo "deps_$PWD/good.o := \\"
	sed 's/^object://; s/\\$//' good.d | tr -s ' ' '\n' | sed -n 's/..*/  & \\/p'
	echo
	echo
} > .good.o.cmd
"""


def test_a_header_from_elsewhere_is_in_the_key(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path, tmp_path: Path
) -> None:
    (tree / "Makefile").write_text(LISTING_TREE)
    (tree / "build").write_text(LISTING_BUILD)
    first, second = tmp_path / "first", tmp_path / "second"
    for place in (first, second, folder / "good" / "sub"):
        place.mkdir()
    (folder / "good/Kbuild").write_text(f"obj-m := good.o\nccflags-y := -I{first} -I{second}\n")
    (folder / "good/good.c").write_text(
        '#include "it.h"\n#include "sub/own.h"\nint x = IT + OWN;\n'
    )
    (second / "it.h").write_text("#define IT 1\n")
    (folder / "good/sub/own.h").write_text("#define OWN 1\n")

    def build() -> Path:
        return build_module(Workspace(modules=(folder,)), "good", kernel, cache)

    built = build()
    assert build() == built
    assert asked(tree) == 1
    for path, text in (
        (second / "it.h", "#define IT 2\n"),
        (first / "it.h", "#define IT 3\n"),
        (first / "sub/own.h", "#define OWN 2\n"),  # the module's own comes first
        (folder / "good/it.h", "#define IT 4\n"),
        (folder / "good/sub/own.h", "#define OWN 5\n"),
    ):
        before = path.read_text() if path.exists() else None
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        changed = build()
        assert (changed == built) == (path == first / "sub/own.h"), path
        if before is None:
            path.unlink()
        else:
            path.write_text(before)
        assert build() == built


@pytest.mark.parametrize(
    ("recipe", "once"),
    [
        ("obj-m := good.o\n# include x\n", True),
        ("ifneq ($(X),)\nelse\nK := /lib/$(shell uname -r)\nendif\nobj-m := good.o\n", True),
        ("obj-m := good.o\n-include /etc/other.mk\n", False),
        ("obj-m := good.o\nall:\n\t$(MAKE) -C /lib M=$(PWD)\n\t-@rm -f x\n", True),
        ("obj-m := good.o\ngood-y := a.o \\\n\tb.o\nifdef X\n\tccflags-y += -DX\nendif\n", True),
        ("obj-m := good.o\nccflags-y := $(shell cat /etc/flags)\n", False),
        ("obj-m := good.o\nccflags-y != cat /etc/flags\n", False),
        ("obj-m := good.o\n$(obj)/made.h: /etc/input\n\t@cp $< $@\n", False),
        ("obj-m := good.o\n$(obj)/made.h: ; cp /etc/input $@\n", False),
        ("obj-m := good.o\nKBUILD_EXTRA_SYMBOLS := /srv/Module.symvers\n", False),
        ("obj-m := good.o\nldflags-y += -T /etc/good.lds\n", False),
    ],
)
def test_what_a_recipe_reads_elsewhere_is_asked_for_each_time(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path, recipe: str, once: bool
) -> None:
    (folder / "good/Kbuild").write_text(recipe)
    for _ in range(2):
        build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert asked(tree) == (1 if once else 2)


def test_a_source_that_changes_before_it_is_copied_is_an_error(
    kernel: Kernel, cache: Cache, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key covers the old text. With that key, the new build would pass for the old one."""
    get = inputs.get

    def late(*words: Any, **more: Any) -> Path:
        (folder / "good/good.c").write_text(GOOD + "int late;\n")
        return get(*words, **more)

    monkeypatch.setattr(inputs, "get", late)
    with pytest.raises(UserError, match="good was changed while it was built"):
        build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert build_module(Workspace(modules=(folder,)), "good", kernel, cache).is_file()


def test_variables_of_the_user_are_not_for_the_build(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "good/good.c").write_text(GOOD + '#ifdef MORE\n#error "a variable"\n#endif\n')
    monkeypatch.setenv("KCFLAGS", "-DMORE")
    monkeypatch.setenv("KCPPFLAGS", "-DMORE")
    (tree / "Makefile").write_text(TREE.replace("gcc ", "gcc $(KCPPFLAGS) "))
    assert build_module(Workspace(modules=(folder,)), "good", kernel, cache).is_file()


def test_a_header_that_is_missing_is_not_about_the_code(
    kernel: Kernel, cache: Cache, folder: Path
) -> None:
    for text, missing in (('#include "none.h"\n', True), ("int f(void) { return x; }\n", False)):
        (folder / "good/good.c").write_text(text)
        with pytest.raises(NotCompiled) as caught:
            build_module(Workspace(modules=(folder,)), "good", kernel, cache)
        assert caught.value.missing is missing
        assert "good.c:1:" in caught.value.log


def test_what_a_build_in_place_left_changes_nothing(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path
) -> None:
    first = build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    for name in ("good.o", "good.ko", ".good.o.cmd", "good.mod.c", "Module.symvers"):
        (folder / "good" / name).write_text("junk")
    assert build_module(Workspace(modules=(folder,)), "good", kernel, cache) == first
    assert asked(tree) == 1


def test_compile_error_names_file_and_line_only(kernel: Kernel, cache: Cache, folder: Path) -> None:
    (folder / "good" / "good.c").write_text("int f(void)\n{\n\treturn nothing;\n}\n")
    with pytest.raises(UserError) as caught:
        build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert f"{folder}/good/good.c:3:16: error: 'nothing' undeclared" in caught.value.message
    assert "note:" not in str(caught.value)
    assert str(cache.root) not in str(caught.value)
    assert not list((cache.root / "extension").glob("[!.]*"))


def test_recipe_that_makes_something_else_is_told(
    kernel: Kernel, cache: Cache, folder: Path
) -> None:
    (folder / "good" / "Kbuild").write_text("obj-m := other.o\n")
    (folder / "good" / "other.c").write_text(GOOD)
    with pytest.raises(UserError, match=r"good\.ko is not among") as caught:
        build_module(Workspace(modules=(folder,)), "good", kernel, cache)
    assert "obj-m := good.o" in caught.value.hint


def test_failure_without_compile_error_shows_the_command(
    kernel: Kernel, cache: Cache, folder: Path, tree: Path
) -> None:
    (tree / "Makefile").write_text("modules:\n\t@echo no such luck >&2; exit 3\n")
    with pytest.raises(ToolFailed, match="no such luck"):
        build_module(Workspace(modules=(folder,)), "good", kernel, cache)


def test_unknown_module_is_told_with_a_guess(kernel: Kernel, cache: Cache, folder: Path) -> None:
    with pytest.raises(UserError, match="no module 'god'") as caught:
        build_module(Workspace(modules=(folder,)), "god", kernel, cache)
    assert "did you mean 'good'?" in caught.value.hint


def test_kernel_without_build_tree_is_told(kernel: Kernel, cache: Cache, folder: Path) -> None:
    packaged = dataclasses.replace(kernel, flavor="debian", build_tree=None)
    with pytest.raises(UserError, match="kernel debian has no build tree") as caught:
        build_module(Workspace(modules=(folder,)), "good", packaged, cache)
    assert caught.value.hint


def test_errors_of_linker_and_modpost_count_too() -> None:
    output = (
        "  CC [M]  /tmp/w/x.o\n"
        "/tmp/w/x.c:3:1: warning: unused\n"
        "/tmp/w/x.c:4:10: fatal error: nothing.h: No such file or directory\n"
        'ERROR: modpost: "missing" [/tmp/w/x.ko] undefined!\n'
        'ERROR: modpost: "missing" [/tmp/w/x.ko] undefined!\n'
        "make[1]: *** [Makefile:1: x] Error 1\n"
    )
    assert compile_errors(output, Path("/tmp/w"), "modules/x") == [
        "modules/x/x.c:4:10: fatal error: nothing.h: No such file or directory",
        'ERROR: modpost: "missing" [modules/x/x.ko] undefined!',
    ]


def test_compiler_is_the_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.toolchain_args("gcc (Debian 12.2.0-14) 12.2.0") == []
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/" + name)
    assert module.toolchain_args("Debian clang version 19.1.7 (3)") == ["LLVM=-19"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert module.toolchain_args("Debian clang version 19.1.7 (3)") == ["LLVM=1"]
