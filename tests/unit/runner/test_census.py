# SPDX-License-Identifier: GPL-2.0-only
"""The census asks for each source at the right time, and names what a module left."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.oracle import inventory
from lab.runner import census as census_module
from lab.runner.census import Census
from lab.words import BPF_OBJECT_KINDS

READING = inventory.reading(
    {"_stext": (0xFFFFFFFF81000000, 0), "reboot_notifier_list": (0xFFFFFFFF81E2E7A0, 48)}, {}
)
EMPTY: dict[str, dict[str, Any]] = {
    "ledger": {kind: [] for kind in BPF_OBJECT_KINDS},
    "file": {"text": ""},
    "tree": {"folders": {}},
    "tasks": {"entries": []},
}


class Guest:
    """A guest with a given inventory; it notes the requests."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {"sysctl": {"folders": {"/proc/sys": ["vm"]}}}
        self.asked: list[str] = []

    def inventory(self, sources: bytes) -> dict[str, Any]:
        self.asked.append(sources.decode())
        found = []
        for line in sources.decode().splitlines():
            verb, name = line.split()[0], line.split()[1].removeprefix("name=")
            answer = self.answers.get(name) or EMPTY.get(verb) or {"nodes": []}
            found.append({"name": name, **answer})
        return {"ok": True, "sources": found}

    def run(self, command: str) -> Any:
        assert "/sys/module/pf/sections" in command
        return SimpleNamespace(stdout=".text:0xffffffffa0001000\n.data:0xffffffffa0002000\n")


@pytest.fixture
def guest() -> Guest:
    return Guest()


