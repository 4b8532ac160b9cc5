# SPDX-License-Identifier: GPL-2.0-only
"""Archives in the `newc` cpio format, which the kernel unpacks as an initramfs.

The same entries give the same bytes: owner, time stamps and inode numbers
don't depend on the host, and the order is that of the paths. The format is
described in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"
_HEADER_BYTES = 110
_MAX_FIELD = 0xFFFFFFFF


class CpioError(ValueError):
    """An archive, or an entry for one, is outside the format."""


@dataclass(frozen=True)
class Entry:
    """A file in an archive.

    `path` is relative to the root, without a leading slash. `mode` holds type
    and permissions as in `stat.st_mode`. `data` is a regular file's content
    or a symbolic link's target; `device` a device node's major and minor.
    """

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str, mode: int = 0o755) -> Entry:
    """Return the entry of a folder."""
    return Entry(path.strip("/"), stat.S_IFDIR | mode)


def regular(path: str, data: bytes, mode: int = 0o644) -> Entry:
    """Return the entry of a regular file."""
    return Entry(path.strip("/"), stat.S_IFREG | mode, data)


def symlink(path: str, target: str) -> Entry:
    """Return the entry of a symbolic link."""
    return Entry(path.strip("/"), stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int, mode: int = 0o600) -> Entry:
    """Return the entry of a character device; writing it into an archive needs no privilege."""
    return Entry(path.strip("/"), stat.S_IFCHR | mode, device=(major, minor))


def archive(entries: Iterable[Entry]) -> bytes:
    """Return an archive of the entries, sorted, with missing parent folders added.

    Raises `CpioError` for a path that is named twice or can't be stored.
    """
    by_path: dict[str, Entry] = {}
    for entry in entries:
        _check(entry)
        if entry.path in by_path:
            raise CpioError(f"{entry.path}: named twice")
        by_path[entry.path] = entry
    for path in list(by_path):
        for parent in _parents(path):
            present = by_path.setdefault(parent, directory(parent))
            if not stat.S_ISDIR(present.mode):
                raise CpioError(f"{path}: {parent} is not a folder")
    # A parent sorts before its children when paths are compared by component.
    ordered = sorted(by_path.values(), key=lambda entry: entry.path.split("/"))
    chunks = [_record(entry, number) for number, entry in enumerate(ordered, start=1)]
    chunks.append(_record(Entry(_TRAILER, 0), 0))
    return b"".join(chunks)


def read(data: bytes) -> Iterator[Entry]:
    """Yield the entries of one archive, or of several concatenated ones, in their order.

    Raises `CpioError` if the bytes are not such archives.
    """
    offset = 0
    trailer_seen = True
    while offset < len(data):
        if trailer_seen and data[offset] == 0:
            offset += 1  # padding between archives
            continue
        entry, offset = _parse(data, offset)
        trailer_seen = entry.path == _TRAILER
        if not trailer_seen:
            yield entry
    if not trailer_seen:
        raise CpioError("the archive has no trailer")


def _check(entry: Entry) -> None:
    parts = entry.path.split("/")
    if entry.path == _TRAILER or "\0" in entry.path:
        raise CpioError(f"{entry.path!r}: not a name that an archive can hold")
    if any(part in ("", ".", "..") for part in parts):
        raise CpioError(f"{entry.path!r}: not a plain relative path")
    if len(entry.data) > _MAX_FIELD:
        raise CpioError(f"{entry.path}: {len(entry.data)} bytes are more than the format allows")


def _parents(path: str) -> Iterator[str]:
    parts = path.split("/")
    for length in range(1, len(parts)):
        yield "/".join(parts[:length])


def _record(entry: Entry, inode: int) -> bytes:
    name = entry.path.encode("utf-8", "surrogateescape") + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (
        inode, entry.mode, 0, 0, links, 0, len(entry.data),
        0, 0, *entry.device, len(name), 0,
    )  # fmt: skip
    header = _MAGIC + b"".join(b"%08x" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _parse(data: bytes, start: int) -> tuple[Entry, int]:
    header = data[start : start + _HEADER_BYTES]
    if len(header) < _HEADER_BYTES or header[:6] != _MAGIC:
        raise CpioError(f"no newc header at offset {start}")
    try:
        fields = [int(header[6 + 8 * i : 14 + 8 * i], 16) for i in range(13)]
    except ValueError:
        raise CpioError(f"a damaged header at offset {start}") from None
    mode, size, name_size = fields[1], fields[6], fields[11]
    name_end = start + _HEADER_BYTES + name_size
    body = start + _aligned(_HEADER_BYTES + name_size)
    if body + size > len(data):
        raise CpioError(f"the archive ends within the entry at offset {start}")
    name = data[start + _HEADER_BYTES : name_end - 1].decode("utf-8", "surrogateescape")
    entry = Entry(name, mode, data[body : body + size], (fields[9], fields[10]))
    return entry, body + _aligned(size)


def _aligned(size: int) -> int:
    return (size + 3) & ~3
