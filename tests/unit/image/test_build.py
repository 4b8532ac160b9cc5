# SPDX-License-Identifier: GPL-2.0-only
"""Images from descriptions, and what shared libraries programs need."""

from __future__ import annotations

import lzma
import stat
import sys
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.errors import UserError
from lab.image import build, cpio, debs, describe, elf
from lab.workspace import Workspace

DESCRIPTION = """\
version: 1
max_bytes: 4000
files:
  - {from: init, to: /init, mode: 0755}
directories:
  - {path: /tmp, mode: 01777}
devices:
  - {path: /dev/null, major: 1, minor: 3, mode: 0666}
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images" / "tiny"
    folder.mkdir(parents=True)
    (folder / "image.yaml").write_text(DESCRIPTION)
    (folder / "init").write_text("#!/bin/sh\n")
    return folder.parent


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def entries(image: build.Image) -> dict[str, cpio.Entry]:
    return {entry.path: entry for entry in cpio.read(image.path.read_bytes())}


def test_holds_what_is_described(images: Path, cache: Cache) -> None:
    image = build.build_image(Workspace(images=(images,)), "tiny", cache)
    found = entries(image)
    assert found["init"] == cpio.regular("init", b"#!/bin/sh\n", 0o755)
    assert stat.S_IMODE(found["tmp"].mode) == 0o1777
    assert found["dev/null"].device == (1, 3)
    assert image.size == image.path.stat().st_size


def test_the_loader_by_both_names_and_extra_files_go_in(
    images: Path, cache: Cache, tmp_path: Path
) -> None:
    program = tmp_path / "program"
    program.write_bytes(b"P")
    program.chmod(0o755)
    data = tmp_path / "data"
    data.write_bytes(b"D")
    image = build.build_image(
        Workspace(images=(images,)), "tiny", cache, loader=program, extra={"/etc/x": data}
    )
    found = entries(image)
    assert found["usr/bin/kextload"] == cpio.regular("usr/bin/kextload", b"P", 0o755)
    assert found["usr/bin/kexttrigger"] == cpio.symlink("usr/bin/kexttrigger", "kextload")
    assert found["etc/x"] == cpio.regular("etc/x", b"D", 0o644)


def test_modules_are_unpacked_and_their_order_kept(
    images: Path, cache: Cache, tmp_path: Path
) -> None:
    plain = tmp_path / "zz.ko"
    plain.write_bytes(b"zz")
    packed = tmp_path / "aa.ko.xz"
    packed.write_bytes(lzma.compress(b"aa"))
    image = build.build_image(
        Workspace(images=(images,)), "tiny", cache, kernel_modules=[plain, packed]
    )
    found = entries(image)
    assert found["lib/modules-lab/order"].data == b"zz.ko\naa.ko\n"
    assert found["lib/modules-lab/aa.ko"].data == b"aa"
    assert found["lib/modules-lab/zz.ko"].data == b"zz"
    other = build.build_image(
        Workspace(images=(images,)), "tiny", cache, kernel_modules=[packed, plain]
    )
    assert other.key != image.key


def test_a_changed_file_changes_the_key(images: Path, cache: Cache) -> None:
    first = build.build_image(Workspace(images=(images,)), "tiny", cache)
    assert build.build_image(Workspace(images=(images,)), "tiny", cache) == first
    (images / "tiny" / "init").write_text("#!/bin/sh\nexit\n")
    assert build.build_image(Workspace(images=(images,)), "tiny", cache).key != first.key


def test_too_large_is_an_error_that_names_the_largest(
    images: Path, cache: Cache, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    large.write_bytes(bytes(5000))
    with pytest.raises(UserError, match="its limit is 4000") as caught:
        build.build_image(Workspace(images=(images,)), "tiny", cache, extra={"/big": large})
    assert caught.value.details.splitlines()[0].split() == ["5000", "/big"]


def test_a_missing_file_is_named(images: Path, cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        build.build_image(Workspace(images=(images,)), "tiny", cache, loader=tmp_path / "nowhere")


def test_an_unknown_image_names_those_that_exist(images: Path, cache: Cache) -> None:
    with pytest.raises(UserError) as caught:
        build.build_image(Workspace(images=(images,)), "tinny", cache)
    assert "tiny" in caught.value.hint


def test_an_unknown_key_in_a_description_is_an_error(images: Path) -> None:
    path = images / "tiny" / "image.yaml"
    path.write_text(DESCRIPTION + "colour: green\n")
    with pytest.raises(UserError, match="not a valid description") as caught:
        describe.load(Workspace(images=(images,)), "tiny")
    assert "colour" in caught.value.details


def test_a_dynamic_program_brings_its_libraries() -> None:
    found = elf.closure(Path(sys.executable).resolve(), elf.library_folders())
    assert "/lib64/ld-linux-x86-64.so.2" in found
    assert "/lib/x86_64-linux-gnu/libc.so.6" in found
    assert all(elf.is_elf(path) for path in found.values())


def test_a_library_that_is_nowhere_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"needs the library \S+"):
        elf.closure(Path(sys.executable).resolve(), [tmp_path])


def test_a_script_is_not_a_program(tmp_path: Path) -> None:
    script = tmp_path / "bpftool"
    script.write_text("#!/bin/sh\n")
    assert not elf.is_elf(script)
    with pytest.raises(UserError, match="can't be read as a program"):
        elf.needs(script)


def test_dependencies_are_read_without_virtual_packages() -> None:
    listed = """\
dropbear-bin
  Depends: libc6
 |Depends: libcrypt1
  Depends: <virtual>
    other
libc6
<virtual>
libelf1t64
"""
    assert debs.parse_depends(listed) == ["dropbear-bin", "libc6", "libelf1t64"]
