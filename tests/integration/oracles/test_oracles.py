# SPDX-License-Identifier: GPL-2.0-only
"""Every oracle, on real guests: a seeded fault makes it fire, a benign run keeps it quiet."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.report.result import Result

pytestmark = pytest.mark.integration

FIRE = "/sys/kernel/debug/kextlab_faults/fire"


def fault(line: str, args: str = "{}", more: str = "") -> str:
    """A scenario that loads the fault module, does a shell line, and expects that all is well."""
    return f"""
    summary: A seeded fault
    extensions: {{f: {{module: faults, args: {args}}}}}
    steps:
      - load: f
      - shell: {{command: '{line}', timeout: 15}}
        expect: {{status: 0}}
      - unload: f
    expect: {{kernel: alive{more}}}
    """


def background_fault(verb: str, cpu: int) -> str:
    """A fault that never ends, on one CPU. The lockup detectors look at it each second or two."""
    return f"""
    summary: A seeded fault that does not end
    set: {{sysctl: {{kernel.watchdog_thresh: 1}}}}
    extensions: {{f: {{module: faults}}}}
    steps:
      - load: f
      - trigger: {{shell: 'echo {verb} > {FIRE}', cpu: {cpu}, background: true}}
        as: hang
      - trigger: {{wait: 1}}
      - shell: {{command: "true", timeout: 4}}
        expect: {{status: 0}}
    expect: {{kernel: alive, resources: kept}}
    """


BENIGN = """
    summary: A harmless module
    extensions: {m: {module: hello}}
    steps:
      - load: m
      - shell: grep hello /proc/modules
        expect: {status: 0}
      - unload: m
    expect: {kernel: alive, resources: released, reusable: true}
"""


def test_a_benign_module_passes(judged: Callable[[str], Result]) -> None:
    result = judged(BENIGN)
    assert result.verdict == "passed", result.reasons


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param(f"echo null-read thread > {FIRE}; sleep 0.1", "NULL", id="oops"),
        pytest.param(f"echo null-read thread 300 > {FIRE}", "NULL", id="late-oops"),
        pytest.param(f"echo warn > {FIRE}", "warn", id="warning"),
        pytest.param(f"echo list-del > {FIRE}", "list", id="list-corruption"),
    ],
)
def test_a_report_fails_the_item(judged: Callable[[str], Result], line: str, says: str) -> None:
    result = judged(fault(line))
    assert result.verdict == "failed"
    assert says.lower() in "\n".join(result.reasons).lower()
    assert result.excerpt


def test_a_panic_wins_over_a_lost_connection(judged: Callable[[str], Result]) -> None:
    result = judged(fault(f"echo panic > {FIRE}"))
    assert result.verdict == "failed"
    assert result.state == "crashed"
    assert result.reasons[0].startswith("kernel: expected alive")
    assert result.evidence[0]["kind"] == "guest-panic"
    assert Path(result.dossier, "console.log").read_text().count("Kernel panic") >= 1


def test_a_restart_behind_the_labs_back_is_a_crash(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: The guest restarts itself
        steps: [{trigger: {sysrq: b}, expect: {status: 0}}]
        expect: {kernel: alive}
        """
    )
    assert (result.verdict, result.state) == ("failed", "crashed")


@pytest.mark.parametrize("cpu", [0, 1])
@pytest.mark.parametrize("verb", ["soft-lockup", "hard-lockup"])
def test_a_cpu_that_hangs_is_a_stall(judged: Callable[[str], Result], verb: str, cpu: int) -> None:
    result = judged(background_fault(verb, cpu))
    assert (result.verdict, result.state) == ("failed", "stalled")
    liveness = [one for one in result.evidence if one["kind"] == "liveness"]
    assert cpu in liveness[-1]["data"]["missing"]


def test_a_guest_that_lies_about_being_alive_is_not_believed(
    judged: Callable[[str], Result],
) -> None:
    result = judged(
        """
        summary: The guest answers with a nonce that it did not get
        steps:
          - shell: |
              cp /bin/busybox /root/busybox
              cat > /usr/bin/kextload << 'END'
              #!/bin/sh
              echo '{"cpu":0,"nonce":"0123456789abcdef","ok":true}'
              echo '{"cpu":1,"nonce":"0123456789abcdef","ok":true}'
              echo '{"ok":true,"cpus":[0,1],"missing":[]}'
              END
            expect: {status: 0}
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "failed"
    assert "wrong nonce" in "\n".join(result.reasons)


def test_a_guest_that_stops_answering_is_an_error(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: SSH is stopped
        steps: [{shell: {command: 'killall -STOP dropbear', timeout: 4}, expect: {status: 0}}]
        expect: {kernel: alive}
        """
    )
    # Its kernel is well, as far as anybody can tell: that is no verdict on it.
    assert result.verdict == "error"
    assert "does not answer over SSH" in "\n".join(result.reasons)
    assert Path(result.dossier, "host.json").read_text().count("NMI backtrace for cpu") >= 1


