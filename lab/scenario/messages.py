# SPDX-License-Identifier: GPL-2.0-only
"""What validation says, in words for whoever wrote the file."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from pydantic import ValidationError

from lab.config.suggest import closest, did_you_mean
from lab.config.yaml_file import Flaw, Map, Mark, Seq, locate
from lab.scenario.model.background import BACKGROUNDS
from lab.scenario.model.base import PATTERNS, Part
from lab.scenario.model.extensions import EXTENSIONS
from lab.scenario.model.scenario import Written
from lab.scenario.model.steps import STEPS
from lab.scenario.model.triggers import TRIGGERS
from lab.scenario.model_paths import keys_of, model_at

# Families of parts of which one key says the kind, each with an example.
_FAMILIES: dict[str, tuple[Mapping[str, type[Part]], str]] = {
    "step": (STEPS, "load: main"),
    "trigger": (TRIGGERS, "{syscall: getpid, times: 100}"),
    "extension": (EXTENSIONS, "{c: NAME}"),
    "background": (BACKGROUNDS, "{traffic: lo}"),
}
_KINDS = {
    model: (family, kind)
    for family, (kinds, _) in _FAMILIES.items()
    for kind, model in kinds.items()
}
_PROPER = {"c": "C", "rust": "Rust"}
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


def flaws_of(error: ValidationError, data: Map, said: Collection[Mark] = ()) -> list[Flaw]:
    """One flaw for each error, at the place of the key or value that it is about.

    `said` are the places of other flaws: a key there is not only unknown.
    """
    errors = [each for each in error.errors(include_url=False) if not _is_echo(each)]
    meant = {
        (each["loc"][:-1], closest(each["loc"][-1], _known(each["loc"][:-1])))
        for each in errors
        if each["type"] == "extra_forbidden"
    }
    flaws = []
    for each in errors:
        loc: tuple[Any, ...] = each["loc"]
        if each["type"] == "missing" and (loc[:-1], loc[-1]) in meant:
            continue  # it is there, but misspelt, and that is said already
        place = _place(each, data)
        if each["type"] != "extra_forbidden" or place not in said:
            flaws.append(Flaw(place, _say(each)))
    return flaws


def nothings(data: Any, at: Mark | None = None, key: str = "") -> list[Flaw]:
    """A flaw for each key or item that has no value.

    An expectation of nothing looks like one, but would hold whatever happens.
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
    """Whether an error only repeats others: a list is not too short for having bad items."""
    if each["type"] == "too_short":
        return len(each["input"]) >= int(each["ctx"]["min_length"])
    # What has no value is found by `nothings`.
    return each["input"] is None


def _place(each: Any, data: Map) -> Mark:
    kind, loc, value = each["type"], each["loc"], each["input"]
    family = kind.removeprefix("no_")
    if family in _FAMILIES and isinstance(value, dict) and value:
        return locate(data, (*loc, _strange_key(value, _FAMILIES[family][0])), key=True)
    if loc and loc[-1] == "[key]":
        return locate(data, loc[:-1], key=True)
    if kind == "extra_forbidden":
        return locate(data, loc, key=True)
    return locate(data, loc)


def _known(loc: tuple[Any, ...]) -> list[str]:
    model = model_at(Written, loc)
    return list(keys_of(model)) if model else []


def _say(each: Any) -> str:
    kind: str = each["type"]
    value, context = each["input"], each.get("ctx") or {}
    if kind in _SAYINGS:
        return _SAYINGS[kind](each["loc"], value, context)
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, not {_shown(value)}{_remedy(kind, value)}"
    message: str = each["msg"]
    # Our own messages are ready; pydantic's begin with a capital.
    return message if kind == "lab" else message[:1].lower() + message[1:]


def _unknown_key(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    key, parent = loc[-1], loc[:-1]
    model = model_at(Written, parent)
    family, kind = _KINDS.get(model, ("", "")) if model else ("", "")
    if family:
        kinds = _FAMILIES[family][0]
        if key in kinds:
            more = ": give it an item of its own" if family == "step" else ""
            return f"'{key}' beside '{kind}': {_a(family)} is of one kind{more}"
        where = f" in a {_PROPER.get(kind, kind)} {family}"
    else:
        names = [part for part in parent if isinstance(part, str) and not part.startswith("<")]
        where = f" in '{names[-1]}'" if names else ""
    inner = _inner_home(key, parent, model)
    if inner:
        return f"unknown key '{key}'{where}: it belongs inside '{inner}'"
    return f"unknown key '{key}'{where}{did_you_mean(key, _known(parent))}"


def _inner_home(key: Any, parent: tuple[Any, ...], model: type[Part] | None) -> str | None:
    """The key of the same mapping inside which `key` would be known."""
    if model is None or closest(key, keys_of(model)):
        return None
    family, kind = _KINDS.get(model, ("", ""))
    for name in (kind,) if family == "step" else keys_of(model):
        inside = [_known((*parent, name))]
        if name == "trigger":
            inside += [list(keys_of(trigger)) for trigger in TRIGGERS.values()]
        if any(key in known for known in inside):
            return name
    return None


def _missing(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    return f"'{loc[-1]}' is missing"


def _literal(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    known = re.findall(r"'([^']*)'", context["expected"])
    if not isinstance(value, str):
        return f"expected one of {', '.join(known)}, not {_shown(value)}"
    return f"'{_short(value)}' is not known{did_you_mean(value, known, most=99)}"


def _no_kind(family: str) -> Callable[[tuple[Any, ...], Any, Any], str]:
    kinds, example = _FAMILIES[family]

    def say(loc: tuple[Any, ...], value: Any, context: Any) -> str:
        if not isinstance(value, dict) or not value:
            shown = _shown(value)
            return f"expected {_a(family)}, a mapping such as '{example}', not {shown}"
        key = _strange_key(value, kinds)
        return f"'{key}' is no kind of {family}{did_you_mean(key, kinds, most=99)}"

    return say


def _strange_key(value: Mapping[Any, Any], kinds: Mapping[str, Any]) -> Any:
    """The key that was meant to say the kind: one that looks like a kind, or else the first."""
    return next((key for key in value if closest(key, kinds)), next(iter(value)))


def _a(family: str) -> str:
    return f"an {family}" if family == "extension" else f"a {family}"


def _limit(words: str, key: str) -> Callable[[tuple[Any, ...], Any, Any], str]:
    def say(loc: tuple[Any, ...], value: Any, context: Any) -> str:
        limit = context[key]
        return f"expected {words} {limit:g}, not {_shown(value)}"

    return say


def _pattern(loc: tuple[Any, ...], value: Any, context: Any) -> str:
    pattern = context["pattern"]
    return f"'{_short(str(value))}' is not {PATTERNS.get(pattern, f'of the form {pattern}')}"


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
    "extra_forbidden": _unknown_key,
    "missing": _missing,
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "string_too_short": _too_short,
    "too_short": _too_short,
    "string_too_long": _too_long,
    "too_long": _too_long,
    "greater_than": _limit("more than", "gt"),
    "greater_than_equal": _limit("at least", "ge"),
    "less_than": _limit("less than", "lt"),
    "less_than_equal": _limit("at most", "le"),
    **{f"no_{family}": _no_kind(family) for family in _FAMILIES},
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
