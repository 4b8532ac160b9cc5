# SPDX-License-Identifier: GPL-2.0-only
"""Lookups by name in a workspace, alone and with an overlay on top."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.errors import UserError
from lab.workspace import CHECKOUT, Kind, Workspace

# One of each kind: the file that shows it, and the place that a lookup returns.
ONE_OF_EACH: dict[Kind, tuple[str, str]] = {
    "kernel": ("kconfigs/one/kernel.yaml", "kconfigs/one"),
    "image": ("images/one/image.yaml", "images/one"),
    "c": ("extensions/c/one.bpf.c", "extensions/c/one.bpf.c"),
    "rust": ("extensions/rust/one/src/lib.rs", "extensions/rust/one"),
    "module": ("extensions/modules/one/Kbuild", "extensions/modules/one"),
}


def put(folder: Path, *files: str) -> Path:
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_a_name_leads_to_its_place(tmp_path: Path, kind: Kind) -> None:
    file, place = ONE_OF_EACH[kind]
    workspace = Workspace.at(put(tmp_path, file))
    assert workspace.names(kind) == ["one"]
    assert workspace.find(kind, "one") == tmp_path / place
    assert [other for other in ONE_OF_EACH if workspace.names(other)] == [kind]


@pytest.mark.parametrize("kind", ONE_OF_EACH)
def test_an_overlay_comes_first_and_the_rest_stays(tmp_path: Path, kind: Kind) -> None:
    file, place = ONE_OF_EACH[kind]
    below = put(tmp_path / "below", file, file.replace("one", "two"))
    above = put(tmp_path / "above", file, file.replace("one", "three"))
    base = Workspace.at(below)
    both = base.overlay(above)
    assert both.names(kind) == ["one", "three", "two"]
    assert both.find(kind, "one") == above / place
    assert both.find(kind, "two") == below / place.replace("one", "two")
    # The workspace below has not changed.
    assert base.names(kind) == ["one", "two"]
    assert base.find(kind, "one") == below / place


def test_a_module_in_an_overlay_wins_whatever_its_build_file_is_called(tmp_path: Path) -> None:
    below = put(tmp_path / "below", "extensions/modules/one/Kbuild")
    above = put(tmp_path / "above", "extensions/modules/one/Makefile")
    place = Workspace.at(below).overlay(above).find("module", "one")
    assert place == above / "extensions/modules/one"


def test_the_last_overlay_is_on_top(tmp_path: Path) -> None:
    folders = [put(tmp_path / name, "extensions/c/one.bpf.c") for name in ("a", "b", "c")]
    workspace = Workspace.at(folders[0]).overlay(folders[1]).overlay(folders[2])
    assert workspace.find("c", "one") == folders[2] / "extensions/c/one.bpf.c"


def test_no_overlay_replaces_the_loader_or_the_crate(tmp_path: Path) -> None:
    above = put(
        tmp_path / "above", "extensions/loader/main.c", "extensions/rex/src/lib.rs", "lab.sh"
    )
    base = Workspace.default()
    both = base.overlay(above)
    assert (both.loader, both.crate, both.home) == (base.loader, base.crate, base.home)


def test_a_file_that_appears_in_an_overlay_later_is_found(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "below").overlay(put(tmp_path / "above", "README"))
    assert workspace.names("c") == []
    put(tmp_path / "above", "extensions/c/new.bpf.c")
    assert workspace.names("c") == ["new"]


def test_an_overlay_has_to_exist(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no folder .*nowhere"):
        Workspace.default().overlay(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("kernel", "there is no flavor 'onne' in kconfigs"),
        ("image", "there is no image 'onne' in images"),
        ("c", "there is no C extension 'onne' in extensions/c"),
        ("rust", "there is no Rust extension 'onne' in extensions/rust"),
        ("module", "there is no module 'onne' in extensions/modules"),
    ],
)
def test_an_unknown_name_is_answered_with_the_closest(
    tmp_path: Path, kind: Kind, message: str
) -> None:
    workspace = Workspace.at(put(tmp_path, ONE_OF_EACH[kind][0]))
    with pytest.raises(UserError) as caught:
        workspace.find(kind, "onne")
    assert caught.value.message == message
    assert caught.value.hint == "did you mean 'one'?"
    with pytest.raises(UserError) as caught:
        workspace.find(kind, "quite_different")
    assert caught.value.hint == "there are: one"


def test_an_error_names_all_places_and_suggests_from_each(tmp_path: Path) -> None:
    below = put(tmp_path / "below", "extensions/c/count.bpf.c")
    above = put(tmp_path / "above", "extensions/c/filter.bpf.c")
    workspace = Workspace.at(below).overlay(above)
    with pytest.raises(UserError) as caught:
        workspace.find("c", "counts")
    assert caught.value.message.endswith(f"in {above}/extensions/c, extensions/c")
    assert caught.value.hint == "did you mean 'count'?"


@pytest.mark.parametrize("name", ["../c/one", "", "one.bpf.c", "*"])
def test_a_name_is_no_path_and_no_pattern(tmp_path: Path, name: str) -> None:
    workspace = Workspace.at(put(tmp_path, "extensions/c/one.bpf.c"))
    with pytest.raises(UserError, match="there is no C extension"):
        workspace.find("c", name)


def test_paths_for_a_person_start_at_the_workspace(tmp_path: Path) -> None:
    workspace = Workspace.at(tmp_path / "mine").overlay(put(tmp_path / "above", "README"))
    assert workspace.shown(tmp_path / "mine/extensions/c") == "extensions/c"
    assert workspace.shown(tmp_path / "above/extensions/c") == f"{tmp_path}/above/extensions/c"
    assert workspace.shown(Path("/usr/include")) == "/usr/include"


def test_a_relative_folder_stays_the_same_when_the_current_one_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "mine/extensions/c/one.bpf.c", "above/extensions/c/two.bpf.c")
    monkeypatch.chdir(tmp_path)
    workspace = Workspace.at(Path("mine")).overlay(Path("above"))
    monkeypatch.chdir("/")
    assert workspace.names("c") == ["one", "two"]


def test_the_default_is_the_checkout_or_the_folder_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LAB_REPO", raising=False)
    assert Workspace.default() == Workspace.at(CHECKOUT)
    assert "stock" in Workspace.default().names("kernel")
    monkeypatch.setenv("LAB_REPO", str(tmp_path))
    assert Workspace.default() == Workspace.at(tmp_path)


def test_headers_come_from_below_only(tmp_path: Path) -> None:
    below = put(tmp_path / "below", "extensions/c/one.bpf.c")
    above = put(tmp_path / "above", "extensions/c/two.bpf.c")
    workspace = Workspace.at(below).overlay(above)
    assert workspace.headers_of(workspace.find("c", "two")) == (below / "extensions/c",)
    assert workspace.headers_of(workspace.find("c", "one")) == ()
