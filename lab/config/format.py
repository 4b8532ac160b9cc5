# SPDX-License-Identifier: GPL-2.0-only
"""Formats of files that people write: the model, and the words that errors use for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from lab.config.model_paths import keys_of
from lab.config.part import Part

M = TypeVar("M", bound=Part)


@dataclass(frozen=True)
class Family:
    """Parts of which one key says the kind, as `{syscall: getpid}` is a trigger.

    In the model they are a union with `OneOf`, whose error is `no_NAME`.
    """

    name: str
    kinds: Mapping[str, type[Part]]
    # One of them as it is written.
    example: str
    # Kinds that a sentence writes in another way than the key.
    proper: Mapping[str, str] = field(default_factory=dict)
    # How to write two of them, where a mapping has the keys of two kinds: `: give it ...`.
    instead: str = ""

    @property
    def one(self) -> str:
        """The name with its article."""
        return _with_article(self.name)


@dataclass(frozen=True)
class Format(Generic[M]):
    """A kind of file."""

    # What errors call it: `flavor`.
    noun: str
    model: type[M]
    families: tuple[Family, ...] = ()
    # What the model's regular expressions mean: `'x' is not MEANING`.
    patterns: Mapping[str, str] = field(default_factory=dict)
    # How it repeats values, as it has no aliases: `a parameter`.
    reuse: str = ""

    @property
    def one(self) -> str:
        """The noun with its article."""
        return _with_article(self.noun)

    @property
    def sample(self) -> str:
        """The keys that the file must have, as errors name them."""
        fields = self.model.model_fields.values()
        needed = [
            f"'{key}:'"
            for key, each in zip(keys_of(self.model), fields, strict=True)
            if each.is_required()
        ]
        return " and ".join(needed)


def _with_article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
