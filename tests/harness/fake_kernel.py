# SPDX-License-Identifier: GPL-2.0-only
"""A kernel source of a few lines: it configures, compiles and links in half a second.

It prints what kbuild prints, writes `.cmd` files as kbuild does, and its
configurator grants a symbol only if what it depends on is on.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

MAKEFILE = """\
OBJS := init/main.o kernel/fork.o kernel/exit.o
.DELETE_ON_ERROR:
vmlinux: $(OBJS)
\t@echo '  LD      vmlinux'; $(CC) -nostdlib -static -Wl,-e,main,--build-id=none -o $@ $^
bzImage: vmlinux
\t@mkdir -p arch/x86/boot; cp boot.header arch/x86/boot/bzImage
modules: ;
%.o: %.c
\t@echo '  CC      $@'; if [ -p '$(GATE)' ]; then cat '$(GATE)'; fi; $(CC) -O1 -c -o $@ $< && \
echo 'cmd' > $(dir $@).$(notdir $@).cmd
allnoconfig:
\t@sh scripts/conf.sh
prepare:
\t@mkdir -p include/config; echo '6.99.0$(LOCALVERSION)' > include/config/kernel.release
"""

CONF = """\
# Symbols without conditions are granted; VETH needs NET.
{
    grep -v '^CONFIG_VETH=' "$KCONFIG_ALLCONFIG" | grep -v '=n$'
    if grep -q '^CONFIG_NET=y' "$KCONFIG_ALLCONFIG"; then
        grep '^CONFIG_VETH=' "$KCONFIG_ALLCONFIG"
    fi
    true
} > .config
"""

KCONFIG = """\
config NET
\tbool "Networking"

source "drivers/Kconfig"
"""

DRIVERS = """\
if NET
config VETH
\tbool "A pair of devices"
\thelp
\t  depends on nothing that is written in a help text
endif

config LOOP
\tbool "Loop"
"""

SOURCES = {
    "Makefile": MAKEFILE,
    "Kconfig": KCONFIG,
    "drivers/Kconfig": DRIVERS,
    "scripts/conf.sh": CONF,
    "init/main.c": "int fork(void);\nint main(void)\n{\n\treturn fork();\n}\n",
    "kernel/fork.c": "int leave(int);\nint fork(void)\n{\n\treturn leave(1);\n}\n",
    "kernel/exit.c": "int leave(int code)\n{\n\treturn code;\n}\n",
}

PATCH = """\
--- a/kernel/exit.c
+++ b/kernel/exit.c
@@ -1,4 +1,4 @@
 int leave(int code)
 {
-\treturn code;
+\treturn code + 41;
 }
"""


def bzimage(release: str, payload: bytes = b"", protocol: int = 0x20F) -> bytes:
    """Return an image with the header fields that the lab reads."""
    image = bytearray(0x400)
    image[0x1F1] = 1  # one sector of setup code
    image[0x202:0x206] = b"HdrS"
    image[0x206:0x208] = protocol.to_bytes(2, "little")
    image[0x20E:0x210] = (0x100).to_bytes(2, "little")
    image[0x300 : 0x300 + len(release) + 6] = release.encode() + b" (me)\0"
    image[0x248:0x24C] = (0x10).to_bytes(4, "little")
    image[0x24C:0x250] = len(payload).to_bytes(4, "little")
    return bytes(image) + b"\0" * 0x10 + payload


def write_source(folder: Path) -> Path:
    """Write the source tree to `folder`, and return it."""
    for name, text in SOURCES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "boot.header").write_bytes(bzimage("6.99.0-header"))
    return folder


def write_tarball(folder: Path, readme: str = "") -> tuple[Path, str]:
    """Write the source as a tarball to `folder`; return its path and SHA-256."""
    (write_source(folder / "linux-6.99") / "README").write_text(readme)
    path = folder / "linux-6.99.tar.gz"
    subprocess.run(["tar", "-czf", path, "-C", folder, "linux-6.99"], check=True)
    shutil.rmtree(folder / "linux-6.99")
    return path, hashlib.sha256(path.read_bytes()).hexdigest()


def write_flavor(
    root: Path,
    name: str = "fake",
    *,
    source: str | None = None,
    fragments: str = "CONFIG_NET=y  # first\nCONFIG_VETH=y\n",
    patches: dict[str, str] | None = None,
    extra: str = "",
) -> Path:
    """Write a flavor to `root`, from a tarball of the fake source unless `source` is given."""
    folder = root / name
    folder.mkdir(parents=True)
    if source is None:
        tarball, digest = write_tarball(folder)
        source = f"source: {{tarball: {tarball.name}, sha256: {digest}}}\n"
    (folder / "kernel.yaml").write_text(f"summary: a fake\n{source}{extra}")
    if fragments:
        (folder / "10-all.config").write_text(fragments)
    for patch, text in (patches or {}).items():
        (folder / "patches").mkdir(exist_ok=True)
        (folder / "patches" / patch).write_text(text)
    return folder


def exit_status(vmlinux: Path) -> bytes:
    """Return the machine code, which shows from which source the kernel was built."""
    return subprocess.run(
        ["objdump", "-d", "--disassemble=leave", vmlinux],
        check=True,
        capture_output=True,
        env={**os.environ, "LC_ALL": "C"},
    ).stdout.split(b"\n", 3)[3]
