# SPDX-License-Identifier: GPL-2.0-only
"""`lab extension`: create, build and list extensions, without a guest."""

from __future__ import annotations

import re
import time
from typing import Annotated

import typer

from lab import events
from lab.cache import Cache
from lab.errors import UserError
from lab.extension import c, c_source
from lab.extension.c_source import ProgramDecl
from lab.extension.rust import source as rust_source
from lab.extension.rust.build import build_rust
from lab.extension.rust.frames import LARGEST_FRAME, frames_of, named
from lab.kernel.build import build_kernel
from lab.kernel.flavor import load_flavor
from lab.report.progress import ProgressReport
from lab.workspace import EXTENSION_KINDS, RUST_ROOT, Workspace

app = typer.Typer(no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(metavar="NAME...", help="Extensions, by name.")]

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}")
_NAMES_ARE = "lower-case letters, digits and _; the first is a letter"
# An extension is a crate of the same name. With one of these names it would replace a crate
# that it is built with, which rustc refuses (E0519, E0463), or readers would confuse the two.
_CRATES = ("core", "compiler_builtins", "rex", "rex_macros", "std", "alloc", "proc_macro")

MANIFEST = """\
# For editors (rust-analyzer): the lab compiles src/lib.rs itself, without cargo.
[package]
name = "{name}"
version = "0.1.0"
edition = "2024"

[dependencies]
rex = {{ path = "../../rex" }}
"""
SOURCE = """\
// SPDX-License-Identifier: GPL-2.0-only
//! Describe here what the extension shows.
#![no_std]
use rex::prelude::*;

#[rex_map]
static COUNTS: Array<AtomicU64> = Array::new(1);

/// Counts the calls of getpgid(2).
#[rex_kprobe("__x64_sys_getpgid")]
fn count(_context: &Kprobe) {{
    COUNTS.at(0).unwrap().fetch_add(1, Relaxed);
}}
"""


@app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help=f"{_NAMES_ARE.capitalize()}.")],
) -> None:
    """Create a Rust extension from a template."""
    if not _NAME.fullmatch(name):
        raise UserError(
            f"'{name}' is not a valid extension name",
            hint=f"{_NAMES_ARE}: count_mine",
        )
    if name in _CRATES:
        raise UserError(
            f"'{name}' is the name of a crate that comes with Rust or with the lab",
            hint=f"choose another name: my_{name}",
        )
    folder = Workspace.default().rust[0] / name
    if folder.exists():
        raise UserError(f"{folder} already exists", hint="choose another name, or edit it")
    (folder / "src").mkdir(parents=True)
    (folder / "Cargo.toml").write_text(MANIFEST.format(name=name))
    (folder / RUST_ROOT).write_text(SOURCE.format())
    typer.echo(folder / RUST_ROOT)


@app.command("build")
def build_command(
    names: Names,
    kernel: Annotated[
        str,
        typer.Option("--kernel", metavar="FLAVOR", help="The kernel whose types C programs see."),
    ] = "stock",
) -> None:
    """Compile and check extensions in Rust and C, and list their programs."""
    with ProgressReport() as report:
        cache, workspace = Cache.default(report), Workspace.default()
        for name in names:
            start = time.monotonic()
            programs, maps, warnings = _build(workspace, name, kernel, cache, report)
            typer.echo(f"{name}: built in {time.monotonic() - start:.1f} s")
            for program in programs:
                typer.echo(f"  program {program.name}: {program.section}")
            for one in maps:
                typer.echo(f"  map {one}")
            if warnings:
                typer.echo(warnings.rstrip(), err=True)


def _build(
    workspace: Workspace, name: str, flavor: str, cache: Cache, emit: events.Emit
) -> tuple[list[ProgramDecl], list[str], str]:
    if name in workspace.names("rust"):
        image = build_rust(workspace, name, cache, emit)
        place = workspace.find("rust", name)
        return rust_source.programs_in_source(place), rust_source.maps_in_source(place), image.log
    if name in workspace.names("c"):
        kernel = build_kernel(load_flavor(workspace, flavor), cache, emit)
        built = c.build_c(workspace, name, kernel, cache, emit)
        path = workspace.find("c", name)
        headers = workspace.headers_of(path)
        maps = c_source.maps_in_source(path, headers)
        return c_source.programs_in_source(path, headers), maps, built.log
    raise UserError(
        f"there is no extension {name} in Rust or C", hint="`lab extension list` names them"
    )


@app.command("frames")
def frames_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An extension in Rust.")],
) -> None:
    """Print each function's stack frame size, largest first."""
    workspace = Workspace.default()
    if name not in workspace.names("rust"):
        for names, what in (
            (workspace.names("c"), "in C"),
            (workspace.names("module"), "a kernel module"),
        ):
            if name in names:
                raise UserError(
                    f"{name} is {what}, not in Rust: it has no stack of its own",
                    hint="`lab extension list` shows which are in Rust",
                )
    with ProgressReport() as report:
        image = build_rust(workspace, name, Cache.default(report), report)
    found = named(image.debug, frames_of(name, image.debug))
    for one in sorted(found, key=lambda one: (-one.frame.size, one.frame.address)):
        typer.echo(f"{one.frame.size:>7} {one}")
    typer.echo(f"{len(found)} functions; a frame of up to {LARGEST_FRAME} bytes fits")


@app.command("list")
def list_command() -> None:
    """List the extensions that scenarios can name."""
    workspace = Workspace.default()
    for kind in EXTENSION_KINDS:
        for name in workspace.names(kind):
            typer.echo(f"{kind:<7}{name}")
