# SPDX-License-Identifier: GPL-2.0-only
"""Write a file so that it is never seen half written."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path


def atomic_write(path: Path, data: str | bytes) -> None:
    """Write `data` next to `path`, then rename it to `path`; missing folders are created.

    A reader, and a writer that is killed, leave either the old content or all of the
    new one. Text is written as UTF-8. Raises `OSError`; the old file then stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside_of(path)
    try:
        aside.write_bytes(data.encode() if isinstance(data, str) else data)
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def check_writable(path: Path) -> None:
    """Raise `OSError` if `atomic_write` can't write `path`; folders are not created."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    aside = _aside_of(path)
    aside.write_bytes(b"")
    aside.unlink()


def _aside_of(path: Path) -> Path:
    """Return the hidden file in the same folder that only this thread writes."""
    # The kernel gives no two threads of the host the same number at a time.
    return path.with_name(f".{path.name}.{threading.get_native_id()}")
