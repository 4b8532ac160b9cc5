# SPDX-License-Identifier: GPL-2.0-only
"""Test guests: the functions of one, and the error of each failure to boot."""

from __future__ import annotations

import dataclasses
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import paramiko
import psutil
import pytest

from lab.deadline import Deadline, scaled
from lab.errors import InfraError
from lab.guest import guest as guest_module
from lab.guest.boot_errors import BootCause, BootError
from lab.guest.guest import Guest, GuestSpec
from lab.guest.ssh import MAX_OUTPUT, CommandTimeout, Ssh
from lab.guest.unpark import wait_until_parked
from lab.host.tsc import frequency_khz
from lab.image import cpio
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.vm.argv import MACHINES, Shape
from lab.vm.machine import LaunchError, Machine

pytestmark = pytest.mark.integration


def test_commands_have_status_and_both_outputs(guest: Guest) -> None:
    done = guest.run("echo out; echo err >&2; exit 7")
    assert (done.status, done.stdout, done.stderr) == (7, "out\n", "err\n")


def test_files_arrive_whole_and_executable_ones_run(guest: Guest, tmp_path: Path) -> None:
    script = tmp_path / "hello"
    script.write_text("#!/bin/sh\necho hello\n")
    script.chmod(0o755)
    data = os.urandom(300_000)
    guest.push({"/root/hello": script, "/root/deep/data": data})
    assert guest.run("/root/hello").stdout == "hello\n"
    assert guest.run("wc -c < /root/deep/data").stdout.strip() == "300000"


@pytest.mark.parametrize("machine", MACHINES)
def test_an_emulated_guest_need_not_measure_its_counter(
    planner: Planner, stock: Kernel, machine: str
) -> None:
    """On a busy host it measured nothing, and a microvm's kernel never came up."""
    told = frequency_khz()
    if told is None:
        pytest.skip("the host's counter can't be measured")
    spec = planner.guest_spec(stock, planner.image(stock), machine=machine)
    with Guest.boot(spec) as guest:
        log = guest.run("dmesg").stdout
    # The kernel measures its CPU none the less, and names the counter apart where the two differ.
    mhz = re.escape(f"{told / 1000:.3f}")
    assert re.search(rf"tsc: Detected {mhz} MHz (TSC|processor)$", log, re.MULTILINE)


def test_output_is_bounded(guest: Guest) -> None:
    done = guest.run("dd if=/dev/zero bs=1M count=3 2>/dev/null", scaled(60))
    assert done.truncated
    assert len(done.stdout) == MAX_OUTPUT


def test_a_command_that_does_not_end_meets_its_deadline(guest: Guest) -> None:
    with pytest.raises(CommandTimeout):
        guest.run("sleep 1000", Deadline(0.5))
    assert guest.run("echo still here").stdout == "still here\n"


def test_files_that_cannot_be_read_are_told_from_empty_ones(guest: Guest) -> None:
    guest.run(": > /root/empty")
    found = guest.read_files(["/root/empty", "/root/none", "/proc/sys/kernel/ostype"])
    assert found == {"/root/empty": "", "/root/none": None, "/proc/sys/kernel/ostype": "Linux\n"}


def test_there_is_no_way_out_to_the_host(guest: Guest) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        done = guest.run(f"echo x | nc -w 2 10.0.2.2 {port}", scaled(20))
        server.settimeout(0.2)
        with pytest.raises(TimeoutError):
            server.accept()
    assert not done.ok


def test_the_guest_has_its_own_identity_and_its_key_is_pinned(guest: Guest) -> None:
    assert guest.run("cat /etc/kextlab/identity").stdout.strip() == guest.identity.nonce
    other = paramiko.Ed25519Key(data=_other_key())
    ssh = Ssh(guest.machine.ssh_port(), paramiko.RSAKey.generate(1024), other)
    with pytest.raises(InfraError, match="another host key"):
        ssh.connect(scaled(20))


def _other_key() -> bytes:
    import base64

    from lab.guest.identity import fresh

    return base64.b64decode(fresh().host_public.split()[1])


def test_cpus_are_seen_from_outside(guest: Guest, spec: GuestSpec) -> None:
    lines = guest.where(spec.vmlinux).splitlines()
    assert len(lines) == spec.shape.cpus
    assert "+0x" in lines[0]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_machine_boots_and_reports_a_panic(
    planner: Planner, stock: Kernel, machine: str
) -> None:
    with Guest.boot(planner.guest_spec(stock, planner.image(stock), machine=machine)) as guest:
        guest.start("echo c > /proc/sysrq-trigger")
        guest.machine.wait(lambda: guest.machine.ended, scaled(20), "the end of a panic")
        assert guest.machine.panicked
        guest.machine.wait_for_final_output(scaled(5))
        assert "sysrq triggered crash" in guest.machine.console.text()


def test_jobs_that_end_disturb_no_command(guest: Guest) -> None:
    for turn in range(8):
        jobs = [guest.job(f"usleep {9000 * n + 300 * turn}", keep=True) for n in range(3)]
        for _ in range(4):
            assert guest.run("true").ok
        for job in jobs:
            job.wait(scaled(15))


