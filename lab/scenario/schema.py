# SPDX-License-Identifier: GPL-2.0-only
"""The JSON Schema of scenarios as people write them, for editors.

It is made from the model, short forms included. Two things are wider than the
model: wherever a number or a fixed word may stand, `${parameter}` may stand
too; and what only the whole file can show (an order of steps, a name) is left
to `lab check`.
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
# What decides which items there are can't hold parameters.
_FIXED = ("name", "property", "tags", "kernels", "parameters")
_PLAIN_TYPES = ("integer", "number", "boolean")


# What an editor shows beside a key. The parts of the model describe themselves.
_MEANINGS = {
    "name": "Name of the scenario; default: the file's.",
    "property": "The safety property that it is about; default: the folder's name.",
    "summary": "One sentence: what is shown.",
    "tags": "Names to choose by: pytest -m TAG.",
    "kernels": "Flavors to run on; default: [stock], or [rex] with a Rust extension.",
    "machine": "The guest: cpus, memory in MiB, boot arguments, type, clock.",
    "timeout": "Seconds for the whole item.",
    "parameters": "Lists of values, an item for each combination; ${NAME} stands for a value.",
    "extension": "The one extension, called main in steps.",
    "extensions": "Extensions by name.",
    "background": "Work that goes on beside the steps, by name.",
    "trigger": "What makes the extension run, if there are no steps.",
    "steps": "What to do, one after the other.",
    "expect": "What must hold at the end.",
    "budget_ms": "Milliseconds that a run of a Rust program may take; 0: no end.",
    "set": "Sysctls, debugfs files and boot arguments, set before the first step.",
    "allow_console": "Kinds of report that may appear, each with its reason.",
    "trust": "guest, or host: a pass that rests on the guest's word is an error.",
    "controls": "The same with a protection switched off: the expectation has to fail.",
    "compare": "Variants to compare; not in this version of the lab.",
}
_EXPECTED = {
    "outcome": "What became of the extension: a word, or a mapping of words to counts.",
    "verifier_log": "What the verifier's log has to look like.",
    "compiler_log": "The compiler's messages about an extension that is not_compiled.",
    "maps": "Values in maps, just before their extension is unloaded.",
    "kernel": "State of the kernel at the end.",
    "resources": "released: nothing is left (default if the kernel is alive); any: not checked.",
    "reusable": "Load and trigger again, with the same outcome.",
    "reports": "Kinds of report that must be on the console.",
    "forged": "Texts on the console that have the form of a report and are not the kernel's.",
    "extension_report": "What the kernel's reports on Rust programs that it ended look like.",
    "counters": "Increase of the kernel's counters.",
    "bpf_objects": "Increases in the numbers of BPF objects, by kind.",
    "rex": "Increase of the kernel's counters of Rust programs, in the first use.",
    "slopes": "Increase per repetition.",
    "time": "Seconds that the triggers take together.",
    "misses": "Runs that the kernel dropped.",
    "received": "Packets of all triggers that reached a socket.",
}


class _Generator(GenerateJsonSchema):
    """Leaves out what says nothing to someone who writes a scenario."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def nullable_schema(self, schema: Any) -> dict[str, Any]:
        # In Python `None` is "not given"; in YAML a key without a value is an error.
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """The schema as plain data."""
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
    """The part with parameters allowed wherever a value is not just any text."""
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
    # The names of keys are not values, and hold no parameters.
    wide = {
        key: value if key == "propertyNames" else _widened(value) for key, value in part.items()
    }
    if "patternProperties" in wide:
        wide["additionalProperties"] = False
    return {key: value for key, value in wide.items() if (key, value) != ("default", None)}
