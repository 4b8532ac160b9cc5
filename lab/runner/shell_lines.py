# SPDX-License-Identifier: GPL-2.0-only
"""Pure functions from triggers, background work and settings to lines of shell."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from lab.scenario.model.background import (
    BaseBackground,
    CpuHotplug,
    LoadUnload,
    ShellBackground,
    Traffic,
)
from lab.scenario.model.base import Scalar
from lab.scenario.model.triggers import (
    BaseTrigger,
    PacketsTrigger,
    PageFaultTrigger,
    ShellTrigger,
    SpinTrigger,
    SyscallTrigger,
    SysrqTrigger,
    WaitTrigger,
)

TRIGGER = "kexttrigger"
ALL_CPUS_ONLINE = (
    "for f in /sys/devices/system/cpu/cpu*/online; do read v < $f; [ $v = 1 ] || echo 1 > $f; done"
)


def trigger_line(trigger: BaseTrigger, *, received: bool = False) -> str:
    """Return the shell line that fires a trigger (all kinds but `run`, which is the loader's).

    With `received` the packets that reach a socket are counted.
    """
    match trigger:
        case SyscallTrigger():
            words = ["syscall", trigger.syscall, f"times={trigger.times}"]
        case PageFaultTrigger():
            words = ["pagefault", f"times={trigger.times}"]
        case PacketsTrigger():
            words = ["packets", f"dev={trigger.packets}", *_packet_words(trigger, received)]
        case SpinTrigger():
            words = ["spin", f"ms={trigger.spin}"]
        case ShellTrigger():
            return on_cpu(trigger.shell, trigger.cpu)
        case SysrqTrigger():
            return on_cpu(f"echo {trigger.sysrq} > /proc/sysrq-trigger", trigger.cpu)
        case WaitTrigger():
            return on_cpu(f"sleep {trigger.wait}", trigger.cpu)
        case _:
            raise TypeError(f"no shell line for a trigger of kind {trigger.kind}")
    if trigger.cpu is not None:
        words.append(f"cpu={trigger.cpu}")
    return shlex.join([TRIGGER, *words])


def _packet_words(trigger: PacketsTrigger, received: bool) -> list[str]:
    values: dict[str, object] = {
        "times": trigger.times,
        "size": trigger.size,
        "port": trigger.port,
    }
    if received or trigger.has_receiver:
        values |= {
            "receive": 1,
            "protocol": trigger.protocol,
            "to": trigger.to,
            "netns": trigger.netns,
            "to_netns": trigger.to_netns,
        }
    return [f"{key}={value}" for key, value in values.items() if value is not None]


def on_cpu(line: str, cpu: int | None) -> str:
    """Return a shell line, pinned to a CPU if one is given."""
    if cpu is None:
        return line
    return f"taskset {1 << cpu:x} sh -c {shlex.quote(line)}"


def background_line(work: BaseBackground, paths: Mapping[str, str]) -> str:
    """Return the endless shell line of background work.

    `paths` maps extensions to paths in the guest.
    """
    match work:
        case LoadUnload():
            path = paths[work.load_unload]
            commands = f"load handle=x path={path}\\nunload handle=x\\n"
            body = f"while :; do printf '{commands}'; sleep {work.every}; done"
            # A load that fails ends the work, which is noticed when it is stopped.
            watch = """while read -r l; do case $l in *'"ok":false'*) exit 1;; esac; done"""
            return f"{body} | kextload serve | {{ {watch}; }}"
        case Traffic():
            times = 200 if work.every is None else 1
            pause = f"sleep {work.every}; " if work.every is not None else ""
            words = f"{TRIGGER} packets dev={work.traffic} times={times} size={work.size}"
            if work.cpu is not None:
                words += f" cpu={work.cpu}"
            return f"while {words} > /dev/null; do {pause or ':; '}done; exit 1"
        case CpuHotplug():
            knob = f"/sys/devices/system/cpu/cpu{work.cpu_hotplug}/online"
            turns = " && ".join(f"echo {value} > {knob} && sleep {work.every}" for value in (0, 1))
            return f"while {turns}; do :; done; exit 1"
        case ShellBackground():
            return on_cpu(work.shell, work.cpu)
        case _:
            raise TypeError(f"no shell line for background work of kind {work.kind}")


def sysctl_path(name: str) -> str:
    """Return `/proc/sys/kernel/foo` for `kernel.foo`; a name with slashes keeps its dots."""
    return "/proc/sys/" + (name if "/" in name else name.replace(".", "/"))


def debug_path(name: str) -> str:
    """Return a path below debugfs."""
    return f"/sys/kernel/debug/{name}"


def scalar_text(value: Scalar) -> str:
    """Return a scalar of YAML in the form that the kernel's files accept."""
    return str(int(value)) if isinstance(value, bool) else str(value)


def write_line(path: str, value: str) -> str:
    """Return the shell line that writes a value to a file of the kernel."""
    return f"printf '%s\\n' {shlex.quote(value)} > {shlex.quote(path)}"
