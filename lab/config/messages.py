# SPDX-License-Identifier: GPL-2.0-only
"""Say what validation found wrong, in words for the author of the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError

from lab.config.format import Family, Format
from lab.config.model_paths import keys_of, model_at, models_at
from lab.config.part import Part
from lab.config.suggest import closest, did_you_mean
from lab.config.yaml_file import Flaw, Map, Mark, Seq, locate

_WANTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}


def flaws_of(
    error: ValidationError, data: Map, form: Format[Any], known_places: Collection[Mark] = ()
) -> list[Flaw]:
    """Return one flaw for each error, at the place of the key or value that it is about.

    `known_places` are the places of other flaws: a key there is not only unknown.
    """
    errors = [each for each in error.errors(include_url=False) if not _is_echo(each)]
    words = _Messages(form)
    meant = {
        (each["loc"][:-1], closest(each["loc"][-1], words.known(each["loc"][:-1])))
        for each in errors
        if each["type"] == "extra_forbidden"
    }
    flaws = []
    for each in errors:
        loc: tuple[Any, ...] = each["loc"]
        if each["type"] == "missing" and (loc[:-1], loc[-1]) in meant:
            continue  # it is there, but misspelt, and that is said already
        place = words.place(each, data)
        if each["type"] != "extra_forbidden" or place not in known_places:
            flaws.append(Flaw(place, words.say(each)))
    return flaws


def nothings(data: Any, at: Mark | None = None, key: str = "") -> list[Flaw]:
    """Return a flaw for each key or item that has no value.

    A scenario's expectation of nothing looks like one, but would hold whatever happens.
    """
    if isinstance(data, Map):
        return [
            flaw
            for name, value in data.items()
            for flaw in nothings(value, data.keys_at[name], f"'{name}:' has no value")
        ]
    if isinstance(data, Seq):
        return [
            flaw
            for value, place in zip(data, data.items_at, strict=True)
            for flaw in nothings(value, place, "an empty item")
        ]
    return [Flaw(at, key)] if data is None and at is not None else []


def _is_echo(each: Any) -> bool:
    """Tell whether an error only repeats others: bad items do not make a list too short."""
    if each["type"] == "too_short":
        return len(each["input"]) >= int(each["ctx"]["min_length"])
    # What has no value is found by `nothings`.
    return each["input"] is None


class _Messages:
    """The errors of one format in words."""

    def __init__(self, form: Format[Any]) -> None:
        self._form = form
        self._families = {family.name: family for family in form.families}
        self._kinds = {
            model: (family, kind)
            for family in form.families
            for kind, model in family.kinds.items()
        }

    def known(self, loc: tuple[Any, ...]) -> list[str]:
        """Return the keys that the mapping at path `loc` may have."""
        model = model_at(self._form.model, loc)
        return list(keys_of(model)) if model else []

    def place(self, each: Any, data: Map) -> Mark:
        kind, loc, value = each["type"], each["loc"], each["input"]
        family = self._families.get(kind.removeprefix("no_"))
        if family and isinstance(value, dict) and value:
            return locate(data, (*loc, _strange_key(value, family.kinds)), key=True)
        if loc and loc[-1] == "[key]":
            return locate(data, loc[:-1], key=True)
        return locate(data, loc, key=kind == "extra_forbidden")

    def say(self, each: Any) -> str:
        kind: str = each["type"]
        loc, value, context = each["loc"], each["input"], each.get("ctx") or {}
        if kind == "extra_forbidden":
            return self._unknown_key(loc)
        if kind == "string_pattern_mismatch":
            pattern = context["pattern"]
            meaning = self._form.patterns.get(pattern, f"of the form {pattern}")
            return f"'{_short(str(value))}' is not {meaning}"
        family = self._families.get(kind.removeprefix("no_"))
        if family:
            return _no_kind(family, value)
        if kind in _SAYINGS:
            return _SAYINGS[kind](loc, value, context)
        if kind in _WANTED:
            return f"expected {_WANTED[kind]}, not {_shown(value)}{_remedy(kind, value)}"
        message: str = each["msg"]
        # Our own messages are ready; pydantic's begin with a capital.
        return message if kind == "lab" else message[:1].lower() + message[1:]

    def _unknown_key(self, loc: tuple[Any, ...]) -> str:
        key, parent = loc[-1], loc[:-1]
        model = model_at(self._form.model, parent)
        family, kind = self._kinds.get(model, (None, "")) if model else (None, "")
        if family:
            if key in family.kinds:
                return f"'{key}' next to '{kind}': {family.one} is of one kind{family.instead}"
            where = f" in a {family.proper.get(kind, kind)} {family.name}"
        else:
            names = [part for part in parent if isinstance(part, str) and not part.startswith("<")]
            where = f" in '{names[-1]}'" if names else ""
        inner = self._inner_home(key, parent, model)
        if inner:
            return f"unknown key '{key}'{where}: it belongs inside '{inner}'"
        return f"unknown key '{key}'{where}{did_you_mean(key, self.known(parent))}"

    def _inner_home(
        self, key: Any, parent: tuple[Any, ...], model: type[Part] | None
    ) -> str | None:
        """Return the key of the same mapping inside which `key` would be known."""
        if model is None or closest(key, keys_of(model)):
            return None
        for name in keys_of(model):
            inside = models_at(self._form.model, (*parent, name))
            if any(key in keys_of(inner) for inner in inside):
                return name
        return None


def _missing(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    return f"'{loc[-1]}' is missing"


def _literal(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    known = re.findall(r"'([^']*)'", context["expected"])
    if not isinstance(value, str):
        return f"expected one of {', '.join(known)}, not {_shown(value)}"
    return f"'{_short(value)}' is not known{did_you_mean(value, known, most=99)}"


def _no_kind(family: Family, value: Any) -> str:
    if not isinstance(value, dict) or not value:
        return f"expected {family.one}, a mapping such as '{family.example}', not {_shown(value)}"
    key = _strange_key(value, family.kinds)
    return f"'{key}' is no kind of {family.name}{did_you_mean(key, family.kinds, most=99)}"


def _strange_key(value: Mapping[Any, Any], kinds: Mapping[str, Any]) -> Any:
    """Return the key that was meant to name the kind: one that looks like a kind, or the first."""
    return next((key for key in value if closest(key, kinds)), next(iter(value)))


def _limit(words: str, key: str) -> Callable[[tuple[Any, ...], Any, Any], str]:
    def say(loc: tuple[Any, ...], value: Any, context: Any) -> str:
        limit = context[key]
        return f"expected {words} {limit:g}, not {_shown(value)}"

    return say


def _too_short(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    least = context["min_length"]
    if isinstance(value, str):
        return "expected text, not an empty one" if least == 1 else "expected a few words"
    if not value:
        return f"expected at least one, not {_shown(value)}"
    return f"expected at least {least}, not {len(value)}"


def _too_long(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    return f"longer than {context['max_length']}"


_SAYINGS: dict[str, Callable[[tuple[Any, ...], Any, Any], str]] = {
    "missing": _missing,
    "literal_error": _literal,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "greater_than": _limit("more than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than": _limit("less than", "lt"),
    "less_than_equal": _limit("at most", "le"),
}


def _remedy(kind: str, value: Any) -> str:
    if not isinstance(value, str):
        return ""
    if kind == "bool_type" and value.lower() in ("yes", "on", "y"):
        return ": write true"
    if kind == "bool_type" and value.lower() in ("no", "off", "n"):
        return ": write false"
    if kind in ("int_type", "float_type") and re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return ": leave the quotes out"
    if kind in ("tuple_type", "list_type"):
        return f": write [{_short(value)}]"
    return ""


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    if isinstance(value, bool):
        return str(value).lower()
    return f"the text '{_short(value)}'" if isinstance(value, str) else f"{value}"


def _short(text: str) -> str:
    line = text if len(text) <= 60 else text[:59] + "…"
    return line.replace("\n", "\\n")
