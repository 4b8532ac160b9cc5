#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Make the corpus again: boot a kernel once per case, trigger the fault, keep the console.

    python tests/golden/console/regenerate.py --tree BUILD_TREE [CASE...]

BUILD_TREE is a built kernel (O= folder) with vmlinux, .config and what modules
need, as the lab's flavor `stock` has it. Without names all cases are made, one
guest at a time. Expectations are not touched: read the new logs, then run the
golden test with UPDATE_GOLDEN=1.
"""

from __future__ import annotations

import argparse
import re
import shutil
import socket
import sys
import tempfile
from pathlib import Path

from cases import BOOT, CASES, FAKES, Case

from lab.cache import Cache, file_digest
from lab.deadline import Deadline, DeadlineExceeded, scaled
from lab.extension.c import build_c
from lab.extension.loader_build import build_loader
from lab.extension.module import build_module
from lab.host import process
from lab.kernel.artifact import Kernel
from lab.workspace import Workspace

HERE = Path(__file__).resolve().parent
BUSYBOX = Path("/bin/busybox")

# The case runs in a child: an oops kills the task that it hits, and init's
# death would be a panic of its own.
INIT = """\
#!/bin/busybox sh
/bin/busybox mkdir -p /bin /sbin /usr/bin /usr/sbin /proc /sys /dev /tmp /etc
/bin/busybox --install -s
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mount -t debugfs debug /sys/kernel/debug
mount -t tracefs trace /sys/kernel/tracing
dmesg -n 8
echo 0 > /proc/sys/kernel/printk_ratelimit
echo "kextlab: init" > /dev/kmsg
[ -f /use-faults ] && insmod /faults.ko
sh /case.sh
[ -f /die ] && exit 3
echo "kextlab: done" > /dev/kmsg
sleep 1
poweroff -f
"""


def kernel_of(tree: Path, scratch: Path) -> Kernel:
    """The kernel in a build tree, its vmlinux stripped for a quick boot."""
    boot = scratch / "vmlinux"
    process.run(["strip", "--strip-debug", "-o", boot, tree / "vmlinux"])
    release = (tree / "include/config/kernel.release").read_text().strip()
    return Kernel(
        flavor="tree",
        key=file_digest(tree / ".config")[:16],
        release=release,
        boot=boot,
        bzimage=tree / "arch/x86/boot/bzImage",
        config=tree / ".config",
        boot_args=(),
        vmlinux=tree / "vmlinux",
        btf=tree / "vmlinux",
        build_tree=tree,
    )


def common_files(kernel: Kernel, scratch: Path) -> Path:
    """The guest's root folder, but for what a case adds."""
    root = scratch / "root"
    (root / "bin").mkdir(parents=True)
    shutil.copy2(BUSYBOX, root / "bin/busybox")
    init = root / "init"
    init.write_text(INIT)
    init.chmod(0o755)
    (root / "fakes").write_text(FAKES)
    (root / "etc").mkdir()
    (root / "etc/passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    cache = Cache(scratch / "cache")
    for name in ("faults", "hello"):
        module = build_module(Workspace.default(), name, kernel, cache)
        shutil.copy2(module, root / f"{name}.ko")
    shutil.copy2(build_loader(Workspace.default(), cache), root / "kextload")
    (root / "kexttrigger").symlink_to("kextload")
    shutil.copy2(
        build_c(Workspace.default(), "loop_nested_stall", kernel, cache).path, root / "stall.bpf.o"
    )
    broken = bytearray((root / "hello.ko").read_bytes())
    magic = broken.index(b"vermagic=") + len("vermagic=")
    broken[magic] = ord("5")
    (root / "broken.ko").write_bytes(broken)
    process.run(["gcc", "-static", "-O1", "-o", root / "trap", HERE / "trap.c"])
    return root


def initramfs(case: Case, root: Path, scratch: Path) -> Path:
    (root / "case.sh").write_text(case.script + "\n")
    marker = root / "use-faults"
    marker.unlink(missing_ok=True)
    if case.faults:
        marker.touch()
    archive = scratch / "initramfs"
    process.run(["sh", "-c", f"cd {root} && find . | cpio --quiet -o -H newc -R 0:0 > {archive}"])
    return archive


def record(case: Case, kernel: Kernel, root: Path, scratch: Path) -> bytes:
    """Boot, wait for the guest's end or the case's, return what the serial console said."""
    console = scratch / "console"
    console.write_bytes(b"")
    qmp = scratch / "qmp"
    qmp.unlink(missing_ok=True)
    argv = [
        "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-smp", "2", "-m", str(case.memory),
        "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
        "-kernel", str(kernel.boot), "-initrd", str(initramfs(case, root, scratch)),
        "-append", " ".join([*BOOT, "panic=-1", *case.boot]),
        "-serial", f"file:{console}", "-qmp", f"unix:{qmp},server=on,wait=off",
    ]  # fmt: skip
    if case.pvpanic:
        # At the default action the machine stops before the kernel has flushed
        # what it printed outside of tasks: a stack overflow would leave no text.
        argv += ["-device", "pvpanic-pci", "-action", f"panic={case.panic_action}"]
    child = process.spawn(argv)
    sent = not case.qmp
    over: Deadline | None = None

    def ended() -> bool:
        nonlocal sent, over
        text = console.read_bytes()
        if not sent and b"kextlab: now" in text:
            command(qmp, case.qmp)
            sent = True
        if case.until and over is None and re.search(case.until.encode(), text):
            over = Deadline(case.grace)
        return child.poll() is not None or (over is not None and over.expired)

    try:
        scaled(case.limit).poll(ended, case.name)
    except DeadlineExceeded:
        print(f"{case.name}: ended by the deadline")
    finally:
        process.kill_session(child)
        child.wait()
    return console.read_bytes()


def command(path: Path, names: tuple[str, ...]) -> None:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(path))
        stream = line.makefile("rw")
        stream.readline()
        for name in ("qmp_capabilities", *names):
            stream.write(f'{{"execute": "{name}"}}\n')
            stream.flush()
            stream.readline()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tree", type=Path, required=True)
    parser.add_argument("cases", nargs="*", metavar="CASE")
    options = parser.parse_args()
    known = {case.name: case for case in CASES}
    unknown = set(options.cases) - set(known)
    if unknown:
        parser.error(f"no such case: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        kernel = kernel_of(options.tree.resolve(), scratch)
        root = common_files(kernel, scratch)
        for name in options.cases or known:
            log = record(known[name], kernel, root, scratch)
            (HERE / f"{name}.log").write_bytes(log)
            print(f"{name}: {len(log)} bytes", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
