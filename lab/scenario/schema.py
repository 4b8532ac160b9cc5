# SPDX-License-Identifier: GPL-2.0-only
"""The JSON Schema of scenarios as people write them, for editors.

It is made from the model, including the short forms. It is wider than the model in two
ways. It allows `${parameter}` wherever it allows a number or a fixed word. And it leaves
rules about the whole file (the order of steps, names) to `lab check`.
"""

from __future__ import annotations

from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from lab.scenario.model.background import BACKGROUNDS
from lab.scenario.model.extensions import EXTENSIONS
from lab.scenario.model.scenario import Written
from lab.scenario.model.steps import STEPS
from lab.scenario.model.triggers import TRIGGERS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PARAMETER = {"type": "string", "pattern": r"\$\{[a-zA-Z_][a-zA-Z0-9_]*\}"}
# Keys that determine the items, and so can't contain parameters.
_FIXED = ("name", "property", "tags", "kernels", "parameters")
_PLAIN_TYPES = ("integer", "number", "boolean")


# The descriptions of keys that an editor shows. The docstrings of the model describe its parts.
_MEANINGS = {
    "name": "Name of the scenario; default: the file's.",
    "property": "The safety property that the scenario checks; default: the folder's name.",
    "summary": "One sentence that says what the scenario shows.",
    "tags": "Names for pytest -m TAG.",
    "kernels": "Kernel flavors to run on; default: [stock], or [rex] with a Rust extension.",
    "machine": "The guest: cpus, memory in MiB, boot arguments, type, clock.",
    "timeout": "Seconds allowed for the whole item.",
    "parameters": "Lists of values; each combination is an item; ${NAME} stands for a value.",
    "extension": "The only extension, called main in steps.",
    "extensions": "Extensions by name.",
    "background": "Work that runs alongside the steps, by name.",
    "trigger": "The trigger that makes the extension run, if there are no steps.",
    "steps": "The steps, in order.",
    "expect": "The expectations at the end.",
    "budget_ms": "Milliseconds that a run of a Rust program may take; 0: no limit.",
    "set": "Sysctls, debugfs files and boot arguments, set before the first step.",
    "allow_console": "Kinds of report that may appear on the console, each with its reason.",
    "trust": "guest; or host: a pass that relies on data from the guest is an error.",
    "controls": "Negative controls: the same item with a protection switched off, where the "
    "expectation must fail.",
    "compare": "Variants to compare; this version of the lab does not support it.",
}
_EXPECTED = {
    "outcome": "How the extension ended: a word, or a mapping of words to counts.",
    "verifier_log": "Expectations about the verifier's log.",
    "compiler_log": "The compiler's messages about an extension that is not_compiled.",
    "maps": "Values in maps, read just before their extension is unloaded.",
    "kernel": "The state of the kernel at the end.",
    "resources": "released: nothing is left (default if the kernel is alive); any: not checked.",
    "reusable": "If true, the lab loads and triggers again, and expects the same outcome.",
    "reports": "Kinds of report that must be on the console.",
    "forged": "The number of console texts that look like a report but are not the kernel's.",
    "extension_report": "Expectations about the kernel's reports on Rust programs that it ended.",
    "counters": "Increases of the kernel's counters.",
    "bpf_objects": "Increases in the numbers of BPF objects, by kind.",
    "rex": "Increases of the kernel's counters of Rust programs, in the first use.",
    "slopes": "Increases per repetition.",
    "time": "Seconds that the triggers take together.",
    "misses": "The number of runs that the kernel dropped.",
    "received": "The number of packets of all triggers that reached a socket.",
}


class _Generator(GenerateJsonSchema):
    """Leave out the parts that do not help the author of a scenario."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        # In Python `None` means "not given"; in YAML a key without a value is an error.
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """Return the schema as plain data."""
    schema = Written.model_json_schema(by_alias=True, schema_generator=_Generator)
    definitions = {name: _widened(part) for name, part in schema.pop("$defs").items()}
    for kinds in (STEPS, TRIGGERS, EXTENSIONS, BACKGROUNDS):
        for kind, model in kinds.items():
            definitions[model.__name__]["required"] = [kind, *_others(definitions, model, kind)]
    properties = {
        key: value if key in _FIXED else _widened(value)
        for key, value in schema.pop("properties").items()
    }
    schema.pop("description", None)
    for known, meanings in ((properties, _MEANINGS), (definitions["Expect"], _EXPECTED)):
        for key, meaning in meanings.items():
            known.get("properties", known)[key]["description"] = meaning
    return {
        "$schema": DIALECT,
        **schema,
        "title": "A scenario of kextlab",
        "properties": properties,
        "$defs": definitions,
    }


def _others(definitions: dict[str, Any], model: type, kind: str) -> list[str]:
    return [key for key in definitions[model.__name__].get("required", ()) if key != kind]


def _widened(part: Any) -> Any:
    """Return a part of the schema with parameters allowed wherever a value is not free text."""
    if isinstance(part, list):
        return [_widened(each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("type") in _PLAIN_TYPES or "enum" in part or "const" in part:
        about = {key: part[key] for key in ("description", "default") if part.get(key) is not None}
        plain = {key: part[key] for key in part if key not in ("description", "default")}
        return {"anyOf": [plain, _PARAMETER], **about}
    if part.get("type") == "string" and "pattern" in part:
        plain = {key: value for key, value in part.items() if key != "default"}
        return {"anyOf": [plain, _PARAMETER]}
    # The names of keys are not values, and can't contain parameters.
    wide = {
        key: value if key == "propertyNames" else _widened(value) for key, value in part.items()
    }
    if "patternProperties" in wide:
        wide["additionalProperties"] = False
    return {key: value for key, value in wide.items() if (key, value) != ("default", None)}