@pytest.fixture
def census(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> Census:
    symbols = {
        ".text": [(0x10, 0x20, "on_reboot")],
        ".data": [(0, 24, "block")],
        ".exit": [(0, 9, "x")],
    }
    monkeypatch.setattr(census_module, "module_symbols", lambda _path: symbols)
    monkeypatch.setattr(census_module, "scaled", lambda _seconds: Deadline(0.05))
    return Census(guest, READING)  # type: ignore[arg-type]


def leave_notifier(guest: Guest, function: int) -> None:
    guest.answers["reboot_notifier_list"] = {"nodes": [f"ffffffffa0002000 {function:x}"]}


def test_a_function_that_is_gone_has_the_name_that_it_had(guest: Guest, census: Census) -> None:
    leave_notifier(guest, 0xFFFFFFFFA0001010)
    census.look_at_module("pf", Path("pf.ko"))
    leave_notifier(guest, 0)
    text = "notifier of pf (function on_reboot) in reboot_notifier_list (its code is gone)"
    census.look_after_unload()
    assert census.left_at_unload == [text]
    assert census.look(modules_ran=True).left == [text]


def test_what_is_freed_a_little_later_is_not_left(guest: Guest, census: Census) -> None:
    leave_notifier(guest, 0xFFFFFFFFA0001010)
    answers = iter([guest.answers.copy()])

    def later(sources: bytes) -> dict[str, Any]:
        guest.answers = next(answers, {})
        return Guest.inventory(guest, sources)

    guest.inventory = later  # type: ignore[method-assign]
    census.look_after_unload()
    assert census.left_at_unload == []


def test_careful_sources_are_read_only_if_nothing_is_left(guest: Guest, census: Census) -> None:
    leave_notifier(guest, 0xFFFFFFFFA0001010)
    guest.asked.clear()
    found = census.look(modules_ran=True)
    assert not any("/proc/sys " in lines for lines in guest.asked)
    assert "sysctls" in found.not_looked_at
    guest.answers.pop("reboot_notifier_list")
    assert census.look(modules_ran=True).left == []
    assert "only=/proc/sys" in guest.asked[-1]


def test_without_modules_all_is_read_at_once(guest: Guest, census: Census) -> None:
    guest.asked.clear()
    assert census.look(modules_ran=False).left == []
    assert len(guest.asked) == 1


def test_a_module_that_stays_loaded_has_its_code(guest: Guest, census: Census) -> None:
    leave_notifier(guest, 0xFFFFFFFFA0001010)
    census.look_at_module("pf", Path("pf.ko"))
    guest.answers["modules"] = {"text": "pf 16384 0 - Live 0xffffffffa0001000\n"}
    left = census.look(modules_ran=True).left
    assert left == ["module pf", "notifier of pf (function on_reboot) in reboot_notifier_list"]


def test_a_network_device_that_is_left_is_not_asked(guest: Guest, census: Census) -> None:
    assert not census.look(modules_ran=True).touchy
    guest.answers["netdevs"] = {"folders": {"/sys/class/net": ["9 pf0"]}}
    assert census.look(modules_ran=True).touchy


def test_an_address_outside_of_all_symbols_has_no_name(census: Census) -> None:
    census.look_at_module("pf", Path("pf.ko"))
    assert census.name_of(0xFFFFFFFFA0001010) == ("on_reboot", "pf")
    assert census.name_of(0xFFFFFFFFA0001040) is None
    assert census.name_of(0xFFFFFFFFA0003000) is None


def test_a_sysctl_in_a_folder_of_the_kernels_is_a_suspect_until_it_was_looked_for(
    guest: Guest, census: Census
) -> None:
    known = {"folders": {"/proc/sys": ["vm"], "/proc/sys/vm": ["swappiness"]}}
    guest.answers["sysctl"] = known
    census.__post_init__()
    guest.answers["sysctl"] = {
        "folders": {**known["folders"], "/proc/sys/vm": ["swappiness", "pf"]}
    }
    census.look_at_module("pf", None)
    census.look_after_unload()
    (suspect,) = census.left_at_unload
    assert suspect.startswith("perhaps sysctl /proc/sys/vm/pf")
    guest.answers["sysctl"] = known
    assert census.look(modules_ran=True).left == []
    assert census.left_at_unload == []


def test_sections_that_are_forged_are_not_followed(
    guest: Guest, census: Census, monkeypatch: pytest.MonkeyPatch
) -> None:
    forged = SimpleNamespace(stdout=".text:0xzz\n.data\n:::\n.text:0x1:0x2\n")
    monkeypatch.setattr(guest, "run", lambda _command: forged)
    census.look_at_module("pf", Path("pf.ko"))
    assert census.name_of(0xFFFFFFFFA0001010) is None


@pytest.mark.parametrize("modules_ran", [True, False])
@pytest.mark.parametrize("name", ["mounts", "debugfs", "tasks", "sysctl"])
def test_a_source_that_can_no_longer_be_read_is_an_infra_error(
    guest: Guest, census: Census, name: str, modules_ran: bool
) -> None:
    guest.answers[name] = {"absent": "it is too large"}
    with pytest.raises(InfraError, match=f"{name} could be read at the baseline"):
        census.look(modules_ran=modules_ran)


def test_a_source_that_never_could_be_read_is_said_not_to_be_looked_at(guest: Guest) -> None:
    guest.answers["debugfs"] = {"absent": "no such file"}
    guest.answers["packets-lo"] = {"text": "0"}
    census = Census(guest, READING)  # type: ignore[arg-type]
    guest.answers["packets-lo"] = {"absent": "no such file"}
    assert "no such file" in census.look(modules_ran=True).not_looked_at.values()


def test_the_objects_of_bpf_come_with_the_rest(guest: Guest, census: Census) -> None:
    program = {"id": 7, "name": "count", "type": "kprobe"}
    guest.answers["ledger"] = {**EMPTY["ledger"], "programs": [program]}
    found = census.look(modules_ran=False)
    assert found.bpf_objects is not None
    assert [str(item) for item in found.bpf_objects.items] == ["program 7 (count, kprobe)"]
    assert census.look(modules_ran=True).bpf_objects is None


def test_without_the_objects_of_bpf_nothing_is_proven(guest: Guest, census: Census) -> None:
    guest.answers["ledger"] = {"programs": []}
    with pytest.raises(InfraError, match="lacks maps"):
        census.look(modules_ran=False)
