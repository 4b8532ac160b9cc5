# SPDX-License-Identifier: GPL-2.0-only
"""Choose the accelerator of guests. Only a guest that ran proves that it works.

`/dev/kvm` can exist, open and answer, and still never run a guest in useful
time. So the lab boots a tiny guest (probe.S) on it, with a deadline. The result
is kept in the cache until the host reboots or QEMU changes.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import grp
import json
import os
import re
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from lab import events
from lab.atomic import atomic_write
from lab.cache import Cache, key_of
from lab.deadline import host_factor
from lab.errors import UserError
from lab.host import process, tools

Status = Literal["usable", "absent", "no-permission", "no-guest", "aborts"]

DEVICE = Path("/dev/kvm")
NAMES = ("auto", "kvm", "tcg")

# On TCG, `max` has SMEP, SMAP and UMIP. 5-level paging is switched off: it makes
# each page walk of the emulator longer, and no guest has that much memory.
# On KVM, `host` without the features that can't be migrated to another process.
CPU_MODELS = {"tcg": "max,la57=off", "kvm": "host,migratable=on"}

# Emulation needs 0.3 s for the tiny guest on the reference host. An
# accelerator that needs ten times as long is of no use.
PROBE_SECONDS = 4.0
_EXIT_STATUS = 33  # isa-debug-exit: what the guest wrote (0x10), doubled, plus one
_STAGES = {
    "": "its first instruction",
    "p": "long mode",
    "l": "the first timer interrupt",
    "t": "a thousand exits",
    "e": "20 million iterations of a loop",
}

# probe.S, assembled.
PAYLOAD = base64.b64decode(
    "ArCtGwAAAQD+T1HkAAAQAAAAEAAAAAAAAAASACAAEAD6sHC6+AMAAO6/AAARADHAuQAYAADzq8cFAAARAAMQ"
    "EQC4AyARAL8AEBEAiQcFABAAAIPHCIH/IBARAHXuuIMAAAC/ACARAIkHBQAAIACDxwiB/wBgEQB17g8g4IPI"
    "IA8i4LgAABEADyLYuYAAAMAPMg0AAQAADzAPIMANAAAAgA8iwA8BFZABEADqsQAQAAgAuBAAAACO2I7AjtC8"
    "AAARALBsuvgDAADuvwCAEQAxwLkAAQAA86u/AIIRAMcHYgEIAMdHBACOEAAPARwllgEQALD/5iHmob8AAOD+"
    "x4fwAAAA/wEAAMeH4AMAAAsAAADHhyADAAAgAAAAx4eAAwAAoIYBADHt+/SF7XT7+rB0uvgDAADuvugDAAAx"
    "wA+i/851+LBluvgDAADuuQAtMQH/yXX8sHe6+AMAAO6wEOb09Ov9/8W4AADg/seAsAAAAAAAAABIzw8fAAAA"
    "AAAAAAAAAAAAAACaIAAAAAAAAJIAABcAeAEQAA8CAIARAAAAAAA="
)


@dataclass(frozen=True)
class AccelReport:
    """The result of probing one accelerator; `seconds` is the duration of the tiny guest."""

    accel: str
    status: Status
    explanation: str
    remedy: str = ""
    seconds: float = 0.0

    @property
    def usable(self) -> bool:
        return self.status == "usable"


@dataclass(frozen=True)
class Accel:
    """The accelerator of the guests, its CPU model, and the reason for the choice."""

    name: str
    cpu_model: str
    reason: str


def choose(requested: str, emit: events.Emit = events.ignore, cache: Cache | None = None) -> Accel:
    """Return the accelerator for `auto`, `kvm` or `tcg`.

    `auto` chooses KVM if it is usable, and emits one notice if it is not. Raises
    `UserError` if `kvm` is requested and not usable.
    """
    if requested not in NAMES:
        raise UserError(f"unknown accelerator {requested!r}", hint=f"one of {', '.join(NAMES)}")
    if requested == "tcg":
        return Accel("tcg", CPU_MODELS["tcg"], "asked for")
    report = probe("kvm", cache)
    if report.usable:
        reason = "requested" if requested == "kvm" else report.explanation
        return Accel("kvm", CPU_MODELS["kvm"], reason)
    if requested == "kvm":
        raise UserError(f"KVM is not usable: {report.explanation}", hint=report.remedy)
    emit(events.Notice(f"guests run under emulation: {report.explanation.partition(':')[0]}"))
    return Accel("tcg", CPU_MODELS["tcg"], report.explanation)


def probe(accel: str, cache: Cache | None = None, *, refresh: bool = False) -> AccelReport:
    """Boot the tiny guest on `kvm` or `tcg`, or return the result since the host's last boot.

    With `refresh` it is booted in any case. Raises `UserError` if QEMU is not installed.
    """
    qemu = tools.require("qemu-system-x86_64")
    if accel == "kvm":
        barred = kvm_barred(DEVICE)
        if barred:
            return barred
    store = cache or Cache.default()
    kept = store.root / "accel" / f"{_key(accel, qemu)}.json"
    if not refresh:
        with contextlib.suppress(OSError, ValueError, TypeError):
            return AccelReport(**json.loads(kept.read_text()))
    report = boot_probe(accel, qemu, PROBE_SECONDS * host_factor())
    # If emulation fails, something is wrong that the user will fix.
    if report.usable or accel == "kvm":
        _keep(kept, report)
    return report


def kvm_barred(device: Path) -> AccelReport | None:
    """Return why the KVM device can't be opened; None if it can."""
    if not device.exists():
        return AccelReport("kvm", "absent", f"there is no {device}", absent_remedy())
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except PermissionError:
        return _no_permission(device)
    except OSError as error:
        return AccelReport(
            "kvm",
            "absent",
            f"{device} can't be opened: {os.strerror(error.errno or errno.EIO)}",
            absent_remedy(),
        )
    return None