def test_all_of_a_job_is_killed(guest: Guest) -> None:
    before = guest.run("pidof sleep").stdout.split()
    job = guest.job("sleep 1234 & sleep 1234; true")
    scaled(10).poll(
        lambda: len(guest.run("pidof sleep").stdout.split()) == len(before) + 2, "both to run"
    )
    assert not job.end(scaled(15))
    assert guest.run("pidof sleep").stdout.split() == before


# Guests that do not come up


def test_a_qemu_that_does_not_start_shows_command_and_stderr(spec: GuestSpec) -> None:
    bad = dataclasses.replace(spec, shape=Shape(cpu="no-such-cpu"))
    with pytest.raises(LaunchError) as caught:
        Guest.boot(bad)
    assert "no-such-cpu" in caught.value.details
    assert "command: qemu-system-x86_64" in caught.value.details


def boot_error(spec: GuestSpec, seconds: float) -> BootError:
    with pytest.raises(BootError) as caught:
        Guest.boot(spec, scaled(seconds))
    return caught.value


def with_init(spec: GuestSpec, tmp_path: Path, script: str) -> GuestSpec:
    """The image with another /init behind it."""
    image = tmp_path / "image.cpio"
    init = cpio.archive([cpio.regular("init", script.encode(), 0o755)])
    data = spec.image.read_bytes()
    image.write_bytes(data + b"\0" * (-len(data) % 4) + init)
    return dataclasses.replace(spec, image=image)


def test_a_panic_at_boot_is_quoted(spec: GuestSpec, tmp_path: Path) -> None:
    error = boot_error(with_init(spec, tmp_path, "#!/bin/sh\nexit 3\n"), 30)
    assert error.cause is BootCause.KERNEL_PANICKED
    assert "Attempted to kill init!" in error.message


def test_a_kernel_without_init_is_told_and_cpus_are_shown(spec: GuestSpec, tmp_path: Path) -> None:
    error = boot_error(with_init(spec, tmp_path, "#!/bin/sh\nexec sleep 1000\n"), 8)
    assert error.cause in (BootCause.NO_INIT, BootCause.NO_CONSOLE)
    assert "where each CPU was" in error.details
    assert "CPU 0:" in error.details
    assert "NMI backtrace for cpu 0" in error.details
    assert "NMI backtrace for cpu 1" in error.details


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("kextlab: init", BootCause.NO_NETWORK),
        ("kextlab: init\nkextlab: network", BootCause.NO_PARK),
    ],
)
def test_how_far_init_came_is_told(
    spec: GuestSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, cause: BootCause
) -> None:
    *_, last = said.splitlines()

    def wait(machine: Machine, deadline: Deadline) -> None:
        # Init says nothing more after its last word, so that little of the wait is enough.
        machine.console.wait_for(
            lambda lines: any(last in line.text for line in lines), deadline, last
        )
        wait_until_parked(machine, deadline.at_most(0.5))

    monkeypatch.setattr(guest_module, "wait_until_parked", wait)
    script = f"#!/bin/sh\nprintf '%s\\n' '{said}' > /dev/console\nexec sleep 1000\n"
    error = boot_error(with_init(spec, tmp_path, script), 60)
    assert error.cause is cause
    assert "the guest to park: not within 0.5 s" in error.details


def test_a_machine_that_exits_is_told(spec: GuestSpec, tmp_path: Path) -> None:
    script = "#!/bin/sh\nmount -t proc proc /proc\necho b > /proc/sysrq-trigger\n"
    assert boot_error(with_init(spec, tmp_path, script), 30).cause is BootCause.ENDED


# Life and death


def test_nothing_is_left_when_a_guest_is_closed(spec: GuestSpec) -> None:
    with Guest.boot(spec) as guest:
        pid = guest.machine.pid
        port = guest.machine.ssh_port()
    assert not psutil.pid_exists(pid)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_guest_dies_with_a_lab_that_is_killed(spec: GuestSpec, tmp_path: Path) -> None:
    program = textwrap.dedent(
        f"""
        import pickle, sys, time
        from lab.guest.guest import Guest
        spec = pickle.loads({__import__("pickle").dumps(spec)!r})
        guest = Guest.boot(spec)
        print(guest.machine.pid, flush=True)
        sys.stdin.read()
        """
    )
    before = set(Path("/tmp").iterdir())
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as child:
        assert child.stdout is not None
        qemu = int(child.stdout.readline())
        assert psutil.pid_exists(qemu)
        child.send_signal(signal.SIGKILL)
        child.wait()
    Deadline(5).poll(lambda: not psutil.pid_exists(qemu), "QEMU to die with the lab")
    assert not list(tmp_path.iterdir())

    def left() -> list[Path]:
        return [path for path in set(Path("/tmp").iterdir()) - before if "kextlab" in path.name]

    # Labs of other workers make files there and remove them; the dead one can't.
    Deadline(5).poll(lambda: not left(), "the dead lab to have left no file")


def test_a_flood_on_the_console_is_bounded(spec: GuestSpec) -> None:
    with Guest.boot(spec) as guest:
        running = guest.start("while :; do cat /init; done > /dev/console 2>&1")
        console = guest.machine.console
        start = time.monotonic()
        console.wait_for(lambda lines: console.dropped > 0, scaled(120), "dropped lines")
        assert time.monotonic() > start
        running.close()
        assert len(console.lines()) <= 12_001
