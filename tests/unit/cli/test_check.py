# SPDX-License-Identifier: GPL-2.0-only
"""`lab check` and `lab schema`, and the catalog of what the checkout has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from lab.cli import check as command
from lab.config.problems import FileErrors
from lab.errors import UserError
from lab.runner.catalog import catalog_of
from lab.scenario.catalog import Catalog, Source
from lab.scenario.load import check_file, find_files, load_scenarios
from lab.workspace import Workspace

GOOD = """\
summary: A program counts calls
extension: {c: count}
trigger: {syscall: getpid, times: "${n}"}
parameters: {n: [1, 8]}
expect: {outcome: {returned: "${n}"}}
"""
CATALOG = Catalog(flavors=("stock",), c={"count": Source()}, syscalls=("getpid",))


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(command, "catalog_of", lambda _: CATALOG)
    app = typer.Typer()
    app.command("check")(command.check)
    app.command("schema")(command.schema)
    return app


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("basic/good.yaml", "basic/other.yml", "stack/good.yaml"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(GOOD)
    (tmp_path / "basic" / ".hidden.yaml").write_text("nonsense")
    (tmp_path / "basic" / "README.md").write_text("nonsense")
    return tmp_path


def test_good_scenarios_exit_with_0(app: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 0
    assert result.stdout == ""
    assert result.stderr == "3 scenarios, 6 items: no errors\n"


def test_items_are_listed_by_id(app: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", "--list", str(folder / "stack")])
    assert result.stdout == "stack/good@stock[n=1]\nstack/good@stock[n=8]\n"


def test_all_errors_of_all_files_are_printed(app: typer.Typer, folder: Path) -> None:
    (folder / "basic" / "one.yaml").write_text(GOOD.replace("count}", "cuont}"))
    (folder / "basic" / "two.yaml").write_text(GOOD.replace("times", "tims") + "timeout: 0\n")
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    one, two = folder / "basic" / "one.yaml", folder / "basic" / "two.yaml"
    assert result.stdout.splitlines() == [
        f"{one}:2:16: there is no C extension 'cuont'; did you mean 'count'?",
        f"{two}:3:28: unknown key 'tims' in a syscall trigger; did you mean 'times'?",
        f"{two}:6:10: expected more than 0, not 0",
    ]
    assert result.stderr == "3 errors in 2 of 5 scenarios\n"


def test_two_files_with_the_same_items_are_an_error(app: typer.Typer, folder: Path) -> None:
    again = folder / "stack" / "again.yaml"
    again.write_text(GOOD + "name: good\n")
    result = CliRunner().invoke(app, ["check", str(folder)])
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"{folder / 'stack' / 'good.yaml'}:1:1: {again} already has items named 'stack/good': "
        "give another 'name'"
    ]


def test_a_file_named_twice_is_checked_once(app: typer.Typer, folder: Path) -> None:
    path = str(folder / "stack" / "good.yaml")
    result = CliRunner().invoke(app, ["check", path, path])
    assert result.exit_code == 0
    assert result.stderr == "1 scenario, 2 items: no errors\n"


def test_a_path_that_is_not_there_is_the_users_error(app: typer.Typer, folder: Path) -> None:
    result = CliRunner().invoke(app, ["check", str(folder / "nowhere")])
    assert isinstance(result.exception, UserError)
    assert result.exception.exit_status == 2


def test_options_that_are_not_there_exit_with_2(app: typer.Typer) -> None:
    assert CliRunner().invoke(app, ["check", "--nonsense"]).exit_code == 2


def test_a_folder_without_scenarios_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no scenario"):
        find_files(tmp_path)


def test_the_schema_is_json(app: typer.Typer, tmp_path: Path) -> None:
    printed = CliRunner().invoke(app, ["schema"])
    assert json.loads(printed.stdout)["title"] == "A scenario of kextlab"
    target = tmp_path / "schema.json"
    CliRunner().invoke(app, ["schema", "--output", str(target)])
    assert target.read_text() == printed.stdout


def test_errors_are_one_line_each(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1\nb: 2\n")
    with pytest.raises(FileErrors) as caught:
        load_scenarios(path)
    assert str(caught.value).splitlines() == [str(problem) for problem in caught.value.problems]
    assert caught.value.exit_status == 2


def test_without_a_catalog_names_are_taken_on_trust(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(GOOD.replace("{c: count}", "{rust: hello}"))
    assert check_file(path) == []
    assert [problem.message for problem in check_file(path, CATALOG)] == [
        "there is no Rust extension 'hello'"
    ]


def test_the_catalog_of_the_checkout() -> None:
    catalog = catalog_of(Workspace.default())
    assert "stock" in catalog.flavors
    assert "getpid" in catalog.syscalls
    assert len(catalog.c) >= 10
    assert all(source.programs for source in catalog.c.values())
    counting = [source for source in catalog.c.values() if source.maps and "counts" in source.maps]
    assert counting
    assert "hello" in catalog.modules
