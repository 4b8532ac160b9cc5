# SPDX-License-Identifier: GPL-2.0-only
"""The JSON Schema says what the model says, as far as a schema can."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from harness.paths import GOLDEN

from lab.config.yaml_file import decode, parse
from lab.runner.catalog import catalog_of
from lab.scenario.load import check_file
from lab.scenario.schema import json_schema
from lab.workspace import CHECKOUT, Workspace

SCHEMA = json_schema()
CATALOG = catalog_of(Workspace.default())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SCENARIO = GOLDEN / "scenario"
SHIPPED = sorted((CHECKOUT / "scenarios").rglob("*.yaml"))
DOCUMENT = CHECKOUT / "docs" / "scenarios.md"
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
WHOLE = [text for text in EXAMPLES if re.search("^summary:", text, re.MULTILINE)]


def as_json(text: str) -> Any:
    """The data as an editor sees it: in JSON all keys are text."""
    data, flaws = parse(text)
    assert flaws == []
    return json.loads(json.dumps(data))


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_the_document_has_examples() -> None:
    assert len(WHOLE) >= 5


@pytest.mark.parametrize("text", WHOLE)
def test_examples_of_the_document_are_good(text: str, tmp_path: Path) -> None:
    VALIDATOR.validate(as_json(text))
    folder = tmp_path / "basic"
    folder.mkdir()
    (folder / "example.yaml").write_text(text)
    assert check_file(folder / "example.yaml", CATALOG) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_scenarios_fit(path: Path) -> None:
    VALIDATOR.validate(as_json(path.read_text()))


@pytest.mark.parametrize(
    "name",
    ["unknown-keys", "wrong-types", "bounds", "excuses", "module", "talks"],
)
def test_bad_shapes_do_not_fit(name: str) -> None:
    text, _ = decode((SCENARIO / f"{name}.yaml").read_bytes())
    assert text is not None
    assert not VALIDATOR.is_valid(as_json(text))


BASE = {
    "summary": "x",
    "extension": {"c": "a"},
    "trigger": {"syscall": "getpid"},
    "expect": {"outcome": "returned"},
}


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"timeout": 5}, True),
        ({"timeout": "${t}"}, True),
        ({"timeout": "5"}, False),
        ({"timeout": 0}, False),
        ({"kernels": ["${k}"]}, False),
        ({"expect": {"outcome": {"returned": 3}}}, True),
        ({"expect": {"outcome": {"returned": {"at_least": "${n}"}}}}, True),
        ({"expect": {"outcome": {"vanished": 3}}}, False),
        ({"expect": {"outcome": "vanished"}}, False),
        ({"expect": {"outcome": "${outcome}"}}, True),
        ({"expect": {"maps": {"counts": {"0": 1, "0x00ff": {"at_most": 2}}}}}, True),
        ({"expect": {"maps": {"counts": 1}}}, False),
        ({"expect": {"reusable": "yes"}}, False),
        ({"extension": {"c": "a", "attach": ["p", {"program": "q", "to": "kprobe:f"}]}}, True),
        ({"extension": {"c": "a", "module": "m"}}, False),
        ({"extension": {}}, False),
        ({"extensions": {"not a name": {"c": "a"}}}, False),
        ({"trigger": {"syscall": "getpid", "shell": "true"}}, False),
        ({"trigger": {"times": 3}}, False),
        ({"steps": [{"attach": "a"}, {"attach": {"extension": "a", "program": "p"}}]}, True),
        ({"steps": [{"shell": "true"}, {"shell": {"command": "true", "timeout": 3}}]}, True),
        ({"steps": [{"repeat": {"times": 2, "steps": [{"load": "a"}]}}]}, True),
        ({"steps": [{"repeat": {"times": 2, "steps": [{"lod": "a"}]}}]}, False),
        ({"steps": [{"load": "a", "as": "first"}]}, True),
        ({"steps": [{"load": "a", "name": "first"}]}, False),
        ({"steps": [{"load": "a", "unload": "a"}]}, False),
        ({"steps": []}, False),
        ({"parameters": {"a": [1, "x", True]}}, True),
        ({"parameters": [{"a": 1}, {"a": 2}]}, True),
        ({"parameters": {"a": 1}}, False),
        ({"controls": [{"without": "smap", "boot": ["nosmap"], "reason": "why"}]}, True),
        ({"allow_console": [{"kind": "oops"}]}, False),
        ({"machine": {"type": "q35", "cpus": 4, "boot": ["a=b"]}}, True),
        ({"machine": {"boot": ["a b"]}}, False),
        ({"machine": {"clock": "instructions"}}, True),
        ({"machine": {"clock": "guest"}}, False),
        ({"property": None}, False),
    ],
)
def test_what_fits(change: dict[str, Any], fits: bool) -> None:
    assert VALIDATOR.is_valid(BASE | change) == fits


def test_every_key_of_the_top_and_of_expect_is_explained() -> None:
    for part in (SCHEMA, SCHEMA["$defs"]["Expect"]):
        silent = [key for key, value in part["properties"].items() if "description" not in value]
        assert silent == []


def test_every_key_is_in_the_document() -> None:
    text = DOCUMENT.read_text()
    keys = set(SCHEMA["properties"])
    for part in SCHEMA["$defs"].values():
        for form in (part, *part.get("anyOf", ())):
            keys |= set(form.get("properties", ()))
    missing = {key for key in keys if not re.search(rf"\b{key}\b", text)}
    assert missing == set()
