# SPDX-License-Identifier: GPL-2.0-only
"""The tools oracle: what a step replaced, covered or traced is named; what it may do is not."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import InfraError
from lab.guest.witness import Witness
from lab.oracle import tampering

MOUNTS = (
    "1 1 0:2 / / rw - rootfs rootfs rw\n"
    "22 1 0:5 / /proc rw,relatime - proc proc rw\n"
    "23 1 0:20 / /sys rw,relatime shared:2 - sysfs sysfs rw\n"
)
UNTRACED = "Name:\tkextwitness\nTracerPid:\t0\nUid:\t0\n"
FILES = {
    "/root/a.o": "2 9 100644 9 1.0 1.0",
    "/usr/bin": "2 8 40755 0 1.0 1.0",
    "/usr/bin/kextload": "2 9 100755 900 1.0 1.0",
}


def answer(**changed: Any) -> dict[str, Any]:
    good = {
        "ok": True,
        "files": FILES,
        "mounts": MOUNTS,
        "tables": MOUNTS,
        "stopped": False,
        "tables_lost": False,
        "own_status": UNTRACED,
        "parent_status": UNTRACED,
    }
    return good | changed


def changes(**changed: Any) -> list[str]:
    return tampering.changes(tampering.parse(answer()), tampering.parse(answer(**changed)))


def test_nothing_changed() -> None:
    assert changes() == []
    tampering.check(tampering.parse(answer()), tampering.parse(answer()))


@pytest.mark.parametrize(
    ("files", "named"),
    [
        (FILES | {"/usr/bin/kextload": "2 77 100755 900 2.0 2.0"}, "/usr/bin/kextload was changed"),
        (
            {path: FILES[path] for path in ("/root/a.o", "/usr/bin")},
            "/usr/bin/kextload is gone",
        ),
        (FILES | {"/etc/ld.so.preload": "2 9 100644 9 1.0 1.0"}, "/etc/ld.so.preload is new"),
        (FILES | {"/root/a.o": "2 9 100644 9 2.0 2.0"}, "/root/a.o was changed"),
        ({**FILES, "/root/a.o": "", "/root/mine": ""}, "/root/a.o was changed"),
    ],
)
def test_a_file_of_the_lab_that_changed_is_named(files: dict[str, str], named: str) -> None:
    assert changes(files=files) == [named]


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("40 22 0:2 /root/x /proc/sys/kernel/tainted rw - rootfs x rw", "/proc/sys/kernel/tainted"),
        ("40 1 0:30 / /usr/bin rw shared:3 master:2 - tmpfs none rw", "/usr/bin"),
        ("40 1 0:30 / / rw - tmpfs none rw", "/"),
        ("40 1 0:30 / /sys/kernel/debug/tracing rw - tmpfs none rw", "/sys/kernel/debug/tracing"),
        (r"40 1 0:30 / /proc/a\012b rw - tmpfs none rw", "/proc/a\nb"),
    ],
)
def test_a_mount_over_what_is_read_is_named(line: str, named: str) -> None:
    assert changes(mounts=f"{MOUNTS}{line}\n") == [f"something is mounted on {named}"]


@pytest.mark.parametrize(
    "line",
    [
        "40 1 0:30 / /mnt rw - tmpfs none rw",
        "40 1 0:30 / /tmp/sys rw - tmpfs none rw",
        "40 1 0:30 / /procession rw - tmpfs none rw",
    ],
)
def test_mounts_elsewhere_are_no_news(line: str) -> None:
    assert changes(mounts=f"{MOUNTS}{line}\n") == []


def test_what_is_unmounted_and_mounted_again_is_another_mount() -> None:
    assert changes(mounts=MOUNTS.replace("22 1 ", "41 1 ")) == ["something is mounted on /proc"]
    gone = "".join(line for line in MOUNTS.splitlines(True) if "/proc" not in line)
    assert changes(mounts=gone) == ["/proc is no longer mounted"]


def test_a_mount_that_is_gone_again_is_named() -> None:
    passing = f"{MOUNTS}40 1 0:30 / /usr/bin rw - tmpfs none rw\n{MOUNTS}"
    assert changes(tables=passing) == ["something was mounted on /usr/bin for a time"]
    assert changes(tables=passing.replace("/usr/bin", "/mnt")) == []


@pytest.mark.parametrize("said", [True, None, "no"])
def test_a_witness_that_could_not_watch_is_no_proof(said: Any) -> None:
    assert changes(stopped=said) == ["the witness was stopped for a time"]
    assert changes(tables_lost=said) == ["there were more mounts than the witness keeps"]


def test_a_tracer_is_named() -> None:
    traced = UNTRACED.replace("\t0\nUid", "\t77\nUid")
    assert changes(own_status=traced) == ["the witness is traced"]
    assert changes(parent_status=traced) == ["the SSH server is traced"]


def test_an_error_names_a_few_and_counts_the_rest() -> None:
    files = {path: state + "!" for path, state in FILES.items()} | {f"/bin/{n}": "" for n in "abcd"}
    with pytest.raises(InfraError, match=r"/root/a\.o was changed; and 2 more"):
        tampering.check(tampering.parse(answer()), tampering.parse(answer(files=files)))


@pytest.mark.parametrize(
    "changed",
    [
        {"files": {}},
        {"files": None},
        {"mounts": 5},
        {"mounts": "x y z\n"},
        {"own_status": ""},
        {"parent_status": None},
    ],
)
def test_what_does_not_tell_is_no_proof(changed: dict[str, Any]) -> None:
    with pytest.raises(InfraError):
        tampering.parse(answer(**changed))


@given(st.text())
def test_any_mounts_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(InfraError):
        tampering.parse(answer(mounts=text))


# The witness


class Pipe:
    """A `kextwitness` that answers with these lines; `WORD` stands for the last word but one."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.words = [""]

    def start(self, *_args: Any, **_options: Any) -> Pipe:
        return self

    def send(self, data: bytes, _deadline: Any) -> None:
        if b"next=" in data:
            self.words.append(data.decode().strip().partition("next=")[2])

    def read_line(self, _deadline: Any) -> bytes:
        return (
            self.lines.pop(0)
            .replace("WORD", self.words[-2] if len(self.words) > 1 else "")
            .encode()
        )


GOOD = '{"ok":true,"word":"WORD"}'


def witness(*lines: str) -> Witness:
    ssh: Any = Pipe(*lines)
    return Witness(ssh, ssh)


def test_the_witness_knows_the_word_of_last_time() -> None:
    limit: Any = None
    one = witness(GOOD, GOOD, GOOD)
    for _ in range(3):
        one.seal(limit)


@pytest.mark.parametrize("line", ['{"ok":true,"word":""}', '{"ok":true}', '{"ok":true,"word":5}'])
def test_what_does_not_know_the_word_is_somebody_else(line: str) -> None:
    limit: Any = None
    one = witness(GOOD, line)
    one.seal(limit)
    with pytest.raises(InfraError, match="something else answers"):
        one.seal(limit)


@pytest.mark.parametrize(
    "line", ['{"ok":true,"files":{}}', '{"ok":true}', '{"ok":false,"error":"no"}', "no JSON"]
)
def test_files_that_are_not_those_asked_for_are_refused(line: str) -> None:
    limit: Any = None
    with pytest.raises(InfraError):
        witness(line).read_files(["/proc/x"], limit)


def test_a_word_with_wide_characters_is_compared_too() -> None:
    limit: Any = None
    with pytest.raises(InfraError, match="something else answers"):
        witness('{"ok":true,"word":"é"}').seal(limit)
