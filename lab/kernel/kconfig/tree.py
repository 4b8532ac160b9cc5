# SPDX-License-Identifier: GPL-2.0-only
"""Explain why a symbol did not get the requested value.

This reads as much of a tree's Kconfig files as the explanation needs: definitions,
dependencies, prompts, selects and choices. It does not compute a configuration: the values in
the finished `.config` decide whether a dependency is met.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from lab.config.suggest import closest
from lab.kernel.kconfig.expr import Expr, parse_expr

_PARSED = re.compile(r"^(\s*)(\S+)\s*(.*)$")
_TYPES = ("bool", "tristate", "int", "hex", "string")
_QUOTED = re.compile(r'^("(?:[^"\\]|\\.)*"|\'[^\']*\')\s*(?:if\s+(.*))?$')


@dataclass
class Definition:
    """One `config` block: a symbol may have several."""

    name: str
    file: str
    line: int
    depends: list[str] = field(default_factory=list)
    type: str = ""
    # None: it has no prompt; "": a prompt without a condition.
    prompt_if: str | None = None
    selects: list[tuple[str, str]] = field(default_factory=list)
    choice: int | None = None


@dataclass
class Tree:
    """The definitions of a kernel's Kconfig, and the values of its configuration."""

    values: Mapping[str, str]
    definitions: dict[str, list[Definition]] = field(default_factory=dict)
    choices: dict[int, list[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, root: Path, values: Mapping[str, str], arch: str = "x86") -> Tree:
        """Read `root`/Kconfig and all files that it sources. Keys of `values` lack CONFIG_."""
        tree = cls(values)
        _Parser(tree, root, arch).file("Kconfig", [], None)
        return tree

    def value(self, name: str) -> str:
        return self.values.get(name, "n").strip('"')

    def why_not(self, name: str, wanted: str) -> list[str]:
        """Return the reasons why `name` is not `wanted`, one line each, the most useful first."""
        definitions = self.definitions.get(name)
        if not definitions:
            # Use a strict cutoff: among 20,000 symbols, any name has one that is somewhat similar.
            close = closest(name, self.definitions, cutoff=0.75)
            known = f"; did you mean CONFIG_{close}?" if close else ""
            return [f"this kernel has no such symbol{known}"]
        if wanted == "n":
            return self._why_on(name)
        return self._why_off(name, wanted, definitions)

    def _why_on(self, name: str) -> list[str]:
        selectors = [
            definition.name
            for definition, condition in self._selectors(name)
            if self.value(definition.name) in ("y", "m") and self._holds(condition)
        ]
        if selectors:
            return [f"selected by {', '.join(f'CONFIG_{s}=y' for s in selectors)}"]
        if all(definition.prompt_if is None for definition in self.definitions[name]):
            return ["it cannot be set: it has no prompt, and its default turns it on"]
        hidden = [leaf for d in self.definitions[name] for leaf in self._prompt_leaves(d)]
        if hidden:
            return [f"it can only be turned off with {', '.join(_unique(hidden))}"]
        return ["its default turns it on"]

    def _why_off(self, name: str, wanted: str, definitions: list[Definition]) -> list[str]:
        reasons: list[str] = []
        for definition in definitions:
            leaves = [
                leaf for text in definition.depends for leaf in self._false_leaves(text)
            ] or self._prompt_leaves(definition)
            if leaves:
                reasons.append(
                    f"{definition.file}:{definition.line}: unmet dependency: "
                    + ", ".join(_unique(leaves))
                )
        if reasons and len(reasons) == len(definitions):
            return reasons
        if all(definition.prompt_if is None for definition in definitions):
            selectors = sorted({definition.name for definition, _ in self._selectors(name)})
            by = ", ".join(f"CONFIG_{selector}" for selector in selectors[:8])
            return [f"it has no prompt: it is set by {by or 'its default'}"]
        for definition in definitions:
            if definition.choice is not None:
                chosen = [n for n in self.choices[definition.choice] if self.value(n) == "y"]
                if chosen and name not in chosen:
                    return [f"another member of its choice is set: CONFIG_{chosen[0]}=y"]
        if wanted == "m" and all(definition.type == "bool" for definition in definitions):
            return ["it is not a module: y or n"]
        if all(definition.type in ("bool", "tristate") for definition in definitions):
            return ["its dependencies are met: is it requested again elsewhere?"]
        return ["its value is out of range, or of another type"]

    def _selectors(self, name: str) -> Iterator[tuple[Definition, str]]:
        for definitions in self.definitions.values():
            for definition in definitions:
                for selected, condition in definition.selects:
                    if selected == name:
                        yield definition, condition

    def _holds(self, text: str) -> bool:
        expression = parse_expr(text)
        return expression is None or expression.holds(self.value)

    def _false_leaves(self, text: str) -> list[str]:
        expression: Expr | None = parse_expr(text)
        return expression.false_leaves(self.value) if expression is not None else []

    def _prompt_leaves(self, definition: Definition) -> list[str]:
        return self._false_leaves(definition.prompt_if) if definition.prompt_if else []


def _unique(items: list[str]) -> list[str]:
    return list(dict.fromkeys(items))


class _Parser:
    """A parser that walks the files; `scope` holds the conditions of the blocks around a line."""

    def __init__(self, tree: Tree, root: Path, arch: str) -> None:
        self._tree = tree
        self._root = root
        self._arch = arch
        self._choices = 0

    def file(self, name: str, scope: list[str], choice: int | None) -> None:
        path = self._root / name
        if not path.is_file():
            return
        scope = list(scope)
        depth: list[tuple[str, int, int | None]] = []  # (block, length of scope, choice outside)
        current: Definition | None = None
        open_menu = False
        for number, line in _lines(path):
            match = _PARSED.match(line)
            if match is None:
                continue
            word, rest = match[2], match[3]
            if word in ("config", "menuconfig"):
                current = Definition(rest.strip(), name, number, list(scope), choice=choice)
                self._tree.definitions.setdefault(current.name, []).append(current)
                if choice is not None:
                    self._tree.choices[choice].append(current.name)
                open_menu = False
            elif word in ("if", "menu", "choice"):
                depth.append((word, len(scope), choice))
                current, open_menu = None, word != "if"
                if word == "if":
                    scope.append(rest)
                if word == "choice":
                    self._choices += 1
                    choice = self._choices
                    self._tree.choices[choice] = []
            elif word in ("endif", "endmenu", "endchoice") and depth:
                _, length, choice = depth.pop()
                del scope[length:]
                current, open_menu = None, False
            elif word in ("source", "rsource", "osource", "orsource"):
                current, open_menu = None, False
                for file in self._sourced(name, word, rest):
                    self.file(file, scope, choice)
            elif word in ("comment", "mainmenu"):
                current, open_menu = None, False
            elif word == "depends" and rest.startswith("on"):
                condition = rest[2:].strip()
                if current is not None:
                    current.depends.append(condition)
                elif open_menu:
                    scope.append(condition)
            elif word == "visible" and rest.startswith("if"):
                continue
            elif current is not None:
                _attribute(current, word, rest)

    def _sourced(self, name: str, word: str, rest: str) -> list[str]:
        target = rest.strip().strip("\"'")
        for variable in ("$(SRCARCH)", "$SRCARCH", "$(HEADER_ARCH)"):
            target = target.replace(variable, self._arch)
        if word.endswith("rsource"):
            target = str(Path(name).parent / target)
        if "*" in target:
            return sorted(str(path.relative_to(self._root)) for path in self._root.glob(target))
        return [target]


def _attribute(definition: Definition, word: str, rest: str) -> None:
    if word in _TYPES or word == "prompt":
        if word in _TYPES:
            definition.type = word
        if match := _QUOTED.match(rest):
            definition.prompt_if = match[2] or ""
    elif word in ("def_bool", "def_tristate"):
        definition.type = word.removeprefix("def_")
    elif word == "select":
        selected, _, condition = rest.partition(" if ")
        definition.selects.append((selected.strip(), condition.strip()))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield lines with their numbers, continued ones joined, without comments and help texts."""
    held, start = "", 0
    help_indent: int | None = None  # of the help text's first line
    in_help = False
    for number, raw in enumerate(path.read_text(errors="replace").splitlines(), 1):
        line = raw.expandtabs()
        indent = len(line) - len(line.lstrip())
        if in_help:
            if not line.strip():
                continue
            if help_indent is None:
                help_indent = indent
            if indent >= help_indent and indent > 0:
                continue
            in_help, help_indent = False, None
        if line.strip() in ("help", "---help---"):
            in_help = True
            continue
        text = line[:-1] if line.endswith("\\") else line
        start = start or number
        if line.endswith("\\"):
            held += text + " "
            continue
        whole = _without_comment(held + text)
        if whole.strip():
            yield start, whole
        held, start = "", 0


def _without_comment(line: str) -> str:
    quote = ""
    for index, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter == "#":
            return line[:index]
    return line
