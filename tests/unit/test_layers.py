# SPDX-License-Identifier: GPL-2.0-only
"""The layers: each package imports only those below it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lab

ROOT = Path(lab.__file__).parent

# From the ground up; what stands in one line may import each other.
LAYERS = [
    {"cache", "config", "deadline", "errors", "events", "inputs", "jsontext", "plain"}
    | {"stages", "words", "workspace"},
    {"host"},
    {"kernel", "image", "extension"},
    {"vm"},
    {"guest"},
    {"scenario", "oracle"},
    {"judge"},
    {"runner"},
    {"report"},
    {"jobs"},
    {"cli", "pytest_plugin"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
# A package, and those below it that it must not import either.
FORBIDDEN = {
    # Scenarios are checked against a catalog, which is plain data.
    "scenario": {"kernel", "image", "extension"},
}


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            if node.module == "lab":
                yield from (f"lab.{alias.name}" for alias in node.names)


def violations(package: str, tree: ast.AST) -> list[str]:
    found = []
    for name in imports(tree):
        parts = name.split(".")
        if parts[0] != "lab" or len(parts) < 2 or parts[1] not in LEVEL:
            continue
        forbidden = parts[1] in FORBIDDEN.get(package, ())
        if forbidden or LEVEL[parts[1]] > LEVEL[package]:
            found.append(name)
    return found


def test_every_module_has_a_layer() -> None:
    here = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or path.is_dir()}
    assert {name for name in here if not name.startswith("__")} == set(LEVEL)


def test_imports_go_down_only() -> None:
    wrong = {}
    for path in ROOT.rglob("*.py"):
        package = path.relative_to(ROOT).parts[0].removesuffix(".py")
        if not package.startswith("__") and (
            found := violations(package, ast.parse(path.read_text()))
        ):
            wrong[str(path.relative_to(ROOT))] = found
    assert not wrong


def test_the_check_sees_an_import_upwards() -> None:
    assert violations("vm", ast.parse("from lab.runner import run")) == ["lab.runner"]
    assert violations("vm", ast.parse("from lab import judge")) == ["lab.judge"]


@pytest.mark.parametrize(
    "text",
    [
        "from lab.extension.rust import source",
        "from lab import kernel",
        "import lab.kernel.flavor",
        "def f():\n    from lab.extension import c",
    ],
)
def test_the_check_sees_a_forbidden_import(text: str) -> None:
    assert violations("scenario", ast.parse(text))
    assert not violations("runner", ast.parse(text))


def test_modules_stay_readable() -> None:
    long = {
        str(path.relative_to(ROOT)): count
        for path in ROOT.rglob("*.py")
        if (count := len(path.read_text().splitlines())) > 420
    }
    assert not long
