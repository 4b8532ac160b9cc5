# SPDX-License-Identifier: GPL-2.0-only
"""Packaged kernels and boot images, on images and modules made here."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.fake_kernel import bzimage

from lab.errors import UserError
from lab.kernel import artifact, bootimage, from_deb

ELF = b"\x7fELF" + bytes(200)
SIZE = len(ELF).to_bytes(4, "little")
RELEASE = "6.12.9+deb12-cloud-amd64"


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-c"], input=data, check=True, capture_output=True).stdout


@pytest.mark.parametrize(
    "pack",
    [
        gzip.compress,
        lambda data: lzma.compress(data, check=lzma.CHECK_CRC32) + SIZE,
        lambda data: lzma.compress(data, lzma.FORMAT_ALONE) + SIZE,
        lambda data: bz2.compress(data) + SIZE,
        lambda data: zstd(data) + SIZE,
        lambda data: data,
    ],
    ids=["gzip", "xz", "lzma", "bzip2", "zstd", "none"],
)
def test_vmlinux_is_taken_out_of_a_bzimage(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "bzImage"
    path.write_bytes(bzimage(RELEASE, pack(ELF)))
    assert bootimage.extract_vmlinux(path) == ELF
    assert bootimage.release_of(path) == RELEASE


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a bzImage"),
        (bytes(4096), "not a bzImage"),
        (bzimage("6.1", ELF, protocol=0x207), "has no offset of the payload"),
        (bzimage("6.1", b"unknown" + bytes(20)), "unknown compression"),
        (bzimage("6.1", gzip.compress(b"no kernel")), "not an ELF file"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bzImage"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        bootimage.extract_vmlinux(path)


def module(path: Path, depends: str) -> None:
    """Write a module's file with these dependencies, compressed as its name says."""
    plain = path.with_name(path.name.split(".ko")[0] + ".o")
    code = f'.section .modinfo,"a"\n.asciz "license=GPL"\n.asciz "depends={depends}"\n'
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(["as", "-o", plain, "-"], input=code.encode(), check=True)
    data = plain.read_bytes()
    plain.unlink()
    pack = {".ko": lambda d: d, ".xz": lzma.compress, ".gz": gzip.compress, ".zst": zstd}
    path.write_bytes(pack[path.suffix](data))


@pytest.fixture
def libraries(tmp_path: Path) -> Path:
    folder = tmp_path / "root" / "lib" / "modules" / RELEASE
    module(folder / "kernel/net/virtio_net.ko.xz", "net-failover,virtio")
    module(folder / "kernel/net/net_failover.ko.zst", "failover")
    module(folder / "kernel/net/failover.ko.gz", "")
    module(folder / "kernel/drivers/pvpanic-pci.ko", "pvpanic")
    module(folder / "kernel/drivers/pvpanic.ko", "")
    module(folder / "kernel/drivers/ring_a.ko", "ring_b")
    module(folder / "kernel/drivers/ring_b.ko", "ring_a")
    (folder / "modules.builtin").write_text("kernel/drivers/virtio/virtio.ko\n")
    return folder


def test_modules_come_after_what_they_depend_on(libraries: Path) -> None:
    ordered = from_deb.Modules(libraries).ordered(["virtio_net", "pvpanic-pci", "failover"])
    assert [path.name.split(".")[0] for path in ordered] == [
        "failover",
        "net_failover",
        "virtio_net",
        "pvpanic",
        "pvpanic-pci",
    ]
    assert all(from_deb.read_module(path).startswith(b"\x7fELF") for path in ordered)


def test_what_is_built_in_needs_no_file(libraries: Path) -> None:
    assert from_deb.Modules(libraries).ordered(["virtio"]) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [("pvpanik", "no module 'pvpanik'"), ("ring_a", "ring_a -> ring_b -> ring_a")],
)
def test_modules_that_cannot_be_had(libraries: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        from_deb.Modules(libraries).ordered([name])


def test_a_package_becomes_an_entry(tmp_path: Path, libraries: Path) -> None:
    root = tmp_path / "root"
    (root / "boot").mkdir()
    (root / "boot" / f"vmlinuz-{RELEASE}").write_bytes(bzimage(RELEASE, gzip.compress(ELF)))
    (root / "boot" / f"config-{RELEASE}").write_text("CONFIG_PVH=y\nCONFIG_NET=m\n")
    entry = tmp_path / "entry"
    entry.mkdir()
    from_deb.fill(root, ["pvpanic_pci"], entry, source={"deb": "linux-image-x"})
    kernel = artifact.load_kernel(
        entry, flavor="debian", key="k", boot_args=("quiet",), machine="q35"
    )
    assert kernel.release == RELEASE
    assert kernel.boot.read_bytes() == ELF
    assert [path.name for path in kernel.modules] == ["00-pvpanic.ko", "01-pvpanic_pci.ko"]
    assert kernel.has("CONFIG_NET")
    assert kernel.vmlinux is None
    assert kernel.btf is None
    assert kernel.build_tree is None


def test_a_package_without_an_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    with pytest.raises(UserError, match=r"linux-image-6\.12-cloud-amd64 holds no kernel image"):
        from_deb.fill(tmp_path, [], tmp_path, source={"deb": "linux-image-6.12-cloud-amd64"})
