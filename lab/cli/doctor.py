# SPDX-License-Identifier: GPL-2.0-only
"""`lab doctor`: check whether this host can run the lab, and print remedies if not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import typer

from lab.cache import Cache
from lab.errors import LabError
from lab.extension.rust.toolchain import find_toolchain
from lab.host import doctor as host
from lab.vm import accel

_COLOURS = {"ok": "green", "warning": "yellow", "missing": "red"}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Boot the accelerators' tiny guests again.")
    ] = False,
) -> None:
    """Check tools and versions, disk, memory and accelerators.

    The exit status is 0 if the lab can work on this host, and 1 if not.
    """
    cache = Cache.default()
    checks = []
    for check in all_checks(cache, refresh=refresh):
        checks.append(check)
        if not as_json:
            _print(check)
    if as_json:
        typer.echo(json.dumps(host.as_json(checks), indent=2))
    else:
        typer.echo(_summary(checks))
    raise typer.Exit(0 if host.usable(checks) else 1)


def all_checks(cache: Cache, *, refresh: bool = False) -> Iterator[host.Check]:
    """Yield the host's checks, then the Rust toolchain's, then the accelerators'."""
    yield from host.host_checks(cache.root)
    yield rust_check()
    for name in ("tcg", "kvm"):
        yield accel_check(name, cache, refresh=refresh)


def rust_check() -> host.Check:
    """Check the compiler of Rust extensions; everything else works without it."""
    title = "rust toolchain"
    try:
        toolchain = find_toolchain()
    except LabError as error:
        why = "; ".join([error.message, *error.details.splitlines()])
        return host.Check(title, "warning", why, error.hint)
    return host.Check(title, "ok", f"{toolchain.version} ({toolchain.rustc})")


def accel_check(name: str, cache: Cache, *, refresh: bool = False) -> host.Check:
    """Check an accelerator; the lab can work without KVM, but not without emulation."""
    title = f"accelerator {name}"
    bad: host.Status = "missing" if name == "tcg" else "warning"
    try:
        report = accel.probe(name, cache, refresh=refresh)
    except LabError as error:
        return host.Check(title, bad, error.message, error.hint)
    status = "ok" if report.usable else bad
    detail = report.explanation if report.usable else f"{report.status}: {report.explanation}"
    return host.Check(title, status, detail, report.remedy)


def _print(check: host.Check) -> None:
    label = typer.style(f"{check.status:<8}", fg=_COLOURS[check.status])
    typer.echo(f"{label} {check.name}: {check.detail}")
    if check.remedy:
        typer.echo(f"         -> {check.remedy}")


def _summary(checks: list[host.Check]) -> str:
    missing = [check.name for check in checks if check.status == "missing"]
    if missing:
        return f"The lab can't work yet; missing: {', '.join(missing)}."
    return "The lab can work on this host."
