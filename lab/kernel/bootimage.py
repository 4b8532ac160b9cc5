# SPDX-License-Identifier: GPL-2.0-only
"""Read kernel images: the header of a bzImage, the vmlinux in it, sections of an ELF file.

The offsets are from Documentation/arch/x86/boot.rst ("The Real-Mode Kernel Header").
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile

from lab.errors import UserError
from lab.host import process

_SETUP_SECTS = 0x1F1
_MAGIC = 0x202
_VERSION_POINTER = 0x20E
_PAYLOAD_OFFSET = 0x248
_SECTOR = 512
# Since this version of the protocol the header has the offset of the payload.
_PROTOCOL_WITH_PAYLOAD = 0x208


def _header(image: bytes, path: Path) -> None:
    if len(image) < 0x260 or image[_MAGIC : _MAGIC + 4] != b"HdrS":
        raise UserError(
            f"{path} is not a bzImage", hint="it is usually at arch/x86/boot/bzImage of a tree"
        )


def release_of(path: Path) -> str:
    """Return the release (`uname -r`) in the header of a bzImage."""
    with path.open("rb") as stream:
        image = stream.read(64 * 1024)
    _header(image, path)
    (pointer,) = struct.unpack_from("<H", image, _VERSION_POINTER)
    text = image[pointer + 0x200 : pointer + 0x200 + 256].split(b"\0", 1)[0]
    words = text.decode(errors="replace").split()
    if not pointer or not words:
        raise UserError(f"{path} has no release in its header")
    return words[0]


def extract_vmlinux(path: Path) -> bytes:
    """Return the ELF image that a bzImage decompresses at boot.

    It has BTF and a PVH entry, if the kernel has them, but no symbols.
    """
    image = path.read_bytes()
    _header(image, path)
    (protocol,) = struct.unpack_from("<H", image, _MAGIC + 4)
    if protocol < _PROTOCOL_WITH_PAYLOAD:
        raise UserError(f"{path}: boot protocol {protocol:#x} has no offset of the payload")
    sectors = image[_SETUP_SECTS] or 4
    offset, length = struct.unpack_from("<II", image, _PAYLOAD_OFFSET)
    start = (sectors + 1) * _SECTOR + offset
    elf = _decompress(image[start : start + length], path)
    if not elf.startswith(b"\x7fELF"):
        raise UserError(f"{path}: its payload is not an ELF file")
    return elf


def _decompress(payload: bytes, path: Path) -> bytes:
    # In each format except gzip, four bytes with the size follow. Decoders that stop at the end
    # of a stream ignore them.
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(31).decompress(payload)
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor().decompress(payload)
    if payload.startswith(b"]\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload)
    if payload.startswith(b"BZh"):
        return bz2.BZ2Decompressor().decompress(payload)
    if payload.startswith(b"(\xb5/\xfd"):
        return unzstd(payload[:-4])
    if payload.startswith(b"\x7fELF"):
        return payload
    raise UserError(
        f"{path}: unknown compression",
        hint="known: gzip, xz, lzma, bzip2, zstd, none",
    )


def unzstd(data: bytes) -> bytes:
    """Decompress with the `zstd` tool, because Python 3.11 has no decoder."""
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as target:
        source.write(data)
        source.seek(0)
        child = process.spawn(
            ["zstd", "-d", "-c"], stdin=source, stdout=target, stderr=subprocess.DEVNULL
        )
        if child.wait() != 0:
            raise UserError(
                "zstd cannot decompress a part of the kernel", hint="is zstd installed?"
            )
        target.seek(0)
        return target.read()


def section(elf: bytes | Path, name: str) -> bytes | None:
    """Return the bytes of a section of an ELF file; None if there is no such section."""
    stream = elf.open("rb") if isinstance(elf, Path) else io.BytesIO(elf)
    with stream:
        try:
            found = ELFFile(stream).get_section_by_name(name)
        except ELFError:
            return None
        return bytes(found.data()) if found is not None else None
