# SPDX-License-Identifier: GPL-2.0-only
"""Extensions under test, and the targets of their programs."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from lab.config.part import Abbreviated, OneOf, Part, Text, flaw, kinds_of
from lab.config.suggest import did_you_mean
from lab.scenario.model.base import IDENTIFIER, Cpu, Scalar
from lab.words import ATTACH_TARGETS

_NAME = r"[A-Za-z_][A-Za-z0-9_.$]*"
_DEVICE = r"[^/:\s]{1,15}"
_FORMS = {
    "kprobe": rf"{_NAME}(\+(0x)?[0-9a-f]+)?",
    "kretprobe": _NAME,
    "tracepoint": r"\w+/\w+",
    "raw_tracepoint": r"\w+",
    "fentry": _NAME,
    "fexit": _NAME,
    "perf": r"(software|hardware)/[a-z0-9-]+(@[1-9][0-9]*)?",
    "xdp": _DEVICE,
    "tc": rf"{_DEVICE}/(ingress|egress)",
    "cgroup": r"/\S*",
}


def _target(text: str) -> str:
    kind, colon, rest = text.partition(":")
    if kind not in ATTACH_TARGETS:
        raise flaw(f"'{kind}' is no kind of target{did_you_mean(kind, ATTACH_TARGETS)}")
    if not colon or not re.fullmatch(_FORMS[kind], rest):
        raise flaw(f"expected {kind}:{ATTACH_TARGETS[kind]}")
    return text


Target = Annotated[str, AfterValidator(_target)]


class Attach(Abbreviated):
    """One program and its target; without `to` the target is that in its source."""

    lone = "program"

    program: Text
    to: Target | None = None
    cpu: Cpu | None = None  # for perf events


class BaseExtension(Part):
    """The common part of all extensions: the `kind`, and the `source` that it is built from."""

    kind: ClassVar[str]
    # The kernel of a scenario that names none.
    flavor: ClassVar[str] = "stock"

    @property
    def source(self) -> str:
        """The name of the source below `extensions/`."""
        return str(getattr(self, self.kind))


class ProgramExtension(BaseExtension):
    """An object with programs and maps, which the loader loads."""

    # The programs to load; None loads all.
    programs: Annotated[tuple[Text, ...], Field(min_length=1)] | None = None
    # The programs to attach; None attaches every loaded program to the target in its source.
    attach: tuple[Attach, ...] | None = None


class CExtension(ProgramExtension):
    """An eBPF object built from `extensions/c/<c>.bpf.c`."""

    kind = "c"
    c: Text


class RustExtension(ProgramExtension):
    """Native programs built from `extensions/rust/<rust>/`."""

    kind = "rust"
    flavor = "rex"
    rust: Text


class ModuleExtension(BaseExtension):
    """A kernel module built from `extensions/modules/<module>/`, with its parameters."""

    kind = "module"
    module: Text
    args: dict[Annotated[str, Field(pattern=IDENTIFIER)], Scalar] = Field(default_factory=dict)

    @property
    def module_name(self) -> str:
        """The name as the kernel writes it."""
        return self.source.replace("-", "_")


_Any = CExtension | RustExtension | ModuleExtension
EXTENSIONS = kinds_of(_Any, "kind")
Extension = Annotated[_Any, OneOf("extension", EXTENSIONS)]
