# SPDX-License-Identifier: GPL-2.0-only
"""Saving and restoring a machine, with a QEMU that is made up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import pytest

from lab.deadline import Deadline, DeadlineExceeded
from lab.errors import InfraError
from lab.vm import migrate
from lab.vm.console import Console, Line
from lab.vm.migrate import RestoreFailed
from lab.vm.qmp import Qmp, QmpEvent, QmpFailed
from lab.vm.registers import CpuRegisters


class FakeMachine:
    """A machine whose QEMU answers `answers` to commands and reports `events` on a restore."""

    def __init__(self, *events: str, **answers: Any) -> None:
        self.qmp: Qmp = create_autospec(Qmp, instance=True)
        self.console: Console = create_autospec(Console, instance=True)
        self.commands: list[str] = []
        self.events: list[QmpEvent] = []
        self.running = True
        self.age = 3.0
        self.stderr = "qemu: bad state\n"
        self.looks: Iterator[tuple[int, ...]] = iter(
            [(), (0, 1), (1, 1), (1, 0), *[(1, 1)] * migrate.IDLE_SAMPLES]
        )
        self._reported = events
        self._answers = {name.replace("_", "-"): answer for name, answer in answers.items()}
        self.qmp.execute.side_effect = self._execute

    def _execute(self, command: str, **_arguments: Any) -> Any:
        self.commands.append(command)
        if command == "migrate-incoming":
            self.events += [QmpEvent("MIGRATION", {"status": one}, 0.0) for one in self._reported]
        answer = self._answers.get(command, {})
        if isinstance(answer, Exception):
            raise answer
        return answer

    def registers(self) -> tuple[CpuRegisters, ...]:
        return tuple(
            CpuRegisters(cpu, 0, 0x246, 0, bool(halted))
            for cpu, halted in enumerate(next(self.looks))
        )

    def wait(self, found: Callable[[], bool], deadline: Deadline, what: str) -> None:
        if not found():
            raise DeadlineExceeded(what, deadline.seconds)

    def wait_for_exit(self, seconds: float) -> int | None:
        return None


def test_a_restored_machine_runs() -> None:
    machine = FakeMachine("setup", "active", "completed")
    migrate.restore(machine, 7)
    assert machine.commands == ["migrate-set-capabilities", "migrate-incoming", "cont"]


@pytest.mark.parametrize(
    ("machine", "message"),
    [
        (FakeMachine("active", "failed"), "QEMU can't load the saved machine"),
        (FakeMachine("active"), "not loaded: .*the saved machine to be loaded"),
        (FakeMachine(migrate_incoming=QmpFailed("no such descriptor")), "no such descriptor"),
    ],
)
def test_a_machine_that_cannot_be_restored_says_why(machine: FakeMachine, message: str) -> None:
    with pytest.raises(RestoreFailed, match=message) as caught:
        migrate.restore(machine, 7)
    assert caught.value.details == "qemu: bad state"
    assert "cont" not in machine.commands


def test_a_machine_that_ended_is_not_waited_for() -> None:
    machine = FakeMachine("active")
    machine.running = False
    with pytest.raises(RestoreFailed, match="can't load"):
        migrate.restore(machine, 7)


def test_a_saved_console_has_times_before_the_save(tmp_path: Path) -> None:
    machine = FakeMachine(query_migrate={"status": "completed"})
    machine.console.lines.return_value = [Line(1.0, "kextlab: init")]  # type: ignore[attr-defined]
    migrate.save(machine, tmp_path, Deadline(1.0))
    assert json.loads((tmp_path / "console.json").read_text()) == [[-2.0, "kextlab: init"]]
    assert machine.commands[0] == "stop"


def test_a_save_that_fails_gives_the_reason_of_qemu(tmp_path: Path) -> None:
    machine = FakeMachine(query_migrate={"status": "failed", "error-desc": "no space"})
    with pytest.raises(InfraError) as caught:
        migrate.save(machine, tmp_path, Deadline(1.0))
    assert caught.value.details == "no space"


def test_a_guest_is_quiet_when_all_its_cpus_stay_halted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "_IDLE_INTERVAL", 0.0)
    machine = FakeMachine()
    migrate.wait_until_quiet(machine, Deadline(5.0))
    assert next(machine.looks, None) is None
