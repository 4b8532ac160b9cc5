# SPDX-License-Identifier: GPL-2.0-only
"""Test the file of a round: the lab accepts it in any folder, and it describes the round."""

from __future__ import annotations

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lab.jobs.soak.plan import Round, draw
from lab.jobs.soak.run import item_of
from lab.jobs.soak.scenario_file import NAME, as_yaml, write
from lab.runner.catalog import catalog_of
from lab.scenario.items import Item, items
from lab.scenario.load import load_scenarios
from lab.workspace import Workspace

CATALOG = catalog_of(Workspace.default())
rounds = st.builds(
    draw,
    st.integers(0, 2**32 - 1),
    st.integers(1, 100_000),
    st.integers(1, 16),
    beyond=st.booleans(),
)


def loaded(path: Path) -> Item:
    """Return the item of a file; raise what `lab check` would report."""
    (scenario,) = load_scenarios(path, CATALOG)
    (item,) = items(scenario)
    return item


@given(rounds, st.sampled_from(["rex", "rex-debug"]), st.sampled_from([0, 8, 48]))
def test_a_file_is_accepted_and_is_the_round(one: Round, flavor: str, bits: int) -> None:
    # The name of a dossier's folder is not a valid name of a scenario.
    with tempfile.TemporaryDirectory(suffix="round-1@rex") as folder:
        path = Path(folder) / NAME
        path.write_text(as_yaml(one, flavor, bits))
        item = loaded(path)
    drawn = item_of(one, flavor)
    assert item.id == drawn.id
    said, meant = (
        each.model_dump(exclude={"path", "kernels"}) for each in (item.scenario, drawn.scenario)
    )
    # The file also has a first step with the settings, and expects that something ran.
    assert said.pop("steps")[1:] == meant.pop("steps")[1:]
    assert said.pop("expect")["resources"] == meant.pop("expect")["resources"]
    assert said == meant


def test_what_is_switched_off_is_switched_off_in_the_file() -> None:
    one = draw(5, 1, 4)
    assert "debug: {rex/unprotected: 8}" in as_yaml(one, "rex", 8)
    assert "unprotected" not in as_yaml(one, "rex", 0)


def test_a_file_names_its_round_and_its_command(tmp_path: Path) -> None:
    path = write(tmp_path, draw(5, 17, 4), "rex", 0, "lab soak --seed 5 --round 17")
    assert path == tmp_path / NAME
    head = path.read_text().splitlines()[:2]
    assert head[0] == "# Round 17 of: lab soak --seed 5 --round 17"
    assert head[1].startswith("#")
    assert head[1].endswith(f"run {path}")
    assert "0c loop_calls," in path.read_text()
    assert loaded(path).scenario.name == "round-17"


def test_a_file_that_can_t_be_written_is_left_out(tmp_path: Path) -> None:
    assert write(tmp_path / "missing", draw(5, 1, 4), "rex", 0, "lab soak") is None
