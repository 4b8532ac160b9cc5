# SPDX-License-Identifier: GPL-2.0-only
"""The Rex series as a maintainer gets it: each patch applies and builds, checkpatch is content."""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.kernel import source
from lab.kernel.flavor import load_flavor
from lab.kernel.series import build_each
from lab.stages import Stages
from lab.workspace import Workspace

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not os.environ.get("LAB_NIGHTLY"), reason="takes minutes: LAB_NIGHTLY=1"),
]

# What checkpatch.pl --strict may say, where, and why it stays.
EXCEPTIONS = {
    ("FILE_PATH_CHANGES", "*"): "there is no MAINTAINERS entry for a lab's patches",
    ("LINE_SPACING", "kernel/bpf/rex/*.c"): "NOKPROBE_SYMBOL stands directly below its function",
    ("INCLUDE_LINUX", "kernel/bpf/rex/*.c"): "linux/ has it for some configurations only",
    ("BIT_MACRO", "*/rex.h"): "a size is no bit",
    ("BIT_MACRO", "kernel/bpf/rex/elf.h"): "a size is no bit",
    ("CAMELCASE", "kernel/bpf/rex/elf.c"): "the names of ELF's structures",
    ("UNNECESSARY_KERN_LEVEL", "kernel/bpf/rex/report.c"): "printk_deferred() needs one",
    ("LONG_LINE_STRING", "kernel/bpf/rex/stack.c"): "a message can be searched for in one piece",
    ("MACRO_ARG_REUSE", "kernel/bpf/rex/report.c"): "say() is given a variable",
    ("MACRO_ARG_UNUSED", "kernel/bpf/rex/symbols.c"): "a list that is included twice",
    ("TRAILING_SEMICOLON", "kernel/bpf/rex/symbols.c"): "same",
    ("SPACING", "kernel/bpf/rex/symbols.c"): "same: no cast, but a declaration",
    ("MULTISTATEMENT_MACRO_USE_DO_WHILE", "kernel/bpf/rex/helpers.h"): "declares, then defines",
    ("COMPLEX_MACRO", "include/trace/events/rex.h"): "lists of fields",
    ("PARENTHESIS_ALIGNMENT", "include/trace/events/rex.h"): "events are written so everywhere",
    ("OPEN_ENDED_LINE", "include/trace/events/rex.h"): "same",
}


def test_each_patch_applies_and_builds() -> None:
    flavor = load_flavor(Workspace.default(), "rex")
    steps = list(build_each(flavor, Cache.default()))
    assert tuple(step.patch for step in steps) == flavor.patches
    # What a patch brings is compiled with it, not behind a symbol that comes later.
    assert all("CONFIG_BPF_REX" in step.granted for step in steps)
    assert all(step.objects for step in steps)


def test_checkpatch_says_nothing_but_the_exceptions(tmp_path: Path) -> None:
    flavor = load_flavor(Workspace.default(), "rex")
    tree = tmp_path / "linux"
    source.locate(flavor, Cache.default()).fetch(Stages("checkpatch", lambda event: None))(tree)
    options = ["--strict", "--max-line-length=100", "--terse", "--show-types", "--no-summary"]
    done = subprocess.run(
        ["perl", tree / "scripts/checkpatch.pl", f"--root={tree}", *options, *flavor.patches],
        cwd=tmp_path,  # checkpatch leaves a file of names in the current folder
        capture_output=True,
        text=True,
        check=False,
    )
    found = [match for line in done.stdout.splitlines() if (match := SAID.match(line))]
    assert found, done.stdout
    used, left = set(), []
    for match in found:
        keys = [key for key in EXCEPTIONS if key[0] == match["type"] and fits(match, key[1])]
        used.update(keys)
        left += [] if keys else [match[0]]
    assert left == []
    assert used == set(EXCEPTIONS)  # an exception that nothing needs is none


SAID = re.compile(r"(?P<patch>[^:]+\.patch):(?P<line>\d+): \w+:(?P<type>\w+): .*")


def fits(match: re.Match[str], pattern: str) -> bool:
    """Return whether the line of the patch is in a file that the pattern matches."""
    if pattern == "*":
        return True
    lines = Path(match["patch"]).read_text().splitlines()[: int(match["line"])]
    names = [line[6:] for line in lines if line.startswith("+++ b/")]
    return bool(names) and fnmatch.fnmatch(names[-1], pattern)
