# SPDX-License-Identifier: GPL-2.0-only
"""Scenarios as pytest items: one for each scenario, flavor and set of parameters.

The plugin uses only pytest's public API. An item runs in its setup phase. In all
reports of pytest an exception in the setup phase is an *error*, and one in the call
phase a *failure*. So the lab's own errors are raised in setup, and verdicts in call.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lab import events
from lab.errors import LabError
from lab.words import SAFETY_PROPERTIES
from lab.workspace import Workspace

if TYPE_CHECKING:
    from lab.jobs.session import Session
    from lab.report.result import Result
    from lab.scenario.catalog import Catalog
    from lab.scenario.items import Item

# The lab's modules are imported when a scenario is collected: the pytest runs of
# other projects in the same environment pay nothing for this plugin.

_SESSION = pytest.StashKey["Session"]()
_WORKSPACE = pytest.StashKey[Workspace]()
_SUFFIXES = (".yaml", ".yml")
_PART = "seconds_"


class VerdictFailed(Exception):
    """The verdict on an item is `failed`."""


class VerdictError(Exception):
    """The verdict on an item is `error`."""


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("kextlab", "kernel-extension test lab")
    group.addoption(
        "--kernel",
        action="append",
        metavar="FLAVOR",
        help="run scenarios on this kernel flavor, whatever they name; may be repeated",
    )
    group.addoption(
        "--accel",
        choices=("auto", "kvm", "tcg"),
        default="auto",
        help="accelerator (default: auto, which falls back to emulation)",
    )
    group.addoption(
        "--repeat", type=int, default=1, metavar="N", help="run each scenario item N times"
    )
    group.addoption(
        "--cold", action="store_true", help="boot each guest instead of forking a booted one"
    )
    group.addoption(
        "--keep-dossiers", action="store_true", help="write a dossier for passed items too"
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        # Workers of pytest-xdist inherit it, so that a run has one folder of results.
        os.environ["LAB_RUN"] = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    workspace = config.stash.setdefault(_WORKSPACE, Workspace.default())
    names = {*SAFETY_PROPERTIES}
    for root in workspace.scenarios:
        if root.is_dir():
            names |= {path.name for path in root.iterdir() if path.is_dir()}
    for name in sorted(names):
        config.addinivalue_line("markers", f"{name}: scenarios of the property {name}")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    if file_path.suffix in _SUFFIXES and _is_scenario(file_path, parent.config):
        return ScenarioFile.from_parent(parent, path=file_path)
    return None


def _is_scenario(path: Path, config: pytest.Config) -> bool:
    named = {Path(str(arg).partition("::")[0]).resolve() for arg in config.args}
    roots = config.stash[_WORKSPACE].scenarios
    if path.resolve() in named or any(path.is_relative_to(root) for root in roots):
        return True
    # Other projects in the same environment may have YAML in folders of that name.
    return any("scenarios" in arg.parts and path.is_relative_to(arg) for arg in named)


def pytest_collection_finish(session: pytest.Session) -> None:
    config = session.config
    if config.option.collectonly or hasattr(config, "workerinput"):
        return
    flavors = {item.item.flavor for item in session.items if isinstance(item, ScenarioItem)}
    _prepare(config, flavors)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: Any, ids: Iterable[str]) -> None:
    _prepare(node.config, {flavor for name in ids if (flavor := _flavor(name))})


def _flavor(node_id: str) -> str:
    """Return the flavor in the id of a scenario's item, "" for any other id."""
    path, _, name = node_id.rpartition("::")
    if not path.endswith(_SUFFIXES):
        return ""
    return name.partition("@")[2].partition("[")[0].partition("#")[0]


def _prepare(config: pytest.Config, flavors: Iterable[str]) -> None:
    """Build kernels before the first item, so that the user sees their progress."""
    wanted = sorted(flavors)
    if not wanted or config.stash.get(_PREPARED, False):
        return
    config.stash[_PREPARED] = True
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    planner = _session(config).attempts.planner

    def say(event: events.Event) -> None:
        line = _line(event)
        if line and reporter is not None:
            reporter.write_line(line)

    planner.emit, planner.cache.emit = say, say
    try:
        planner.chosen_accel()
        for flavor in wanted:
            # The items that need it raise the error again, each with its own report.
            with contextlib.suppress(LabError):
                planner.image(planner.kernel(flavor))
    except LabError:
        pass  # the same
    finally:
        planner.emit, planner.cache.emit = events.ignore, events.ignore


