# SPDX-License-Identifier: GPL-2.0-only
"""The shipped kernels for real: configured as asked, bootable, ready for modules."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection
from elftools.elf.segments import NoteSegment

from lab.cache import Cache
from lab.deadline import scaled
from lab.events import Event, StageProgress
from lab.host import process
from lab.image import cpio
from lab.kernel import bootimage
from lab.kernel.artifact import Kernel
from lab.kernel.build import build_kernel, find_kernel, remove_kernel
from lab.kernel.flavor import load_flavor
from lab.kernel.from_source import WORK
from lab.kernel.kconfig import fragments
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

BTF_MAGIC = b"\x9f\xeb"  # little-endian 0xeb9f
# XEN_ELFNOTE_PHYS32_ENTRY: the PVH entry point.
PVH_NOTE = 18

# An init that loads the image's modules, prints what the kernel says of
# itself, and restarts, which ends QEMU.
INIT = r"""
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static void show(const char *path)
{
    char text[512] = "";
    int fd = open(path, O_RDONLY);
    int size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
    text[size < 0 ? 0 : size] = 0;
    text[strcspn(text, "\n")] = 0;
    printf("%s: %s\n", path, text);
    close(fd);
}

int main(void)
{
    char name[256];
    FILE *order;
    mkdir("/proc", 0755);
    mkdir("/sys", 0755);
    mkdir("/dev", 0755);
    mount("proc", "/proc", "proc", 0, 0);
    mount("sysfs", "/sys", "sysfs", 0, 0);
    mount("devtmpfs", "/dev", "devtmpfs", 0, 0);
    int console = open("/dev/console", O_RDWR);
    dup2(console, 0);
    dup2(console, 1);
    order = fopen("/order", "r");
    while (order && fscanf(order, "%255s", name) == 1) {
        int fd = open(name, O_RDONLY);
        if (syscall(SYS_finit_module, fd, "", 0))
            printf("module %s: %s\n", name, strerror(errno));
    }
    show("/proc/sys/kernel/osrelease");
    show("/proc/sys/kernel/watchdog_thresh");
    show("/proc/sys/kernel/hung_task_timeout_secs");
    show("/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout");
    show("/proc/sys/kernel/tainted");
    show("/proc/sys/net/core/bpf_jit_enable");
    show("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    struct stat info;
    printf("btf: %d\n", stat("/sys/kernel/btf/vmlinux", &info));
    printf("eth0: %d\n", stat("/sys/class/net/eth0", &info));
    printf("finished\n");
    fflush(stdout);
    reboot(RB_AUTOBOOT);
    return 0;
}
"""


@pytest.fixture(scope="module")
def debian() -> Kernel:
    return build_kernel(load_flavor(Workspace.default(), "debian"), Cache.default())


@pytest.fixture(params=["stock", "debian"])
def kernel(request: pytest.FixtureRequest) -> Kernel:
    found: Kernel = request.getfixturevalue(request.param)
    return found


def test_nothing_happens_on_the_second_run(kernel: Kernel) -> None:
    seen: list[Event] = []
    flavor = load_flavor(Workspace.default(), kernel.flavor)
    assert build_kernel(flavor, Cache.default(), seen.append) == kernel
    assert find_kernel(flavor, Cache.default()) == kernel
    assert seen == []


def test_every_request_is_granted(stock: Kernel) -> None:
    requests = fragments.read_fragments(load_flavor(Workspace.default(), "stock").fragments)
    assert len(requests) > 100
    assert fragments.unmet(requests, fragments.read_config(stock.config)) == []


def test_it_boots_at_its_pvh_entry_and_has_btf(kernel: Kernel) -> None:
    assert kernel.btf is not None
    assert kernel.btf.read_bytes().startswith(BTF_MAGIC)
    with kernel.boot.open("rb") as stream:
        elf = ELFFile(stream)
        kinds: set[int | str] = {
            note["n_type"]
            for segment in elf.iter_segments("PT_NOTE")
            if isinstance(segment, NoteSegment)
            for note in segment.iter_notes()
            if note["n_name"] == "Xen"
        }
        assert PVH_NOTE in kinds
        assert elf.get_section_by_name(".debug_info") is None
    assert bootimage.release_of(kernel.bzimage) == kernel.release


def test_symbols_are_kept_for_gdb(stock: Kernel) -> None:
    assert stock.vmlinux is not None
    with stock.vmlinux.open("rb") as stream:
        elf = ELFFile(stream)
        assert elf.get_section_by_name(".debug_info") is not None
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        assert symbols.get_symbol_by_name("start_kernel")


def test_modules_come_in_the_order_in_which_they_load(debian: Kernel) -> None:
    names = [re.sub(r"^\d+-|\.ko$", "", path.name) for path in debian.modules]
    assert names.index("pvpanic") < names.index("pvpanic_pci")
    assert names.index("failover") < names.index("net_failover") < names.index("virtio_net")
    assert {"veth", "dummy", "sch_ingress", "cls_bpf"} <= set(names)


def test_a_module_builds_against_the_tree_wherever_it_is(stock: Kernel, tmp_path: Path) -> None:
    assert stock.build_tree is not None
    assert stock.vmlinux is not None
    # The tree must not know where it was made.
    moved = tmp_path / "moved"
    moved.mkdir()
    subprocess.run(["cp", "-a", stock.build_tree, moved / "tree"], check=True)
    (moved / "vmlinux").symlink_to(stock.vmlinux)
    source = tmp_path / "module"
    source.mkdir()
    (source / "Makefile").write_text("obj-m := hello.o\n")
    (source / "hello.c").write_text(
        "#include <linux/module.h>\n"
        "static int __init hello(void) { return 0; }\n"
        'module_init(hello);\nMODULE_LICENSE("GPL");\nMODULE_DESCRIPTION("hello");\n'
    )
    result = process.run(["make", "-C", moved / "tree", f"M={source}", "modules"])
    module = (source / "hello.ko").read_bytes()
    info = bootimage.section(module, ".modinfo") or b""
    assert f"vermagic={stock.release} SMP preempt".encode() in info
    assert bootimage.section(module, ".BTF"), result.stdout
    assert "warning" not in result.stderr.lower()


def test_it_boots_quietly_and_its_detectors_are_in_order(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "init.c").write_text(INIT)
    process.run(["gcc", "-static", "-O1", "-o", tmp_path / "init", tmp_path / "init.c"])
    order = "".join(f"/{path.name}\n" for path in kernel.modules)
    entries = [
        cpio.directory("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.regular("init", (tmp_path / "init").read_bytes(), 0o755),
        cpio.regular("order", order.encode()),
        *(cpio.regular(path.name, path.read_bytes()) for path in kernel.modules),
    ]
    (tmp_path / "image").write_bytes(cpio.archive(entries))
    result = process.run(
        [
            "qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-smp", "2", "-m", "512",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-serial", "stdio", "-device", "pvpanic-pci",
            "-netdev", "user,id=net,restrict=on",
            "-device", "virtio-net-pci,netdev=net,romfile=",
            "-kernel", kernel.boot, "-initrd", tmp_path / "image",
            "-append", " ".join(kernel.boot_args),
        ],
        timeout=scaled(120).seconds,
    )  # fmt: skip
    console = result.stdout.replace("\r", "")
    assert "finished" in console, console[-2000:]
    said = dict(re.findall(r"^(\S+): (.*)$", console, re.MULTILINE))
    assert "module" not in said, console
    assert said["/proc/sys/kernel/osrelease"] == kernel.release
    assert said["/proc/sys/kernel/tainted"] == "0"
    assert said["/proc/sys/net/core/bpf_jit_enable"] == "1"
    # Any other one costs an exit per reading, and has been seen on a busy host.
    clock = said["/sys/devices/system/clocksource/clocksource0/current_clocksource"]
    assert clock.startswith("tsc")
    assert said["btf"] == said["eth0"] == "0"
    stall = int(said["/sys/module/rcupdate/parameters/rcu_cpu_stall_timeout"])
    soft_lockup = 2 * int(said["/proc/sys/kernel/watchdog_thresh"])
    hung_task = int(said["/proc/sys/kernel/hung_task_timeout_secs"])
    assert stall < soft_lockup < hung_task
    # Nothing at warning level or above on a good boot that an oracle might take for a report.
    assert "BUG" not in console
    assert "Call Trace" not in console


@pytest.mark.kernel_build
def test_a_patched_flavor_is_built_from_a_copy_of_stock(stock: Kernel, tmp_path: Path) -> None:
    folder = tmp_path / "patched"
    folder.mkdir()
    (folder / "kernel.yaml").write_text("summary: stock with another banner\nbase: stock\n")
    (folder / "patches").mkdir()
    (folder / "patches" / "1.patch").write_text(
        "--- a/kernel/ksysfs.c\n+++ b/kernel/ksysfs.c\n@@ -1,3 +1,4 @@\n"
        "+/* patched */\n"
        " // SPDX-License-Identifier: GPL-2.0-only\n /*\n"
        "  * kernel/ksysfs.c - sysfs attributes in /sys/kernel, which\n"
    )
    flavor = load_flavor(Workspace.default(), folder)
    cache = Cache.default()
    base_work = cache.find(WORK, stock.key)
    seen: list[Event] = []
    try:
        kernel = build_kernel(flavor, cache, seen.append)
        progress = [event for event in seen if isinstance(event, StageProgress)]
        assert "kernel/ksysfs.o" in {event.note for event in progress}
        if base_work is not None:  # a cache without it builds all of it
            assert len(progress) < 20
        assert progress[-1].done == progress[-1].total
        assert kernel.release == stock.release.replace("stock", "patched")
        assert fragments.read_config(kernel.config) == fragments.read_config(stock.config)
    finally:
        remove_kernel(flavor, cache)
