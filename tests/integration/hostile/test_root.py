# SPDX-License-Identifier: GPL-2.0-only
"""Root in the guest attacks the oracles: the verdict is right or `error`, never `passed`.

"Root" is a program in user space with all its rights. One that loads a module of its own
is no longer root but ring 0: see test_module.py.
"""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from lab.errors import InfraError
from lab.guest.forks import Forks
from lab.guest.guest import Guest, GuestSpec
from lab.report.result import Result, explain
from lab.runner.tool_check import ToolCheck

pytestmark = pytest.mark.integration

Judged = Callable[[str], Result]

nightly = pytest.mark.skipif(
    not os.environ.get("LAB_NIGHTLY"), reason="waits for a guest that is silent: LAB_NIGHTLY=1"
)

STUB = """\
printf '%s\\n' '#!/bin/sh' 'echo {{\\"ok\\":true,\\"seconds\\":0.1}}' > {0}.new
chmod +x {0}.new
mv {0}.new {0}"""


def attack(line: str, trigger: str = "{syscall: getpgid, times: 10}", more: str = "") -> str:
    """A scenario in which root does a line between the load and the trigger."""
    line = textwrap.indent(textwrap.dedent(line), " " * 10).lstrip()
    return f"""
    summary: Root does something
    extensions: {{a: {{c: count_getpgid_kprobe}}}}
    steps:
      - load: a
      - attach: a
      - shell: |
          {line}
      - trigger: {trigger}
      - unload: a
    expect: {{outcome: returned, kernel: alive, resources: released{more}}}
    """


# What root does, and what the error must name.
ATTACKS = {
    "stub-loader": (
        """\
        rm /usr/bin/kextload
        cat > /usr/bin/kextload << 'END'
        #!/bin/sh
        for c in 0 1; do echo "{\\"cpu\\":$c,\\"nonce\\":\\"$2\\",\\"ok\\":true}"; done
        END
        chmod +x /usr/bin/kextload
        """,
        "/usr/bin/kextload",
    ),
    "stub-trigger": (STUB.format("/usr/bin/kexttrigger"), "/usr/bin/kexttrigger"),
    "covered-counters": (
        "echo 0 > /root/zero; mount --bind /root/zero /proc/sys/kernel/tainted",
        "/proc/sys/kernel/tainted",
    ),
    "no-witness": ("kill -9 $(pidof kextwitness)", "the guest's witness ended"),
    "another-witness": (
        """echo '{"ok":true,"word":"","files":{}}' > /proc/$(pidof kextwitness)/fd/1""",
        "the guest's witness",
    ),
}
# The same, where it needs no item of its own to be seen.
CHANGES = {
    "first-in-path": (STUB.format("/usr/bin/rmmod"), "/usr/bin/rmmod is new"),
    "put-back": (
        "mv /usr/bin/kexttrigger /root/t; mv /root/t /usr/bin/kexttrigger",
        "/usr/bin was changed",
    ),
    "written-into": ("echo >> /usr/sbin/bpftool", "/usr/sbin/bpftool was changed"),
    "applet": ("rm /bin/insmod; ln -s /root/mine /bin/insmod", "/bin was changed"),
    "covered-pins": ("mount -t tmpfs none /sys/fs/bpf", "mounted on /sys/fs/bpf"),
    "covered-tools": ("mount -t tmpfs none /usr/sbin", "mounted on /usr/sbin"),
    "covered-folder": ("mount -t tmpfs none /root", "mounted on /root"),
    "covered-link": ("mount --bind /bin /lib64", "mounted on /lib64"),
    "preload": ("echo /x.so > /etc/ld.so.preload", "/etc/ld.so.preload is new"),
    "another-shell": ("cp /etc/passwd /tmp/p; cp /tmp/p /etc/passwd", "/etc/passwd was changed"),
    "stopped": (
        "kill -STOP $(pidof kextwitness); kill -CONT $(pidof kextwitness)",
        "the witness was stopped",
    ),
    "gone": ("umount -l /sys/kernel/tracing", "/sys/kernel/tracing is no longer mounted"),
}