def test_a_guest_that_is_switched_off_did_not_crash(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: The guest is switched off in good order
        steps: [{trigger: {shell: poweroff -f}}]
        expect: {kernel: crashed}
        """
    )
    assert result.verdict == "failed"
    assert "switched itself off" in "\n".join(result.reasons)


def test_a_connection_that_breaks_is_an_error(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: The SSH session is killed, the server lives
        steps: [{shell: 'kill -9 $PPID', expect: {status: 0}}]
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "error"
    assert result.state == "alive"
    # The witness went with it, and nothing that starts later may answer in its place.
    assert "before the first step to read it is gone" in "\n".join(result.reasons)


def test_background_work_that_fails_is_noticed(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: Traffic on a device that is not there
        background: {noise: {traffic: nosuchdev}}
        steps:
          - start: noise
          - trigger: {wait: 1}
          - stop: noise
          - {shell: "true", expect: {status: 0}}
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "failed"
    assert "noise had failed" in "\n".join(result.reasons)


def test_a_flood_on_the_console_hides_no_report(judged: Callable[[str], Result]) -> None:
    result = judged(
        f"""
        summary: A warning between two floods
        extensions: {{f: {{module: faults}}}}
        steps:
          - load: f
          - shell: for i in 1 2 3 4 5 6; do cat /etc/* /init; done > /dev/kmsg
          - shell: {{command: 'echo warn > {FIRE}', timeout: 15}}
            expect: {{status: 0}}
          - unload: f
        expect: {{kernel: alive}}
        """
    )
    assert result.verdict == "failed"
    assert "warn" in "\n".join(result.reasons).lower()


def test_a_tool_of_the_lab_that_dies_is_an_error(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: The loader is killed
        extensions: {a: {c: count_getpgid_kprobe}}
        steps:
          - load: a
          - shell: killall -9 kextload
          - read: {map: a.counts, key: 0}
            expect: {value: 0}
          - unload: a
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "error"
    assert "a tool of the lab in the guest, broke" in "\n".join(result.reasons)


def test_a_pin_that_stays_is_a_leak_and_names_the_map(judged: Callable[[str], Result]) -> None:
    text = """
        summary: A map is pinned and left behind
        extensions: {a: {c: count_getpgid_kprobe}}
        steps:
          - load: a
          - pin: {map: a.counts, path: /sys/fs/bpf/left}
          - shell: ls /sys/fs/bpf/left
            expect: {status: 0}
          - unload: a
        expect: {kernel: alive, resources: RESOURCES}
    """
    result = judged(text.replace("RESOURCES", "released"))
    assert result.verdict == "failed"
    assert "pin /sys/fs/bpf/left" in "\n".join(result.reasons)


def test_a_module_that_stays_is_a_leak(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: A module is loaded behind the lab's back
        extensions: {m: {module: hello}}
        steps:
          - load: m
          - unload: m
          - shell: insmod /root/hello.ko
            expect: {status: 0}
        expect: {kernel: alive, resources: released}
        """
    )
    assert result.verdict == "failed"
    assert "module hello" in "\n".join(result.reasons)


def test_an_oracle_that_cannot_be_read_is_an_error(judged: Callable[[str], Result]) -> None:
    result = judged(
        """
        summary: The counters are gone
        steps: [{shell: umount -l /proc, expect: {status: 0}}]
        expect: {kernel: alive}
        """
    )
    assert result.verdict == "error"


def test_growth_over_repetitions_is_a_slope(judged: Callable[[str], Result]) -> None:
    text = """
        summary: Memory leaks with each turn
        extensions: {f: {module: faults, args: {count: 64}}}
        steps:
          - load: f
          - repeat:
              times: 8
              steps: [{shell: 'LINE', expect: {status: 0}}]
          - unload: f
        expect: {kernel: alive, slopes: {used: {at_most: 128}}}
    """
    leaking = judged(text.replace("LINE", f"echo leak-memory > {FIRE}"))
    assert leaking.verdict == "failed"
    assert "slope of used" in "\n".join(leaking.reasons)
