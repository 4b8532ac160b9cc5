# SPDX-License-Identifier: GPL-2.0-only
"""A socket counts the packets that arrive: a program's own counter proves nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lab.report.result import Result

pytestmark = pytest.mark.integration


def test_a_program_that_counts_drops_and_passes_everything_is_red(
    judged: Callable[[str], Result],
) -> None:
    result = judged("""
        summary: Its own counter says that it dropped packets that a socket received
        extension:
          c: drop_port
          programs: [count_only]
          attach: [{program: count_only, to: "xdp:lo"}]
        steps:
          - load: main
          - attach: main
          - trigger: {packets: lo, times: 20, port: 4004}
            as: udp
            expect: {received: 0, maps: {counts: {0: {at_least: 20}}}}
          - trigger: {packets: lo, protocol: tcp, times: 20, port: 4004}
            as: tcp
            expect: {received: 0, maps: {counts: {0: {at_least: 40}}}}
          - unload: main
        expect: {kernel: alive}
    """)
    assert result.verdict == "failed"
    assert result.reasons == (
        "step 3 (udp): received: expected 0, but it is 20",
        "step 4 (tcp): received: expected 0, but it is 20",
    )


PLACES = {
    "drop": "xdp:lo",
    "drop_tc": "tc:lo/ingress",
    "drop_tc_too": "tc:lo/egress",
    "drop_sent": "cgroup:/sys/fs/cgroup",
    "drop_received": "cgroup:/sys/fs/cgroup",
}
PLACE = """
      - load: main
      - attach: {extension: main, program: PROGRAM, to: "TARGET"}
      - trigger: {packets: lo, times: 20, port: 4004, size: 9000}
        expect: {received: 0}
      - trigger: {packets: lo, protocol: tcp, times: 20, port: 4004, size: 65000}
        expect: {received: 0}
      - trigger: {packets: lo, times: 20, port: 4005, size: 65000, cpu: 1}
        expect: {received: 20}
      - trigger: {packets: lo, protocol: tcp, times: 20, port: 4005, size: 65000, cpu: 1}
        expect: {received: 20}
      - unload: main
"""


def test_a_drop_is_seen_wherever_its_program_sits(judged: Callable[[str], Result]) -> None:
    steps = "".join(
        PLACE.replace("PROGRAM", program.removesuffix("_too")).replace("TARGET", target)
        for program, target in PLACES.items()
    )
    result = judged(f"""
    summary: The receiver shows which packets were dropped on the way
    extension: {{c: drop_port}}
    steps: {steps}
    expect: {{received: {40 * len(PLACES)}}}
    """)
    assert result.verdict == "passed", result.reasons


def test_frames_that_a_program_drops_as_they_are_sent_end_the_trigger(
    judged: Callable[[str], Result],
) -> None:
    result = judged("""
        summary: A trigger stops sending to a device that drops all packets
        extension: {c: drop_port, programs: [drop_tc], attach: []}
        steps:
          - shell: ip link set dummy0 up
          - load: main
          - attach: {extension: main, program: drop_tc, to: "tc:dummy0/egress"}
          - trigger: {packets: dummy0, times: 100, port: 4004}
            expect: {outcome: {returned: {at_least: 100}}}
          - unload: main
          - shell: ip link set dummy0 down
        expect: {kernel: alive}
    """)
    assert result.verdict == "passed", result.reasons
