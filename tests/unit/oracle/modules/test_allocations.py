# SPDX-License-Identifier: GPL-2.0-only
"""The allocation oracle charges memory that is not freed to the function that allocated it."""

from __future__ import annotations

import json

import pytest
from harness.paths import GOLDEN
from hypothesis import given
from hypothesis import strategies as st

from lab.oracle.modules import allocations
from lab.oracle.modules.allocations import Allocation, left, parse_slab, parse_vmalloc, size_text
from lab.oracle.modules.layout import Layouts, parse_sections
from lab.runner.residue import split_parts

RESIDUE = GOLDEN / "residue"


@pytest.fixture
def layouts() -> Layouts:
    """Return the layout of the unloaded module `leaks` in the guest that the texts are from."""
    found = Layouts()
    symbols = json.loads((RESIDUE / "symbols.json").read_text())
    found.add("leaks", parse_sections((RESIDUE / "sections.txt").read_text()), symbols)
    found.remove("leaks")
    return found


def recorded() -> list[Allocation]:
    """Return the texts of a 6.12 kernel after the module was gone."""
    found: list[Allocation] = []
    for name, text in split_parts((RESIDUE / "memory.txt").read_text()).items():
        if name.endswith("/alloc_traces"):
            found += parse_slab(name.split("/")[-2], text)
        else:
            found += parse_vmalloc(text)
    return found


def test_each_kind_of_memory_is_charged_to_the_module(layouts: Layouts) -> None:
    assert [str(leak) for leak in left([], recorded(), layouts)] == [
        "13 objects of 1000 bytes, allocated in take_one (leaks), are not freed",
        "1 vmalloc area of 12 KiB, allocated in take_one (leaks), is not freed",
        "1 object of 168 bytes, allocated in take_heap_timer (leaks), is not freed",
        "2 objects of 37 bytes, allocated by kstrdup in take_one (leaks), are not freed",
        "32 objects, allocated by __kmem_cache_create_args in leaks_init (leaks), are not freed",
        "1 object of 4 bytes, allocated by memdup_user in take_memdup_user (leaks), is not freed",
        "1 object of the cache kextlab_leaks, allocated in take_one (leaks), is not freed",
    ]


def test_what_was_there_before_is_not_counted(layouts: Layouts) -> None:
    assert left(recorded(), recorded(), layouts) == []


def test_only_what_came_after_the_baseline_is_counted(layouts: Layouts) -> None:
    text = "     {} 0xffffffffa0000048 age=1 pid=2\n        0xffffffffa0000048\n\n"
    before, now = (list(parse_slab("kmalloc-1k", text.format(count))) for count in (3, 15))
    (leak,) = left(before, now, layouts)
    assert str(leak) == "12 objects of 1 KiB, allocated in take_one (leaks), are not freed"


def test_what_the_kernel_allocated_for_itself_is_nobodys_leak(layouts: Layouts) -> None:
    keepers = ("fill_pool", "alloc_slab_obj_exts", "ida_alloc_range", "mas_alloc_nodes")
    for keeper in (f"{name}+0x1/0x2" for name in keepers):
        text = (
            f"  1 {keeper} age=1\n        {keeper}\n        0xffffffffa0000048\n"
            "        do_one_initcall+0x4f/0x1f0\n\n"
        )
        assert left([], parse_slab("kmalloc-64", text), layouts) == []


def test_what_a_loaded_module_holds_is_not_looked_at(layouts: Layouts) -> None:
    text = "  1 pf_write+0x2b/0x40 [pf] age=1\n        pf_write+0x2b/0x40 [pf]\n\n"
    assert left([], parse_slab("kmalloc-64", text), layouts) == []


def test_code_that_nobody_knows_is_still_no_longer_there(layouts: Layouts) -> None:
    # A module whose init failed was never listed.
    text = "  2 0xffffffffa0042010 age=1\n        0xffffffffa0042010\n\n"
    (leak,) = left([], parse_slab("kmalloc-64", text), layouts)
    assert str(leak) == (
        "2 objects of 64 bytes, allocated in code that is no longer there (0xffffffffa0042010), "
        "are not freed"
    )


def test_a_kernel_without_stacks_in_its_traces_is_read(layouts: Layouts) -> None:
    # Linux 5.15: one line for each caller, and no blank line between them.
    text = (
        "     12 0xffffffffa0000048 age=71/73/75 pid=68-70 cpus=0-1\n"
        "      3 kstrdup+0x32/0x60 age=9 pid=1\n"
    )
    assert [str(leak) for leak in left([], parse_slab("kmalloc-cg-2k", text), layouts)] == [
        "12 objects of 2 KiB, allocated in take_one (leaks), are not freed"
    ]


@pytest.mark.parametrize(
    ("cache", "size"),
    [
        ("kmalloc-8", 8),
        ("kmalloc-1k", 1024),
        ("kmalloc-cg-192", 192),
        ("kmalloc-rcl-4k", 4096),
        ("kmalloc-rnd-05-64", 64),
        ("dma-kmalloc-8k", 8192),
        ("kmalloc-2M", 2 << 20),
        ("dentry", 0),
    ],
)
def test_size_of_an_object_is_in_the_name_of_a_general_cache(cache: str, size: int) -> None:
    (one,) = parse_slab(cache, "  1 f+0x1/0x2 age=1 pid=1\n")
    assert one.bytes == size


def test_a_guard_page_is_not_part_of_an_area() -> None:
    text = (
        "0xffffc90000000000-0xffffc90000005000   20480 irq_init_percpu_irqstack+0x114/0x1b0 vmap\n"
        "0xffffc90000189000-0xffffc9000018d000   16384 0xffffffffa0000048 pages=3 vmalloc\n"
        "0xffffc9000018e000-0xffffc90000190000    8192 unpurged vm_area\n"
    )
    assert [(one.bytes, one.stack) for one in parse_vmalloc(text)] == [
        (16384, ("irq_init_percpu_irqstack+0x114/0x1b0",)),
        (12288, ("0xffffffffa0000048",)),
    ]


@given(st.text(alphabet="0123456789abcdefx +/[]\n kmalloc=-:", max_size=300))
def test_any_text_is_read(text: str) -> None:
    list(parse_slab("kmalloc-64", text))
    list(parse_vmalloc(text))
    parse_sections(text)


@given(st.integers(min_value=1, max_value=1 << 40))
def test_sizes_are_exact(size: int) -> None:
    number, unit = size_text(size).split()
    factor = {"byte": 1, "bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20}[unit]
    assert int(number) * factor == size


def test_two_loads_at_one_place_are_both_known() -> None:
    layouts = Layouts()
    layouts.add("a", {".text": 0xFFFFFFFFA0000000}, {".text": [(0, 16, "first")]})
    layouts.remove("a")
    layouts.add("b", {".text": 0xFFFFFFFFA0001000}, {".text": [(0, 16, "second")]})
    assert str(layouts.place("0xffffffffa0000008")) == "first (a)"
    assert layouts.gone_at(0xFFFFFFFFA0001004) is None
    assert allocations.left([], [], layouts) == []
