# SPDX-License-Identifier: GPL-2.0-only
"""The lab's exceptions, sorted by whose fault they are.

A kernel that misbehaves is not an exception: it is a verdict. Exceptions are
for the user's mistakes (`UserError`) and for the lab's own inability to tell
(`InfraError`), and the two never mix.
"""

from __future__ import annotations

from lab.plain import plain


class LabError(Exception):
    """The base of every error that the lab raises on purpose.

    `message` is one sentence for a person, `hint` says what to do about it,
    `details` is longer text (a compiler's output, the end of a console).
    """

    exit_status = 2

    def __init__(self, message: str, *, hint: str = "", details: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details

    def __str__(self) -> str:
        parts = [self.message]
        if self.details:
            parts.append(self.details.rstrip())
        if self.hint:
            parts.append(f"hint: {self.hint}")
        # It may include text of a guest, and all of it may go to a terminal.
        return plain("\n".join(parts))

    def __reduce__(self) -> tuple[object, ...]:
        # pytest-xdist and multiprocessing move errors between processes.
        return (_rebuild, (type(self), self.message, self.hint, self.details, dict(self.__dict__)))


def _rebuild(
    cls: type[LabError], message: str, hint: str, details: str, state: dict[str, object]
) -> LabError:
    error = cls.__new__(cls)
    LabError.__init__(error, message, hint=hint, details=details)
    error.__dict__.update(state)
    return error


class UserError(LabError):
    """An error in something that the user wrote or set up; the hint says how to fix it."""


class NotCompiled(UserError):
    """A compiler, or a rule of the lab, does not accept an extension.

    `log` is the compiler's whole output. `missing` says that the code is not the reason:
    a header, a tool or a file is missing, so no scenario can expect this error.
    """

    log = ""
    missing = False


class InfraError(LabError):
    """The lab could not do its job; the item concerned gets the verdict `error`."""

    exit_status = 3


class Stopped(InfraError):
    """The user ended the run before an item had a verdict: it counts as not run."""