@pytest.mark.parametrize(("line", "named"), ATTACKS.values(), ids=ATTACKS)
def test_what_root_replaces_or_covers_does_not_pass(judged: Judged, line: str, named: str) -> None:
    result = judged(attack(line))
    assert result.verdict == "error", result.reasons
    assert named in "\n".join(result.reasons)


@pytest.fixture(scope="module")
def attacked(spec: GuestSpec, forks: Forks) -> Iterator[tuple[Guest, ToolCheck]]:
    """A guest in which one attack after the other leaves its trace."""
    with forks.start(spec) as guest:
        yield guest, ToolCheck(guest)


@pytest.mark.parametrize(("line", "named"), CHANGES.values(), ids=CHANGES)
def test_what_root_changes_is_named(
    attacked: tuple[Guest, ToolCheck], line: str, named: str
) -> None:
    guest, whole = attacked
    check = ToolCheck(guest)
    done = guest.run(line)
    assert done.ok, done.stderr
    with pytest.raises(InfraError, match=re.escape(named)):
        check.end()
    with pytest.raises(InfraError, match="what the lab relies on"):
        whole.end()


def test_a_mount_that_is_gone_again_is_named(spec: GuestSpec, forks: Forks) -> None:
    with forks.start(spec) as guest:
        check = ToolCheck(guest)
        for line in ("mount -t tmpfs none /usr/sbin", "true", "umount /usr/sbin"):
            assert guest.run(line).ok
        with pytest.raises(InfraError, match="mounted on /usr/sbin for a time"):
            check.end()


def test_an_extension_that_is_replaced_is_not_judged_in_its_place(
    judged: Judged,
) -> None:
    change = "f=$(echo /root/*.o); cp $f /root/f; mv /root/f $f"
    text = attack("true").replace("- load: a\n", f"- shell: {change}\n      - load: a\n", 1)
    result = judged(text)
    assert result.verdict == "error"
    assert "/root/" in "\n".join(result.reasons)


@nightly
def test_another_ssh_server_is_not_believed(judged: Judged) -> None:
    """Root lets the connection break after the last step, and answers with a server of its own."""
    result = judged(
        """
        summary: The server is exchanged
        steps:
          - shell: |
              cat > /root/again << 'END'
              sleep 1
              killall -9 dropbear
              dropbear -R -s -m -z -p 22
              END
              setsid sh /root/again < /dev/null > /dev/null 2>&1 &
            expect: {status: 0}
          - trigger: {wait: 1}
        expect: {kernel: alive, resources: released}
        """
    )
    assert result.verdict == "error"


