# SPDX-License-Identifier: GPL-2.0-only
"""extensions/README.md, done word for word in a copy of the checkout."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.cli.extension import MANIFEST
from lab.workspace import CHECKOUT

pytestmark = pytest.mark.integration

README = CHECKOUT / "extensions" / "README.md"
HEAD = "#![no_std]\nuse rex::prelude::*;\n"

_FENCED = re.compile(r"^```(?P<kind>\w*)\n(?P<text>.*?)^```$", re.M | re.S)
_FILE = re.compile(r"`((?:extensions|scenarios)/[\w/.-]+\.(?:rs|yaml))`")
# What is another in each run, or with another compiler: seconds, CPUs, frames, places.
_VARIES = re.compile(r"\d+\.\d+ s|CPU \d|#\d+|(?<=: )\S*/\.lab/results/[\d-]+")
_NOT_OURS = re.compile(r" +#\d+ (?:rex|core|__rustc)\b")


@dataclass(frozen=True)
class Block:
    """A fenced block; `file` is the last file that the paragraph before it names."""

    kind: str
    text: str
    file: str
    section: str


def blocks() -> list[Block]:
    text = README.read_text()
    found = []
    for match in _FENCED.finditer(text):
        before = text[: match.start()]
        files = _FILE.findall(before.rstrip().rpartition("\n\n")[2])
        (*_, section) = re.findall(r"^## (.*)$", before, re.M)
        found.append(Block(match["kind"], match["text"], files[-1] if files else "", section))
    return found


def in_section(title: str) -> list[Block]:
    found = [block for block in blocks() if block.section == title]
    assert found, f"{README.name} has no section {title}"
    return found


def _environment(**more: str) -> dict[str, str]:
    """The user's, in which the lab finds the checkout by where it is itself.

    As the page has it, the lab's own environment is not active: nothing says `lab`.
    """
    kept = {name: value for name, value in os.environ.items() if name != "LAB_REPO"}
    folders = kept.get("PATH", os.defpath).split(os.pathsep)
    kept["PATH"] = os.pathsep.join(one for one in folders if not (Path(one) / "lab").exists())
    return kept | more


class Clone:
    """A checkout as by `git clone`, set up as by lab.sh."""

    def __init__(self, root: Path) -> None:
        self.root = root
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=CHECKOUT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (CHECKOUT / name).is_file():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(CHECKOUT / name, root / name)
        tool = root / ".venv/bin/lab"
        tool.parent.mkdir(parents=True)
        tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m lab "$@"\n')
        tool.chmod(0o755)
        parts = ("pyproject.toml", "lab/host/packages.txt")
        content = f"{root}\n".encode() + b"".join((root / part).read_bytes() for part in parts)
        stamp = hashlib.sha256(content).hexdigest()
        (root / ".venv/.kextlab-stamp").write_text(f"{stamp} core\n")

    def write(self, block: Block) -> None:
        assert block.file, block.text
        path = self.root / block.file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text)

    def sh(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", line],
            cwd=self.root,
            env=_environment(PYTHONPATH=str(self.root)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def do(self, section: str) -> list[tuple[str, subprocess.CompletedProcess[str]]]:
        """Write the files of a section, run its lines, in the order of the text."""
        done = []
        for block in in_section(section):
            if block.kind == "sh":
                done += [(line, self.sh(line)) for line in block.text.splitlines()]
            elif block.file:
                self.write(block)
        return done


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone") / "kextlab")


@pytest.mark.usefixtures("rex")
def test_the_first_extension_runs(clone: Clone) -> None:
    prepared = clone.do("What you need")
    assert [line for line, _ in prepared] == ["./lab.sh doctor", "./lab.sh kernel build rex"]
    assert prepared[-1][1].returncode == 0, prepared[-1][1].stdout
    done = clone.do("Your first extension")
    for line, result in done:
        assert result.returncode == 0, f"{line}\n{result.stdout}"
    said = done[-1][1].stdout
    assert "pass  types/count-users@rex" in said
    assert "1 passed, 0 failed, 0 error" in said
    # As the page says: another number is not what it counts.
    scenario = clone.root / "scenarios/types/count-users.yaml"
    scenario.write_text(scenario.read_text().replace("{0: 100}", "{0: 99}"))
    assert clone.sh(done[-1][0]).returncode == 1


@pytest.mark.usefixtures("rex")
def test_the_failure_reads_as_it_is_shown_and_is_fixed(clone: Clone) -> None:
    ((line, failed),) = clone.do("Reading a failure")
    assert failed.returncode == 1
    shown, fixed = [block for block in in_section("Reading a failure") if not block.file][1:]
    said = _lines(failed.stdout)
    assert [line for line in _lines(shown.text) if line not in said] == [], failed.stdout
    source = clone.root / "extensions/rust/look_inside/src/lib.rs"
    lines = source.read_text().splitlines()
    assert "[place]" in lines[6]
    lines[6] = fixed.text.rstrip("\n")
    source.write_text("\n".join(lines) + "\n")
    again = clone.sh(line)
    assert again.returncode == 0, again.stdout


def _lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip() and not _NOT_OURS.match(line)]
    return [_VARIES.sub("N", line) for line in lines]


def test_the_tour_compiles(clone: Clone) -> None:
    parts = [block.text for block in in_section("Reference") if block.kind == "rust"]
    assert len(parts) > 3
    _build(clone, "tour", HEAD + "\n".join(parts))


def test_the_example_of_the_crate_compiles(clone: Clone) -> None:
    text = (CHECKOUT / "extensions" / "rex/src/lib.rs").read_text()
    (example,) = re.findall(r"^//! ```ignore\n(.*?)^//! ```$", text, re.M | re.S)
    _build(clone, "example", re.sub(r"^//! ?", "", example, flags=re.M))


def _build(clone: Clone, name: str, text: str) -> None:
    source = clone.root / "extensions/rust" / name / "src/lib.rs"
    source.parent.mkdir(parents=True)
    source.write_text(text)
    done = clone.sh(f"./lab.sh extension build {name}")
    assert done.returncode == 0, done.stdout


def test_frames_are_told_as_shown(clone: Clone) -> None:
    """With the numbers of another compiler."""
    done = clone.do("The stack")
    assert [result.returncode for _, result in done] == [0, 0], done
    said = _lines("".join(result.stdout for _, result in done))
    (shown,) = [block for block in in_section("The stack") if not block.kind]

    def numberless(lines: list[str]) -> set[str]:
        return {re.sub(r"\b60\d{3}\b", "N", line) for line in lines}

    assert numberless(_lines(shown.text)) <= numberless(said)


def test_the_manifest_is_what_new_writes() -> None:
    (manifest,) = in_section("Your editor")
    written = MANIFEST.format(name="count_users").partition("\n")[2]
    assert manifest.text == written


@pytest.mark.skipif(shutil.which("cargo") is None, reason="cargo is not needed, and not here")
def test_an_editor_can_check_it(clone: Clone) -> None:
    """Run the commands that rust-analyzer runs, including tests."""
    clone.sh("./lab.sh extension new in_editor")
    folder = clone.root / "extensions/rust/in_editor"
    done = subprocess.run(
        ["cargo", "check", "--offline", "--all-targets"],
        cwd=folder,
        env={**os.environ, "CARGO_TARGET_DIR": str(clone.root / "target")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr


def test_what_it_names_is_there() -> None:
    """Files of the checkout, and what the crate calls public."""
    text = re.sub(_FENCED, "", README.read_text())
    made = {block.file for block in blocks()}
    for name in re.findall(r"`((?:scenarios|docs|kconfigs|extensions)/[\w/.-]+)`", text):
        mine = name in made or "count_users" in name or "NAME" in name
        assert mine or (CHECKOUT / name).exists(), name
    crate = "".join(path.read_text() for path in (CHECKOUT / "extensions" / "rex").rglob("*.rs"))
    words = set(re.findall(r"`(?:#\[)?(\w+)[^`]*`", text.partition("## Reference")[2]))
    for word in ("ktime_ns", "insert_new", "tcp_socket", "rex_perf_event", "NO_ROOM", "peek"):
        assert word in words
        assert re.search(rf"\b{word}\b", crate), word
