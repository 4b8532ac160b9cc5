# SPDX-License-Identifier: GPL-2.0-only
"""`pytest scenarios/` and `lab run` as users call them, on real guests."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from junitparser import Error, Failure, JUnitXml

from lab.deadline import scaled

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("spec")]

GOOD = """
summary: A shell line works
steps: [{shell: "true", expect: {status: 0}}]
expect: {kernel: alive}
"""
BAD = """
summary: A shell line fails
steps: [{shell: "false", expect: {status: 0}}]
expect: {kernel: alive}
"""
BROKEN = """
summary: An oracle can't be read
steps: [{shell: umount -l /proc, expect: {status: 0}}]
expect: {kernel: alive}
"""
LONG = """
summary: It takes a while
steps: [{shell: {command: sleep 60, timeout: 60}, expect: {status: 0}}]
expect: {kernel: alive}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scenarios of three fates."""
    path = tmp_path / "scenarios" / "basic"
    path.mkdir(parents=True)
    for name, text in (("good", GOOD), ("bad", BAD), ("broken", BROKEN)):
        (path / f"{name}.yaml").write_text(text)
    return path


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=cwd, capture_output=True, text=True, check=False
    )


def test_verdicts_are_failures_and_infra_errors_are_errors(folder: Path, tmp_path: Path) -> None:
    done = call(
        "pytest", "-n", "2", "--accel", "tcg", "--junitxml", "r.xml", str(folder), cwd=tmp_path
    )
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed, 1 error" in done.stdout
    cases = {case.name: case.result for suite in JUnitXml.fromfile(str(tmp_path / "r.xml"))
             for case in suite}  # fmt: skip
    assert cases["good@stock"] == []
    assert isinstance(cases["bad@stock"][0], Failure)
    assert isinstance(cases["broken@stock"][0], Error)
    # What a person needs: expected and happened first, then how to run it again.
    at = done.stdout.index("exit status: expected 0, but it was 1")
    assert at < done.stdout.index("run it again:")
    dossiers = list((tmp_path / ".lab" / "results").glob("*/basic_bad@stock/console.log"))
    assert len(dossiers) == 1


def test_a_mistake_in_a_file_is_told_with_its_place(folder: Path, tmp_path: Path) -> None:
    (folder / "typo.yaml").write_text(GOOD.replace("kernel:", "kernle:"))
    done = call("pytest", str(folder / "typo.yaml"), cwd=tmp_path)
    assert "typo.yaml:4:10" in done.stdout
    assert "kernel" in done.stdout
    assert "Traceback" not in done.stdout


def test_properties_are_marks_and_names_are_keywords(folder: Path, tmp_path: Path) -> None:
    marked = call("pytest", "--collect-only", "-q", "-m", "basic", str(folder), cwd=tmp_path)
    assert "3 tests collected" in marked.stdout
    none = call("pytest", "--collect-only", "-q", "-m", "memory", str(folder), cwd=tmp_path)
    assert "3 deselected" in none.stdout
    named = call("pytest", "--collect-only", "-q", "-k", "good", str(folder), cwd=tmp_path)
    assert "1/3 tests collected" in named.stdout
    again = call("pytest", "--collect-only", "-q", "--repeat", "2", str(folder), cwd=tmp_path)
    assert "6 tests collected" in again.stdout


def test_lab_run_is_the_same_runner(folder: Path, tmp_path: Path) -> None:
    done = call("lab", "run", "--accel", "tcg", str(folder), cwd=tmp_path)
    assert done.returncode == 1
    assert "1 passed, 1 failed, 1 error" in done.stdout
    only = call("lab", "run", str(folder), "--only", "basic/good@stock", cwd=tmp_path)
    assert only.returncode == 0, only.stdout + only.stderr
    none = call("lab", "run", str(folder), "--only", "nothing", cwd=tmp_path)
    assert none.returncode == 2
    assert "hint:" in none.stderr


def guests_of(process: psutil.Process) -> list[psutil.Process]:
    found = []
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # a compiler that has ended meanwhile
            found += [child] if "qemu" in child.name() else []
    return found


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_an_end_in_the_middle_leaves_nothing(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (folder / "good.yaml").write_text(LONG)
    scratch = tmp_path / "tmp"
    scratch.mkdir()
    with subprocess.Popen(
        # Who runs the tests in the background may have it ignored.
        [
            *("env", "--default-signal=INT", sys.executable, "-m", "pytest"),
            *("--accel", "tcg", str(folder / "good.yaml")),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
        start_new_session=True,
    ) as child:
        process = psutil.Process(child.pid)
        guests = scaled(60).poll(lambda: guests_of(process), "a guest")
        child.send_signal(number)
        out, _ = child.communicate(timeout=60)
    scaled(10).poll(lambda: not any(guest.is_running() for guest in guests), "no guest left")
    assert [path for path in scratch.iterdir() if not path.name.startswith("pytest-of")] == []
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in out
    assert call("pytest", "-k", "broken", str(folder), cwd=tmp_path).returncode == 1


def test_lab_shell_runs_piped_lines_and_gives_their_status(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "lab", "shell", "--accel", "tcg"],
        input="echo one; echo two >&2\nexit 5\n",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "one\n")
    assert "two\n" in done.stderr
