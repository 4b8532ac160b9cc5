# SPDX-License-Identifier: GPL-2.0-only
"""Test properties of any file: errors are reported, places are right, items are distinct."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.config.yaml_file import parse
from lab.scenario.catalog import Catalog, Source
from lab.scenario.items import items
from lab.scenario.load import check_file, load_scenarios
from lab.scenario.model.steps import TriggerStep
from lab.scenario.model.triggers import ShellTrigger
from lab.scenario.parameters import as_text, grid, put_in

CATALOG = Catalog(
    flavors=("stock",), c={"count": Source(("p",), ("m",))}, modules=("leak",), syscalls=("getpid",)
)
FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# Words of the format and near misses, so that structures get past the first key.
VOCABULARY = """
summary name property tags kernels machine timeout parameters extension extensions background
steps trigger expect allow_console controls compare set load attach start stop read write unload
repeat shell console pin wait_for syscall pagefault packets spin run sysrq wait times cpu c
module rust programs program to args load_unload traffic cpu_hotplug every outcome kernel
resources reusable reports counters ledger slopes time misses maps verifier_log contains
matches at_least at_most equals rejected returned alive stalled crashed released kept as map
key value path report without boot reason variants cpus memory type main a a.m m p stock
soft-lockup fails steps rex extension_report panicked getpid ${a} $${a} 0x00 lod trigerr
"""
WORDS = st.sampled_from(VOCABULARY.split())
SCALARS = (
    WORDS
    | st.integers(-3, 300)
    | st.booleans()
    | st.none()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
)
STRUCTURES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.integers(0, 9), inner, max_size=6)
    ),
    max_leaves=25,
)
SCENARIOS = st.fixed_dictionaries(
    {},
    optional={
        "summary": STRUCTURES,
        "machine": STRUCTURES,
        "parameters": STRUCTURES,
        "extension": STRUCTURES,
        "extensions": st.dictionaries(WORDS, st.dictionaries(WORDS, STRUCTURES, max_size=3)),
        "background": st.dictionaries(WORDS, st.dictionaries(WORDS, STRUCTURES, max_size=3)),
        "steps": st.lists(st.dictionaries(WORDS, STRUCTURES, max_size=3), max_size=6),
        "trigger": st.dictionaries(WORDS, STRUCTURES, max_size=3),
        "expect": st.dictionaries(WORDS, STRUCTURES, max_size=5),
        "controls": STRUCTURES,
        "compare": STRUCTURES,
        "set": STRUCTURES,
    },
)


def check_bytes(folder: Path, data: bytes) -> None:
    """The file is good, or all that is wrong has a place in it; nothing else is raised."""
    path = folder / "x.yaml"
    path.write_bytes(data)
    lines = data.decode("utf-8", "replace").splitlines() or [""]
    for problem in check_file(path, CATALOG):
        assert 1 <= problem.line <= len(lines) + 1
        assert problem.column >= 1
        assert problem.message
        assert "\n" not in problem.message


@FEW
@given(data=st.binary(max_size=200))
def test_any_bytes_give_errors_with_places(tmp_path: Path, data: bytes) -> None:
    check_bytes(tmp_path, data)


@FEW
@given(text=st.text(alphabet="ab:-[]{}\"'&*!|>%@`# \n\t,?0123456789.$", max_size=80))
def test_any_text_gives_errors_with_places(tmp_path: Path, text: str) -> None:
    check_bytes(tmp_path, text.encode())


@settings(FEW, max_examples=60)
@given(data=SCENARIOS)
@example(data={"expect": {"reports": [[]]}})
def test_any_structure_gives_errors_with_places(tmp_path: Path, data: Any) -> None:
    check_bytes(tmp_path, yaml.safe_dump(data, sort_keys=False).encode())


PIECES = ["", " ", ":", "- ", "{", "]", "\n", "a", "0", "null", '"']
GOOD = """\
summary: One of each
parameters: {n: [1, 2]}
machine: {cpus: 2, boot: [quiet]}
extensions:
  a: {c: count, attach: [{program: p, to: "kprobe:f"}]}
