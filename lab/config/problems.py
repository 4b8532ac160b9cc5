# SPDX-License-Identifier: GPL-2.0-only
"""Errors in a file that people write: each problem with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.config.yaml_file import Flaw
from lab.errors import UserError


@dataclass(frozen=True, order=True)
class Problem:
    """One problem in a file; line and column count from 1."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"

    @classmethod
    def of(cls, file: str, flaw: Flaw) -> Problem:
        return cls(file, flaw.mark.line, flaw.mark.column, flaw.message)


class FileErrors(UserError):
    """All problems of one file, in the order of its lines."""

    def __init__(self, problems: Iterable[Problem], *, hint: str = "") -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems), hint=hint)
