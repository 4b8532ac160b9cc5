# SPDX-License-Identifier: GPL-2.0-only
"""`lab explain`: print the reports of a kernel from logs of any form."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer

from lab.errors import UserError
from lab.jobs.score_reports import Figure, Score, score_folder
from lab.oracle.console.explain import Explanation, explain
from lab.oracle.console.log_forms import NAMES
from lab.oracle.console.reports import Report
from lab.oracle.console.rust_names import readable
from lab.plain import plain

EXIT_REPORTS = 1
# Timestamps above this, in seconds, come from dates; the log line shows the date better.
_DATES = 10_000_000
# The maximum number of forgeries shown.
_SHOWN = 5


def explain_logs(
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Logs; - is standard input."),
    ] = None,
    form: Annotated[
        str | None,
        typer.Option("--form", help=f"Form of the logs, if not recognized: {', '.join(NAMES)}."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    corpus: Annotated[
        Path | None,
        typer.Option("--score", metavar="FOLDER", help="Measure against logs with known titles."),
    ] = None,
    wrong: Annotated[
        bool,
        typer.Option(
            "--wrong", help="With --score: name the odd-numbered logs that are read wrongly."
        ),
    ] = False,
) -> None:
    """Print a kernel's reports from logs: kind, function at fault, CPU, task and line.

    The logs may come from consoles, dmesg in all its forms, journals, syslog files,
    /dev/kmsg and netconsole. The exit status is 0 if there is no report, 1 if
    there is a report, and 2 if a log can't be read or its form is unknown.
    """
    if corpus is not None:
        _print_scores(score_folder(corpus), as_json=as_json, wrong=wrong)
        return
    if not files:
        raise UserError("no log given", hint="give a file, or - for standard input")
    found: list[tuple[str, Explanation]] = []
    wrong_files: list[UserError] = []
    for name in files:
        try:
            with _opened(name) as stream:
                found.append((name, explain(stream, form)))
        except UserError as error:
            wrong_files.append(UserError(f"{name}: {error}", hint=error.hint))
            continue
        if not as_json:
            _print(*found[-1])
    if as_json:
        typer.echo(json.dumps([_as_json(name, one) for name, one in found], indent=2))
    for other in wrong_files[:-1]:
        typer.echo(f"lab: {plain(str(other))}", err=True)
    if wrong_files:
        raise wrong_files[-1]
    raise typer.Exit(EXIT_REPORTS if any(one.reports for _, one in found) else 0)


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(name).open("rb")  # noqa: SIM115 (closed below; only opening may fail here)
    except OSError as error:
        raise UserError(f"it can't be read: {error.strerror}") from error
    with stream:
        yield stream


def _say(text: str) -> None:
    """Print a line, made harmless: a log must not be able to control the terminal."""
    typer.echo(plain(text))


def _print(name: str, explanation: Explanation) -> None:
    count = len(explanation.reports) + explanation.more
    reports = "1 report" if count == 1 else f"{count or 'no'} reports"
    _say(f"{name}: {explanation.form.title}, {explanation.lines} lines, {reports}")
    for report in explanation.reports:
        _say(f"  line {report.first_line}: {report.title}")
        _say(f"    {', '.join(_facts(report))}")
    if explanation.more:
        _say(f"  and {explanation.more} more")
    for loss in explanation.losses:
        _say(f"  missing: {loss}")
    for forgery in explanation.forgeries[:_SHOWN]:
        _say(f"  not from the kernel: {forgery}")
    if explanation.forged > _SHOWN:
        _say(f"  not from the kernel: {explanation.forged} such texts in all")


def _facts(report: Report) -> Iterator[str]:
    yield report.kind
    if report.function:
        callers = [readable(name) for name in report.frames if name != report.function]
        others = f" (also {', '.join(callers)})" if callers else ""
        yield f"function {readable(report.function)}{others}"
    elif report.frames:
        yield f"functions {', '.join(map(readable, report.frames))}"
    if report.cpu is not None:
        yield f"CPU {report.cpu}"
    if report.task:
        yield f"task {report.task}"
    if report.stamp is not None and report.stamp < _DATES:
        yield f"at {report.stamp:.6f} s"
    yield f"{len(report.lines)} lines"
    if not report.complete:
        yield "incomplete"


def _as_json(name: str, explanation: Explanation) -> dict[str, Any]:
    return {
        "file": name,
        "form": explanation.form.name,
        "lines": explanation.lines,
        "more": explanation.more,
        "losses": list(explanation.losses),
        "forged": explanation.forged,
        "forgeries": list(explanation.forgeries),
        "reports": [
            {
                "kind": report.kind,
                "title": report.title,
                "function": report.function,
                "frames": list(report.frames),
                "cpu": report.cpu,
                "task": report.task,
                "caller": report.caller,
                "stamp": report.stamp,
                "line": report.first_line,
                "lines": len(report.lines),
                "complete": report.complete,
            }
            for report in explanation.reports
        ],
    }


def _figures(score: Score) -> dict[str, Figure]:
    return {"reported": score.reported, "kind": score.kind, "function": score.function}


def _print_scores(scores: dict[str, Score], *, as_json: bool, wrong: bool) -> None:
    if as_json:
        data = {
            name: {
                "logs": score.logs,
                **{
                    word: {"right": figure.right, "of": figure.total}
                    for word, figure in _figures(score).items()
                },
            }
            for name, score in scores.items()
        }
        typer.echo(json.dumps(data, indent=2))
        return
    for name, score in scores.items():
        figures = ", ".join(
            f"{word} {figure.share:.1f} % ({figure.right} of {figure.total})"
            for word, figure in _figures(score).items()
        )
        typer.echo(f"{name}: {score.logs} logs: {figures}")
    if wrong:
        for word, figure in _figures(scores["odd"]).items():
            typer.echo(f"odd, {word} wrong: {' '.join(figure.wrong) or 'none'}")
