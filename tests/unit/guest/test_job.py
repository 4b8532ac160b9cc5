# SPDX-License-Identifier: GPL-2.0-only
"""Jobs, as the host's own shell runs their lines."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import psutil
import pytest

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest import job
from lab.guest.job import Job
from lab.guest.ssh import Completed

LIMIT = Deadline(20)


def execute(command: str, deadline: Deadline) -> Completed:
    done = subprocess.run(
        ["sh", "-c", command], capture_output=True, text=True, timeout=deadline.seconds, check=False
    )
    return Completed(command, done.returncode, done.stdout, done.stderr, 0.0)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(job, "FOLDER", str(tmp_path))
    return tmp_path


def test_starting_does_not_wait_and_the_end_can_be_waited_for() -> None:
    start = time.monotonic()
    one = Job.start(execute, 1, "sleep 0.4; echo out; echo err >&2; exit 7", LIMIT, keep=True)
    assert time.monotonic() - start < 0.4
    done = one.wait(LIMIT)
    assert (done.status, done.stdout, done.stderr) == (7, "out\n", "err\n")
    assert done.seconds >= 0.4


def test_one_that_has_ended_can_be_waited_for() -> None:
    one = Job.start(execute, 1, "echo 'it''s done'", LIMIT, keep=True)
    Deadline(10).poll(lambda: not psutil.pid_exists(one.session), "its end")
    assert one.wait(LIMIT).stdout == "its done\n"


@pytest.mark.parametrize("keep", [False, True])
def test_one_that_goes_on_is_killed(keep: bool) -> None:
    one = Job.start(execute, 1, "exec sleep 100", LIMIT, keep=keep)
    assert not one.end(LIMIT)
    assert not psutil.pid_exists(one.session)


@pytest.mark.parametrize("keep", [False, True])
def test_one_that_ended_by_itself_is_told(keep: bool, folder: Path) -> None:
    one = Job.start(execute, 3, "exit 1", LIMIT, keep=keep)
    Deadline(10).poll((folder / "kextlab-job-3.status").exists, "its status")
    assert one.end(LIMIT)


def test_what_it_prints_goes_nowhere_unless_it_is_kept(folder: Path) -> None:
    one = Job.start(execute, 1, "echo noise; echo more >&2; sleep 100", LIMIT, keep=False)
    one.end(LIMIT)
    assert not list(folder.glob("*.out"))


def test_one_that_does_not_start_is_an_error() -> None:
    def broken(_command: str, _deadline: Deadline) -> Completed:
        return Completed("", 1, "", "no space left\n", 0.0)

    with pytest.raises(InfraError, match="did not start"):
        Job.start(broken, 1, "true", LIMIT, keep=False)
