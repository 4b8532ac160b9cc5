# SPDX-License-Identifier: GPL-2.0-only
"""Modules that leave memory, timers and work items in real guests, and one that leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.extension.module import build_module
from lab.guest.forks import Forks
from lab.guest.guest import GuestSpec
from lab.judge import Judgement, judge
from lab.judge.observation import Observation
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.runner.residue import STARTED, Residue, insert_line
from lab.runner.run import Run
from lab.scenario.items import items
from lab.scenario.load import load_scenarios
from lab.workspace import Workspace

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("stock")]

SCENARIO = """\
summary: A module takes things
extension: {{module: leaks, args: {{take: all, keep: "{keep}", seconds: {seconds}}}}}
steps:
  - load: main
  - shell: "echo all 3 > /sys/kernel/debug/kextlab_leaks/take"
    expect: {{status: 0}}
  - unload: main
  - shell: "{after}"
expect: {{resources: released, reusable: {reusable}}}
"""

Use = Callable[..., tuple[Observation, Judgement]]


@pytest.fixture
def use(tmp_path: Path, planner: Planner, forks: Forks) -> Use:
    def run(
        keep: str, *, seconds: int = 3600, reusable: str = "false", after: str = "true"
    ) -> tuple[Observation, Judgement]:
        path = tmp_path / "case.yaml"
        text = SCENARIO.format(keep=keep, seconds=seconds, reusable=reusable, after=after)
        path.write_text(text)
        (item,) = items(load_scenarios(path)[0])
        seen = Run(planner.plan(item), start=forks.start).go()
        return seen, judge(item.scenario, seen)

    return run


def test_a_module_that_gives_all_back_is_quiet_however_often_it_is_loaded(use: Use) -> None:
    seen, found = use("none", reusable="true")
    assert (found.verdict, found.reasons) == ("passed", ())
    assert (seen.residue, seen.not_looked_at, seen.reports) == ([], [], [])
    assert len(seen.second.results if seen.second else []) == 4


def test_what_a_module_leaves_is_named_one_by_one(use: Use) -> None:
    seen, found = use("all")
    assert seen.state == "alive"
    said = "\n".join(found.reasons)
    for words in (
        "4 objects of 1000 bytes, allocated in take_kmalloc (leaks), are not freed",
        "4 objects of 37 bytes, allocated by kstrdup in take_kstrdup (leaks), are not freed",
        "3 objects of 4 bytes, allocated by memdup_user in take_memdup_user (leaks), are not",
        "4 objects of the cache kextlab_leaks, allocated in take_cache (leaks), are not freed",
        "4 vmalloc areas of 12 KiB, allocated in take_vmalloc (leaks), are not freed",
        "4 per-CPU objects of 64 bytes, allocated in take_percpu (leaks), are not freed",
        "32 KiB, allocated in take_pages (leaks) at leaks/leaks.c:",
        "256 KiB, allocated in take_large (leaks) at leaks/leaks.c:",
        "a timer of leaks (function tick) is still armed",
        "a high-resolution timer of leaks (function beat) is still armed",
        "a delayed work item of leaks (function chore) is still armed",
    ):
        assert f"resources: expected released, but {words}" in said
    assert {finding.topic for finding in found.findings if not finding.holds} == {"resources"}


def test_a_timer_in_memory_that_is_freed_is_the_kernels_word(use: Use) -> None:
    """Without another leak the module's data is freed, and the kernel disarms its timers."""
    seen, found = use("timer")
    assert found.reasons == (
        "resources: expected released, but a timer of leaks (function tick) is still armed",
    )
    assert [cause.leak for cause in seen.causes] == [True]


def test_code_that_is_gone_and_is_called_is_the_first_that_is_said(use: Use) -> None:
    """DEBUG_OBJECTS does not see memory that is never freed: the timer in it runs."""
    seen, found = use("heap_timer", seconds=1, after="sleep 3")
    assert seen.state == "crashed"
    words = "code of the unloaded module leaks was called: function tick (by a timer)"
    # Whether the timer is seen to wait before it runs depends on the host.
    assert f"resources: expected released, but {words}" in found.reasons[:2]


FAILS = """\
#include <linux/module.h>
void no_such_function(void);
static int __init it_init(void)
{
#ifdef REFUSED
	no_such_function();
#endif
	return -ENOENT;
}
module_init(it_init);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Fails in its own function, or is refused");
"""


def test_a_module_that_fails_is_told_from_one_that_is_refused(
    spec: GuestSpec, forks: Forks, stock: Kernel, planner: Planner, tmp_path: Path
) -> None:
    folder = tmp_path / "it"
    folder.mkdir()
    (folder / "it.c").write_text(FAILS)
    with forks.start(spec) as guest:
        Residue(guest).begin()
        for flag, started in (("ALLOWED", True), ("REFUSED", False)):
            recipe = f"obj-m := it.o\nccflags-y := -D{flag}\nKBUILD_MODPOST_WARN := 1\n"
            (folder / "Kbuild").write_text(recipe)
            guest.push(
                {
                    "/root/it.ko": build_module(
                        Workspace(modules=(tmp_path,)), "it", stock, planner.cache
                    )
                }
            )
            done = guest.run(insert_line("/root/it.ko", [], "it"))
            assert not done.ok
            assert "unknown symbol in module" in done.stderr
            assert (STARTED in done.stdout.splitlines()) == started
