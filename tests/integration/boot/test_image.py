# SPDX-License-Identifier: GPL-2.0-only
"""The minimal image: what is in it, and what its init does with a real kernel."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path

import paramiko
import pytest

from lab.cache import Cache
from lab.deadline import scaled
from lab.guest import identity
from lab.guest.guest import Guest, GuestSpec
from lab.image import build, cpio, debs, elf
from lab.runner.plan import Planner
from lab.workspace import Workspace

pytestmark = pytest.mark.integration


def test_the_same_bytes_twice_and_small(tmp_path: Path) -> None:
    one = build.build_image(Workspace.default(), "minimal", Cache(tmp_path / "one"))
    two = build.build_image(Workspace.default(), "minimal", Cache(tmp_path / "two"))
    assert one.path.read_bytes() == two.path.read_bytes()
    assert one.key == two.key


def test_with_loader_and_triggers_it_stays_small(planner: Planner) -> None:
    image = planner.image(planner.kernel("stock"))
    names = {entry.path for entry in cpio.read(image.path.read_bytes())}
    assert {"usr/bin/kextload", "usr/bin/kexttrigger", "usr/sbin/bpftool"} <= names
    assert image.size <= 10_000_000


def test_packages_that_are_not_installed_are_unpacked(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    root = debs.unpacked("dropbear-bin", cache)
    assert elf.is_elf(root / "usr/sbin/dropbear")
    found = elf.closure(root / "usr/sbin/dropbear", elf.library_folders([root]))
    library = found["/lib/x86_64-linux-gnu/libtomcrypt.so.1"]
    assert library.is_relative_to(root)
    assert debs.unpacked("dropbear-bin", cache) == root


def test_everything_is_mounted(guest: Guest) -> None:
    mounts = {
        line.split()[1]: line.split()[2]
        for line in guest.run("cat /proc/mounts").stdout.splitlines()
    }
    expected = {
        "/dev": "devtmpfs",
        "/dev/pts": "devpts",
        "/proc": "proc",
        "/sys": "sysfs",
        "/sys/fs/bpf": "bpf",
        "/sys/fs/cgroup": "cgroup2",
        "/sys/kernel/debug": "debugfs",
        "/sys/kernel/tracing": "tracefs",
    }
    assert {path: mounts.get(path) for path in expected} == expected


def test_the_guest_has_its_own_identity(guest: Guest, spec: GuestSpec) -> None:
    assert guest.run("cat /etc/kextlab/identity").stdout.strip() == guest.identity.nonce
    with Guest.boot(spec) as other:
        assert other.identity.nonce != guest.identity.nonce
        assert other.identity.host_public != guest.identity.host_public


def test_work_starts_in_roots_home_with_the_tools_in_path(guest: Guest) -> None:
    assert guest.run("pwd").stdout == "/root\n"
    for program in ("bpftool", "kextload", "kexttrigger", "insmod"):
        assert guest.run(f"command -v {program}").status == 0, program
    assert guest.run("bpftool prog show").status == 0


def test_the_console_shows_everything_after_the_boot(guest: Guest) -> None:
    assert guest.run("cat /proc/sys/kernel/printk").stdout.split()[0] == "8"


def test_loopback_is_up(guest: Guest) -> None:
    assert guest.run("ping -c 1 -W 5 127.0.0.1", scaled(20)).status == 0


def test_orphans_are_reaped(guest: Guest) -> None:
    guest.run("for i in 1 2 3 4 5; do (true & true & true) & done")

    def none_left() -> bool:
        return " Z " not in guest.run("ps -o stat,comm | sed 's/^/ /'").stdout

    scaled(20).poll(none_left, "zombies reaped", interval=0.2)


def test_a_password_or_another_key_does_not_let_anybody_in(guest: Guest) -> None:
    other = paramiko.Ed25519Key.from_private_key(io.StringIO(identity.fresh().client_key))
    for credentials in ({"password": ""}, {"pkey": other}):
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        with pytest.raises(paramiko.SSHException):
            client.connect(
                "127.0.0.1",
                guest.machine.ssh_port(),
                "root",
                look_for_keys=False,
                allow_agent=False,
                timeout=scaled(20).seconds,
                auth_timeout=scaled(20).seconds,
                **credentials,
            )
        client.close()


def test_the_console_offers_a_shell_if_it_is_asked_to(spec: GuestSpec) -> None:
    asked = dataclasses.replace(spec, arguments=(*spec.arguments, "lab.console=shell"))
    with Guest.boot(asked) as guest:
        talk = guest.machine.console.talk()
        patience = scaled(30).seconds
        # The shell starts after SSH does: a line that it answers shows that it reads.
        talk.send("echo answer=$((6*7))\n")
        talk.expect("answer=42", timeout=patience)
        talk.send("exit\n")
        talk.expect("exit.*kextlab ~ # ", timeout=patience)
        talk.send("echo answer=$((6*8))\n")
        talk.expect("answer=48", timeout=patience)