_PREPARED = pytest.StashKey[bool]()


def _line(event: events.Event) -> str:
    match event:
        case events.Notice():
            return f"lab: {event.text}"
        case events.StageStarted():
            return f"lab: {event.job}: {event.stage} ..."
        case events.StageFinished():
            return f"lab: {event.job}: {event.stage} done in {event.seconds:.1f} s"
        case _:
            return ""


def _session(config: pytest.Config) -> Session:
    from lab.jobs.session import Session

    found = config.stash.get(_SESSION, None)
    if found is None:
        found = Session.create(
            workspace=config.stash[_WORKSPACE],
            accel=config.option.accel,
            keep=config.option.keep_dossiers,
            cold=config.option.cold,
        )
        found.attempts.pool.forks.emit = _warn
        config.stash[_SESSION] = found
    return found


def _warn(event: events.Event) -> None:
    """Put warnings for the user into pytest's summary of warnings."""
    if isinstance(event, events.Notice) and event.level == "warning":
        warnings.warn(pytest.PytestWarning(f"lab: {event.text}"), stacklevel=2)


@functools.cache
def _catalog(workspace: Workspace) -> Catalog:
    from lab.runner.catalog import catalog_of

    return catalog_of(workspace)


def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Start to make the next item's guest while this item runs."""
    if isinstance(item, ScenarioItem) and isinstance(nextitem, ScenarioItem):
        _session(item.config).attempts.prewarm(nextitem.item)


def pytest_unconfigure(config: pytest.Config) -> None:
    session = config.stash.get(_SESSION, None)
    if session is not None:
        session.close()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the time of scenario items by its parts, over all workers."""
    items: dict[str, dict[str, float]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            parts = {
                str(name).removeprefix(_PART): float(value)
                for name, value in getattr(report, "user_properties", [])
                if str(name).startswith(_PART)
            }
            if parts:
                items[report.nodeid] = parts
    if items:
        from lab.report.time_by_part import time_by_part

        terminalreporter.write_line(f"lab: {time_by_part(items.values())}")


class ScenarioFile(pytest.File):
    """One scenario's YAML file."""

    def collect(self) -> Iterator[ScenarioItem]:
        from lab.scenario.items import items
        from lab.scenario.load import load_scenarios

        catalog = _catalog(self.config.stash[_WORKSPACE])
        for scenario in load_scenarios(self.path, catalog):
            for item in items(scenario, self.config.option.kernel):
                for turn in range(self.config.option.repeat):
                    name = item.id.partition("/")[2] + (f"#{turn + 1}" if turn else "")
                    yield ScenarioItem.from_parent(self, name=name, item=item)

    def repr_failure(  # type: ignore[override]  # as pytest.Collector has it
        self, excinfo: pytest.ExceptionInfo[BaseException]
    ) -> Any:
        if isinstance(excinfo.value, LabError):
            return str(excinfo.value)
        return super().repr_failure(excinfo)


class ScenarioItem(pytest.Item):
    """One scenario on one flavor with one set of parameters."""

    def __init__(self, *, item: Item, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.item = item
        self.result: Result | None = None
        kinds = {extension.kind for extension in item.scenario.extensions.values()}
        for mark in (item.scenario.property, *item.scenario.tags, *sorted(kinds)):
            self.config.addinivalue_line("markers", f"{mark}: of a scenario")
            self.add_marker(getattr(pytest.mark, mark))

    def setup(self) -> None:
        self.result = _session(self.config).run(self.item)
        self.user_properties += [
            ("kernel", self.item.flavor),
            ("verdict", self.result.verdict),
            *((f"{_PART}{part}", round(s, 3)) for part, s in self.result.parts.items()),
        ]
        if self.result.verdict == "error":
            raise VerdictError

    def runtest(self) -> None:
        assert self.result is not None
        if self.result.verdict != "passed":
            raise VerdictFailed

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from lab.report.result import explain

        if isinstance(excinfo.value, VerdictFailed | VerdictError) and self.result is not None:
            return explain(self.result)
        if isinstance(excinfo.value, LabError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, self.item.id