def probe_argv(accel: str, qemu: Path, payload: Path) -> list[str]:
    """Return QEMU's command line for the tiny guest."""
    return [
        str(qemu), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-machine", "q35", "-accel", accel, "-cpu", CPU_MODELS[accel], "-m", "16",
        "-kernel", str(payload), "-serial", "stdio",
        "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
    ]  # fmt: skip


def boot_probe(accel: str, qemu: Path, seconds: float) -> AccelReport:
    """Boot the tiny guest and return the result."""
    with tempfile.NamedTemporaryFile(prefix="kextlab-probe-") as payload:
        payload.write(PAYLOAD)
        payload.flush()
        started = time.monotonic()
        child = process.spawn(
            probe_argv(accel, qemu, Path(payload.name)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        timed_out = False
        try:
            out, err = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            timed_out = True
            process.kill_session(child)
            out, err = child.communicate()
        except BaseException:
            process.kill_session(child)
            child.wait()
            raise
        took = time.monotonic() - started
    return judge(
        accel,
        None if timed_out else child.returncode,
        out.decode("ascii", "replace"),
        err.decode(errors="replace"),
        took,
    )


def judge(accel: str, status: int | None, marks: str, stderr: str, seconds: float) -> AccelReport:
    """Interpret QEMU's exit status (None: the deadline passed), the guest's marks and stderr."""
    name = "KVM" if accel == "kvm" else "emulation"
    if status == _EXIT_STATUS and marks.endswith("w"):
        text = f"a tiny guest ran on {name} in {seconds:.1f} s"
        return AccelReport(accel, "usable", text, "", round(seconds, 2))
    reached = "".join(letter for letter in marks if letter in "pletw")
    missed = _STAGES.get(reached[-1:], "its end")
    if status is None:
        text = (
            f"{DEVICE if accel == 'kvm' else name} opens but runs no guest: "
            f"a tiny one did not reach {missed} within {seconds:.1f} s"
        )
        remedy = (
            "use --accel tcg; if this host is itself a virtual machine, ask its "
            "administrator to enable nested virtualization"
            if accel == "kvm"
            else "check that the host is not overloaded, then run `lab doctor` again"
        )
        return AccelReport(accel, "no-guest", text, remedy, round(seconds, 2))
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    last = [line for line in stderr.splitlines() if line.strip()][-1:] or ["it printed nothing"]
    text = f"QEMU {how} on {name}, before {missed}: {_trim(last[0])}"
    remedy = (
        "use --accel tcg; a newer QEMU or host kernel may help"
        if accel == "kvm"
        else "reinstall qemu-system-x86"
    )
    return AccelReport(accel, "aborts", text, remedy, round(seconds, 2))


def _trim(line: str) -> str:
    return re.sub(r"^qemu-system-x86_64:\s*", "", line)[:300]


def absent_remedy(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Return the remedy for a missing KVM device, by the features of the CPU."""
    try:
        flags = set(re.findall(r"\b(?:vmx|svm)\b", cpuinfo.read_text()))
    except OSError:
        flags = set()
    if not flags:
        return (
            "the CPU offers no virtualization here: enable it in the firmware; in a virtual "
            "machine, ask its administrator to enable nested virtualization"
        )
    module = "kvm_intel" if "vmx" in flags else "kvm_amd"
    return f"load the module: sudo modprobe {module} (in a container: pass /dev/kvm in)"


def _no_permission(device: Path) -> AccelReport:
    status = device.stat()
    user = os.environ.get("USER", "$USER")
    try:
        group = grp.getgrgid(status.st_gid)
        name, members = group.gr_name, group.gr_mem
    except KeyError:
        name, members = str(status.st_gid), []
    may_group = status.st_mode & 0o060 == 0o060 and name != "root"
    if may_group and user in members:
        remedy = f"you are in the group {name}, but not yet in this session: log in again"
    elif may_group:
        remedy = f"sudo usermod -aG {name} {user}, then log in again"
    else:
        remedy = (
            "give the device to the group kvm: "
            """echo 'KERNEL=="kvm", GROUP="kvm", MODE="0660"' | """
            "sudo tee /etc/udev/rules.d/65-kvm.rules && sudo udevadm control --reload && "
            f"sudo udevadm trigger /dev/kvm && sudo usermod -aG kvm {user}, then log in again"
        )
    text = f"you may not open {device} (mode {status.st_mode & 0o777:o}, group {name})"
    return AccelReport("kvm", "no-permission", text, remedy)


def _key(accel: str, qemu: Path) -> str:
    status = qemu.resolve().stat()
    return key_of(
        boot=Path("/proc/sys/kernel/random/boot_id").read_text().strip(),
        qemu=(str(qemu.resolve()), status.st_size, status.st_mtime_ns),
        accel=accel,
        argv=probe_argv(accel, qemu, Path("payload")),
        payload=PAYLOAD.hex(),
    )


def _keep(path: Path, report: AccelReport) -> None:
    # If the cache can't be written, the next run has to probe again; that is all.
    with contextlib.suppress(OSError):
        atomic_write(path, json.dumps(asdict(report)))
