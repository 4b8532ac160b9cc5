# SPDX-License-Identifier: GPL-2.0-only
"""The key of a module holds all that Kbuild reads for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import events
from lab.extension.module import build_module
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

SOURCE = """\
#include <linux/module.h>
#include "it.h"
#include "sub/own.h"

static int __init it_init(void)
{
	return IT + OWN;
}
module_init(it_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Two headers");
"""


def test_a_header_from_elsewhere_is_read_again(
    tmp_path: Path, stock: Kernel, planner: Planner
) -> None:
    elsewhere, module = tmp_path / "elsewhere", tmp_path / "modules" / "it"
    (module / "sub").mkdir(parents=True)
    elsewhere.mkdir()
    (module / "Kbuild").write_text(f"obj-m := it.o\nccflags-y := -I{elsewhere} -I$(src)/sub\n")
    (module / "it.c").write_text(SOURCE)
    (module / "sub/own.h").write_text("#define OWN 1\n")
    (elsewhere / "it.h").write_text("#define IT 1\n")
    seen: list[events.Event] = []

    def build() -> Path:
        return build_module(
            Workspace(modules=(module.parent,)), "it", stock, planner.cache, seen.append
        )

    first = build()
    seen.clear()
    assert build() == first
    assert seen == []
    (elsewhere / "it.h").write_text("#define IT 2\n")
    changed = build()
    assert changed.read_bytes() != first.read_bytes()
