# SPDX-License-Identifier: GPL-2.0-only
"""Reports on native programs, with the names of extension, functions and source lines.

The kernel prints an id and offsets. The loader reported which extension's program has
that id, and the extension's debug information maps offsets to functions and lines.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError
from lab.extension.symbolise import Frame, symbolise
from lab.oracle.evidence import Evidence
from lab.oracle.rex.reports import RexReport
from lab.scenario.model.base import Ref


@dataclass(frozen=True)
class ExtensionReport:
    """A report with its `frames` by name; inlined functions share the number of their frame.

    `program` is None for a program that the item's loader did not load.
    """

    report: RexReport
    program: Ref | None = None
    frames: tuple[Frame, ...] = ()

    @property
    def text(self) -> str:
        """The report as lines for a person, without the program's name."""
        return "\n".join(
            [
                self.report.headline,
                *(f"  {line}" for line in self.frame_lines),
                *(f"  {line}" for line in self.report.resources),
            ]
        )

    @property
    def frame_lines(self) -> list[str]:
        """`#0 panics::deep at src/lib.rs:34`, innermost first."""
        lines, number = [], 0
        for frame in self.frames:
            lines.append(f"#{number} {frame}")
            number += not frame.inlined
        return lines

    @property
    def title(self) -> str:
        """The first line, with the program's name."""
        named = self.program or f"{self.report.program}[{self.report.id}]"
        return f"{named} {self.report.headline}"

    def evidence(self) -> Evidence:
        """Return the report as evidence."""
        return Evidence(
            "extension-report",
            self.title,
            {
                "extension": self.program.extension if self.program else "",
                "program": self.program.name if self.program else self.report.program,
                "id": self.report.id,
                "outcome": self.report.ending,
                "cpu": self.report.cpu,
                "message": self.report.message,
                "place": self.report.place,
                "frames": self.frame_lines,
                "released": dict(self.report.released),
                "held": dict(self.report.held),
                "first_line": self.report.first_line,
            },
            self.report.at,
        )


def with_names(
    reports: Sequence[RexReport],
    programs: Mapping[int, Ref],
    debug_files: Mapping[str, Path],
    lookup: Callable[[Path, Sequence[int]], list[Frame]] = symbolise,
) -> tuple[list[ExtensionReport], str]:
    """Return the reports with names, and why some have none ("" if nothing went wrong).

    The keys of `programs` are the kernel's ids, those of `debug_files` the names of
    extensions. A missing name does not keep the rest from being shown. Each file is
    read once.
    """

    def debug_file(report: RexReport) -> Path | None:
        program = programs.get(report.id)
        return debug_files.get(program.extension) if program else None

    offsets: dict[Path, set[int]] = defaultdict(set)
    for report in reports:
        debug = debug_file(report)
        if debug is not None:
            offsets[debug].update(report.frames)
    known: dict[tuple[Path, int], list[Frame]] = defaultdict(list)
    problems = []
    for debug, wanted in offsets.items():
        try:
            for frame in lookup(debug, sorted(wanted)):
                known[debug, frame.offset].append(frame)
        except LabError as error:
            problems.append(str(error))
    found = []
    for report in reports:
        debug = debug_file(report)
        frames: list[Frame] = []
        for offset in report.frames:
            frames += (known.get((debug, offset)) if debug else None) or [Frame(offset)]
        found.append(ExtensionReport(report, programs.get(report.id), tuple(frames)))
    return found, "\n".join(problems)
