# SPDX-License-Identifier: GPL-2.0-only
"""Fragments, and the reasons for which a symbol is not granted."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.errors import UserError
from lab.kernel.kconfig import fragments
from lab.kernel.kconfig.expr import And, Comparison, Expr, Not, Or, Symbol, parse_expr, text
from lab.kernel.kconfig.tree import Tree

FRAGMENT = """\
# A comment
CONFIG_A=y            # with a reason

CONFIG_B=n
CONFIG_N=16# no blank
CONFIG_S="a # b \\" c"  # with a hash inside
# CONFIG_OFF is not set
CONFIG_A=m
"""


def fragment(folder: Path, content: str) -> Path:
    path = folder / "f.config"
    path.write_text(content)
    return path


def test_fragments_are_read_with_reasons_and_places(tmp_path: Path) -> None:
    requests = fragments.read_fragments([fragment(tmp_path, FRAGMENT)])
    found = {name: (request.value, request.line) for name, request in requests.items()}
    assert found == {
        "CONFIG_A": ("m", 8),
        "CONFIG_B": ("n", 4),
        "CONFIG_N": ("16", 5),
        "CONFIG_S": ('"a # b \\" c"', 6),
        "CONFIG_OFF": ("n", 7),
    }
    assert fragments.merged(requests).splitlines()[0] == "CONFIG_A=m"


def test_all_bad_lines_are_told(tmp_path: Path) -> None:
    path = fragment(tmp_path, "CONFIG_A = y\nCONFIG_B=y\nNET=y\n")
    with pytest.raises(UserError) as caught:
        fragments.read_fragments([path])
    assert caught.value.details.splitlines() == [f"{path}:1: CONFIG_A = y", f"{path}:3: NET=y"]


@pytest.mark.parametrize(
    ("wanted", "got", "granted"),
    [
        ("y", "y", True),
        ("y", "m", False),
        ("y", None, False),
        ("n", None, True),
        ("n", "y", False),
        ("16", "0x10", True),
        ("16", "17", False),
        ('""', None, True),
        ('"a"', '"a"', True),
        ('"a"', '"b"', False),
    ],
)
def test_requests_are_compared_by_meaning(
    tmp_path: Path, wanted: str, got: str | None, granted: bool
) -> None:
    requests = fragments.read_fragments([fragment(tmp_path, f"CONFIG_A={wanted}\n")])
    config = {} if got is None else {"CONFIG_A": got}
    assert (fragments.unmet(requests, config) == []) is granted


TREE = {
    "Kconfig": """\
mainmenu "Fake $(ARCH)"
source "arch/$(SRCARCH)/Kconfig"
menu "Network"
    depends on NET
config VETH
    bool "pairs"
config VIRT
    tristate "virt" if EXPERT
    depends on PCI && \\
        (MMIO || PV)
    select HELPER
endmenu
choice
    prompt "model"
config MODEL_A
    bool "a"
config MODEL_B
    bool "b"
endchoice
if !TINY
config BIG
    bool "big"
    depends on BITS >= 64
    help
      config NOT_A_SYMBOL
      depends on nothing

      endif
endif
config HELPER
    bool
config ALWAYS
    bool "always" if EXPERT
    default y
config SIZE
    int "size"
    range 1 4
config FLAG
    bool "flag"   # comment
""",
    "arch/x86/Kconfig": "config PCI\n\tbool 'pci'\n\tdepends on $(cc-option,-mpci)\n",
}


@pytest.fixture
def tree_folder(tmp_path: Path) -> Path:
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "wanted", "values", "reason"),
    [
        ("VETH", "y", {}, "Kconfig:5: unmet dependency: CONFIG_NET"),
        ("VIRT", "y", {"NET": "y", "MMIO": "y"}, "Kconfig:7: unmet dependency: CONFIG_PCI"),
        ("VIRT", "m", {"NET": "y", "PCI": "y"}, "unmet dependency: CONFIG_MMIO or CONFIG_PV"),
        ("VIRT", "y", {"NET": "y", "PCI": "y", "PV": "y"}, "unmet dependency: CONFIG_EXPERT"),
        ("VIRT", "y", {}, "CONFIG_NET, CONFIG_PCI, CONFIG_MMIO or CONFIG_PV"),
        ("MODEL_A", "y", {"MODEL_B": "y"}, "another member of its choice is set: CONFIG_MODEL_B=y"),
        ("BIG", "y", {"TINY": "y", "BITS": "32"}, "!CONFIG_TINY (it is y), CONFIG_BITS>=64 (it is"),
        ("NOT_A_SYMBOL", "y", {}, "no such symbol"),
        ("VEHT", "y", {}, "no such symbol; did you mean CONFIG_VETH?"),
        ("HELPER", "y", {}, "no prompt: it is set by CONFIG_VIRT"),
        ("HELPER", "n", {"VIRT": "m"}, "selected by CONFIG_VIRT"),
        ("ALWAYS", "n", {"ALWAYS": "y"}, "can only be turned off with CONFIG_EXPERT"),
        ("SIZE", "9", {"SIZE": "4"}, "out of range"),
        ("FLAG", "m", {"FLAG": "y"}, "not a module"),
    ],
)
def test_reasons(
    tree_folder: Path, name: str, wanted: str, values: dict[str, str], reason: str
) -> None:
    assert reason in " ".join(Tree.parse(tree_folder, values).why_not(name, wanted))


NAMES = st.sampled_from(["NET", "PCI", "EXPERT", "X86_64", "9P_FS"])
EXPRESSIONS: st.SearchStrategy[Expr] = st.recursive(
    st.builds(Symbol, NAMES)
    | st.builds(Comparison, NAMES, st.sampled_from(["=", "!=", "<", ">="]), st.just("y")),
    lambda inner: (
        st.builds(Not, st.builds(Symbol, NAMES))
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=12,
)
VALUES = st.fixed_dictionaries({}, optional={n: st.sampled_from("nmy") for n in ("NET", "PCI")})


@given(EXPRESSIONS, VALUES)
def test_an_expression_means_the_same_after_writing_and_reading(
    expression: Expr, values: dict[str, str]
) -> None:
    def value(name: str) -> str:
        return values.get(name, "n")

    again = parse_expr(text(expression).replace("CONFIG_", ""))
    assert again is not None
    assert again.level(value) == expression.level(value)


@given(EXPRESSIONS, VALUES)
def test_an_expression_has_false_leaves_exactly_if_it_does_not_hold(
    expression: Expr, values: dict[str, str]
) -> None:
    def value(name: str) -> str:
        return values.get(name, "n")

    assert bool(expression.false_leaves(value)) is not expression.holds(value)


@given(st.text(alphabet="AB&|!()=<> \"'$", max_size=30))
def test_what_is_no_expression_is_none_not_an_exception(source: str) -> None:
    parse_expr(source)
