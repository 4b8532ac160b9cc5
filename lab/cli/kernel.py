# SPDX-License-Identifier: GPL-2.0-only
"""`lab kernel`: build, list and inspect kernels."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lab.cache import Cache
from lab.errors import LabError, UserError
from lab.kernel import artifact, build, series
from lab.kernel.artifact import Kernel
from lab.kernel.flavor import Flavor, flavors, load_flavor
from lab.kernel.kconfig import fragments
from lab.report.progress import ProgressReport
from lab.workspace import Workspace

app = typer.Typer(no_args_is_help=True)

FlavorName = Annotated[
    str, typer.Argument(metavar="FLAVOR", help="A folder of kconfigs/, or a path to a kernel.yaml.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("build")
def build_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[FLAVOR]...", help="Flavors; default: stock.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, help="Parallel compilers; default: number of cores."),
    ] = None,
    each_patch: Annotated[
        bool,
        typer.Option(
            "--each-patch", help="Build after each of the flavor's patches; keep no kernel."
        ),
    ] = False,
) -> None:
    """Build kernels, or take them from the cache."""
    workspace = Workspace.default()
    wanted = [load_flavor(workspace, name) for name in names or ["stock"]]
    with ProgressReport() as report:
        for flavor in wanted:
            if each_patch:
                for step in series.build_each(flavor, Cache.default(report), report, jobs):
                    with_ = " ".join(step.granted) or "none of the flavor's options"
                    typer.echo(
                        f"{flavor.name}: {step.patch.name} builds: {step.objects} objects "
                        f"in {step.seconds:.1f} s, with {with_}"
                    )
                continue
            start = time.monotonic()
            kernel = build.build_kernel(flavor, Cache.default(report), report, jobs)
            seconds = time.monotonic() - start
            typer.echo(f"{flavor.name}: {kernel.release} in {seconds:.1f} s: {kernel.boot.parent}")


@app.command("list")
def list_command(as_json: AsJson = False) -> None:
    """List the flavors, and which of them are in the cache."""
    cache = Cache.default()
    rows = [_row(flavor, cache) for flavor in flavors(Workspace.default()).values()]
    if as_json:
        typer.echo(json.dumps({"version": 1, "flavors": rows}, indent=2))
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("flavor", "built", "release", "size", "source", "summary"):
        table.add_column(heading, overflow="fold" if heading == "summary" else "ellipsis")
    for row in rows:
        size = f"{row['bytes'] >> 20} MB" if row["bytes"] else ""
        built = "yes" if row["built"] else "no"
        table.add_row(
            row["flavor"], built, row["release"] or "", size, row["source"], row["summary"]
        )
    Console().print(table)
    for row in rows:
        if row["problem"]:
            Console(stderr=True).print(f"{row['flavor']}: {row['problem']}", markup=False)


@app.command("config")
def config_command(
    name: FlavorName,
    against: Annotated[
        str | None,
        typer.Option("--diff", metavar="FLAVOR", help="Show the differences from this flavor."),
    ] = None,
    requested: Annotated[
        bool,
        typer.Option("--requested", help="Show which options the fragments request, and where."),
    ] = False,
) -> None:
    """Print the path of a built kernel's configuration, or its sources."""
    workspace = Workspace.default()
    flavor = load_flavor(workspace, name)
    if requested:
        for request in fragments.read_fragments(flavor.fragments).values():
            typer.echo(f"{request.symbol}={request.value}  # {request.where}")
        return
    kernel = _built(flavor)
    if against is None:
        typer.echo(kernel.config)
        return
    other = fragments.read_config(_built(load_flavor(workspace, against)).config)
    own = fragments.read_config(kernel.config)
    for symbol in sorted({*own, *other}):
        if own.get(symbol) != other.get(symbol):
            typer.echo(f"{symbol}: {other.get(symbol, 'n')} -> {own.get(symbol, 'n')}")


@app.command("clean")
def clean_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[FLAVOR]...", help="Flavors; default: all.")
    ] = None,
) -> None:
    """Delete built kernels and the folders in which they were built."""
    cache = Cache.default()
    workspace = Workspace.default()
    chosen = [load_flavor(workspace, name) for name in names or workspace.names("kernel")]
    for flavor in chosen:
        if build.remove_kernel(flavor, cache):
            typer.echo(f"{flavor.name}: deleted")
    if not names:
        # Also delete those of former versions of a flavor.
        for left in build.remove_all(cache):
            typer.echo(f"deleted {left}")


def _built(flavor: Flavor) -> Kernel:
    kernel = build.find_kernel(flavor, Cache.default())
    if kernel is None:
        raise UserError(
            f"kernel {flavor.name} is not built", hint=f"`lab kernel build {flavor.name}`"
        )
    return kernel


def _row(flavor: Flavor, cache: Cache) -> dict[str, Any]:
    row: dict[str, Any] = {
        "flavor": flavor.name,
        "summary": flavor.summary,
        "source": flavor.source_text,
        "built": False,
        "release": None,
        "bytes": 0,
        "seconds": None,
        "problem": None,
    }
    try:
        kernel = build.find_kernel(flavor, cache)
    except LabError as error:
        # A source that is missing now must not hide the other flavors.
        row["problem"] = error.message
        return row
    if kernel is not None:
        folder = kernel.boot.parent
        row |= {"built": True, "release": kernel.release, "bytes": _size(folder)}
        row["seconds"] = artifact.read_record(folder)["seconds"]
    return row


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if not path.is_dir())