background:
  noise: {traffic: lo, size: 64}
steps:
  - load: a
  - attach: a
  - start: noise
  - trigger: {syscall: getpid, times: "${n}", cpu: 1}
    as: firing
    expect: {outcome: {returned: "${n}"}, maps: {m: {0: 1}}}
  - repeat: {times: 3, steps: [{read: {map: a.m, key: 0}, expect: {value: {at_least: 1}}}]}
  - stop: noise
  - unload: a
expect:
  outcome: returned
  verifier_log: {matches: "processed [0-9]+"}
  slopes: {slab: {at_most: 1.0}}
"""


def test_the_text_that_is_mutated_is_good(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD)
    assert check_file(path, CATALOG) == []


@settings(FEW, max_examples=60)
@given(data=st.data())
def test_any_mutation_gives_errors_with_places(tmp_path: Path, data: st.DataObject) -> None:
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        put = data.draw(st.sampled_from(PIECES))
        text = text[:start] + put + text[end:]
    check_bytes(tmp_path, text.encode())


NAMES = st.lists(
    st.from_regex(r"[a-z_][a-z0-9_]{0,6}", fullmatch=True), min_size=1, max_size=3, unique=True
)
VALUES = st.integers(-9, 99) | st.booleans() | st.text(alphabet="ab ,=@[]%/ü", max_size=4)


@FEW
@given(data=st.data())
def test_every_combination_of_values_is_an_item_of_its_own(
    tmp_path: Path, data: st.DataObject
) -> None:
    names = data.draw(NAMES)
    lists = {
        name: data.draw(st.lists(VALUES, min_size=1, max_size=3, unique_by=as_text))
        for name in names
    }
    written = {
        "summary": "x",
        "parameters": lists,
        "extension": {"c": "count"},
        "trigger": {"shell": ": " + " ".join(f"<${{{name}}}>" for name in names)},
        "expect": {"outcome": "returned"},
    }
    path = tmp_path / "x.yaml"
    path.write_text(yaml.safe_dump(written, sort_keys=False))
    (scenario,) = load_scenarios(path)
    found = items(scenario)
    expected = list(itertools.product(*lists.values()))
    assert [tuple(item.parameters.values()) for item in found] == expected
    assert len({item.id for item in found}) == len(expected)
    for item, values in zip(found, expected, strict=True):
        steps = item.scenario.steps
        trigger = next(step.trigger for step in steps if isinstance(step, TriggerStep))
        assert isinstance(trigger, ShellTrigger)
        assert trigger.shell == ": " + " ".join(f"<{as_text(value)}>" for value in values)
        assert item.scenario.parameters == dict(zip(names, values, strict=True))


@FEW
@given(value=VALUES, around=st.text(alphabet="ab{} $", max_size=3))
def test_values_keep_their_type_and_text_is_text(value: Any, around: str) -> None:
    data, _ = parse("parameters: {p: [x]}\nalone: ${p}\namong: ''\nitself: $${p}\n")
    data["among"] = f"<{around}>${{p}}"
    flaws: list[Any] = []
    filled = put_in(data, {"p": value}, flaws, set())
    assert filled["alone"] is value
    assert filled["itself"] == "${p}"
    if "${" not in around and not around.endswith("$"):
        assert filled["among"] == f"<{around}>{as_text(value)}"
        assert flaws == []
    assert filled.values_at == data.values_at


def test_a_grid_varies_the_last_name_fastest() -> None:
    data, _ = parse("parameters: {a: [1, 2], b: [x, y]}\n")
    assert grid(data, []) == [
        {"a": 1, "b": "x"},
        {"a": 1, "b": "y"},
        {"a": 2, "b": "x"},
        {"a": 2, "b": "y"},
    ]


def test_rows_are_taken_as_they_are() -> None:
    data, _ = parse("parameters: [{a: 1, b: x}, {b: y, a: 2}]\n")
    assert grid(data, []) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