@nightly
def test_a_silent_server_costs_its_time(judged: Judged) -> None:
    result = judged(
        """
        summary: A server that says nothing
        timeout: 10
        steps:
          - shell: |
              echo 'sleep 0.5; killall -9 dropbear; exec nc -ll -p 22 -e sleep 1000' > /root/nc
              setsid sh /root/nc < /dev/null > /dev/null 2>&1 &
          - shell: {command: sleep 5, timeout: 4}
            expect: {status: 0}
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "error"


def test_a_crash_that_root_asked_for_is_a_crash(judged: Judged) -> None:
    """The kernel did crash: whose fault it is the scenario has to say, by a report."""
    result = judged(
        """
        summary: Root asks the kernel to panic
        steps: [{trigger: {sysrq: c}}]
        expect: {kernel: crashed}
        trust: host
        """
    )
    assert result.verdict == "passed", result.reasons


def test_a_stall_that_root_makes_up_is_none(judged: Judged) -> None:
    """Without SSH no CPU answers, but QEMU sees that all of them are idle."""
    result = judged(
        r"""
        summary: Root ends the SSH server and writes the kernel's words to the serial device
        steps:
          - trigger:
              background: true
              shell: |
                now=$(cut -d' ' -f1 /proc/uptime)
                printf '\n<0>[%12.6f][    C1] ' $now > /dev/ttyS0
                echo 'watchdog: BUG: soft lockup - CPU#1 stuck for 9s! [x:7]' > /dev/ttyS0
                killall -9 dropbear
          - wait_for: {report: soft-lockup}
        expect: {kernel: stalled, reports: [soft-lockup]}
        """
    )
    assert result.verdict == "error", result.reasons


def test_a_restart_is_no_crash(judged: Judged) -> None:
    result = judged(
        """
        summary: Root restarts the guest, which is no crash
        steps: [{trigger: {shell: reboot -f}}]
        expect: {kernel: crashed}
        """
    )
    assert result.verdict == "failed"
    assert "in good order" in "\n".join(result.reasons)


@nightly
def test_a_panic_is_not_hidden_by_settings(judged: Judged) -> None:
    line = "sysctl -w kernel.panic=0; dmesg -n 1; echo c > /proc/sysrq-trigger"
    result = judged(attack("true", trigger=f'{{shell: "{line}"}}'))
    assert (result.verdict, result.state) == ("failed", "crashed")


def test_what_root_may_do_passes(judged: Judged) -> None:
    """Mounts elsewhere, mounts of its own, files in the work folder, another date, a tracer."""
    result = judged(
        attack(
            """\
            mkdir -p /mnt && mount -t tmpfs none /mnt && umount /mnt
            unshare -m sh -c 'mount -t tmpfs none /usr/sbin'
            echo mine > /root/mine; rm /root/mine; cat /sys/kernel/debug/tracing/trace > /dev/null
            date -s 2000-01-01
            unshare -m true
            """,
            more=", time: {at_most: 20}",
        )
    )
    assert result.verdict == "passed", result.reasons
    assert result.trust in ("counter", "guest_text")


# The host

ESCAPES = r"\033[2J\033]0;owned\007\302\233\342\200\256"


def test_what_root_prints_is_harmless_in_reports_and_files(judged: Judged, tmp_path: Path) -> None:
    result = judged(
        f"""
        summary: Root prints what steers a terminal
        steps:
          - shell: "printf '{ESCAPES}' | tee /dev/kmsg >&2; exit 1"
        expect: {{kernel: alive, reports: [oops]}}
        """.replace("\\", "\\\\")
    )
    assert result.verdict == "failed"
    files = [path for path in tmp_path.rglob("results/**/*") if path.is_file()]
    assert files
    for text in (explain(result), *(path.read_text(encoding="utf-8") for path in files)):
        assert not set("\x1b\x07\x9b\u202e") & set(text)
    assert "\\x1b[2J" in explain(result)
    assert {path.name for path in tmp_path.iterdir()} <= {"tests", "results", "slots"}


def test_floods_cost_neither_memory_nor_disk(judged: Judged, tmp_path: Path) -> None:
    """On its output, its console and the kernel's log at once, until its time is up."""
    own = psutil.Process()
    machines = [one for one in own.children(recursive=True) if "qemu" in one.name()]
    before = own.memory_info().rss
    result = judged(
        """
        summary: Root floods all that the host reads
        steps:
          - shell:
              command: |
                (timeout 3 tr '\\\\0' x < /dev/zero > /dev/ttyS0) &
                (timeout 3 sh -c 'while :; do echo flood; done > /dev/kmsg') &
                timeout 3 tr '\\\\0' y < /dev/zero
                false
        expect: {kernel: alive, reports: [oops]}
        """
    )
    assert result.verdict != "passed"
    assert own.memory_info().rss - before < 200 << 20
    size = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert size < 64 << 20
    left = [one for one in own.children(recursive=True) if "qemu" in one.name()]
    assert left == machines
