# SPDX-License-Identifier: GPL-2.0-only
"""Share the tests out among the workers of pytest-xdist, file by file.

The tests of a file stay on one worker, because they share guests. Files with guests come
first: one of them can take minutes, and the short unit tests fill the gaps at the end.
"""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

# These files run last, one after the other on one worker. They start workers of their own,
# which use the whole host. The other workers have nothing left to do by then.
LAST = ("integration/jobs/test_shipped.py",)
_LAST_SCOPE = "last"


def place(nodeid: str) -> tuple[int, int]:
    """Return the sort key of a test: guests first, then unit tests, then the files of `LAST`."""
    path = _path(nodeid)
    for number, name in enumerate(LAST):
        if path.endswith(name):
            return 2, number
    return (0, 0) if "/integration/" in f"/{path}" else (1, 0)


def scope(nodeid: str) -> str:
    """Return the name of the tests that have to run on the same worker as this one."""
    return _LAST_SCOPE if place(nodeid)[0] == 2 else _path(nodeid)


def _path(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class ByFile(LoadScopeScheduling):  # type: ignore[misc]  # xdist has no types
    """Give each worker whole files, in the order in which they were collected."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)
