# SPDX-License-Identifier: GPL-2.0-only
"""From an item to its result, with a guest that is only made up."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import create_autospec

import pytest

from lab import events
from lab.cache import Cache
from lab.deadline import Deadline
from lab.errors import InfraError, UserError
from lab.extension.symbolise import Frame
from lab.guest.forks import Forks
from lab.guest.guest import Guest
from lab.guest.loader import Loader
from lab.guest.ssh import CommandTimeout
from lab.jobs.session import Session
from lab.judge.extension_reports import with_names
from lab.judge.observation import Iteration, Observation, StepResult
from lab.oracle.console.parser import Report
from lab.oracle.evidence import Trust
from lab.oracle.rex.reports import RexReport
from lab.pytest_plugin import _flavor
from lab.report.dossier import Dossier
from lab.report.record import _extension_reports
from lab.report.rerun import rerun_line
from lab.report.result import Result, explain
from lab.runner import watch
from lab.runner.attempt import Attempts
from lab.runner.baseline import Aftermath
from lab.runner.extensions import Artifact, LoadedExtensions
from lab.runner.plan import Plan, Planner
from lab.runner.pool import Pool
from lab.runner.run import Run
from lab.scenario.items import Item, items
from lab.scenario.load import load_scenarios
from lab.scenario.model.base import Ref
from lab.scenario.model.extensions import CExtension, RustExtension
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import LoadStep
from lab.vm import slots
from lab.workspace import Workspace

SCENARIO = """
summary: A shell line works
steps: [{shell: "true", expect: {status: 0}}]
expect: {kernel: alive}
"""
SOON = Deadline(5)


@pytest.fixture
def item(tmp_path: Path) -> Item:
    path = tmp_path / "basic" / "case.yaml"
    path.parent.mkdir()
    path.write_text(SCENARIO)
    (scenario,) = load_scenarios(path)
    return items(scenario)[0]


class Lines:
    """The loader's end of a connection: one answer for each command, in order."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = [json.dumps(answer).encode() for answer in answers]
        self.sent: list[bytes] = []

    def start(self, *_arguments: Any, **_options: Any) -> Lines:
        return self

    def send(self, data: bytes, _deadline: Deadline) -> None:
        self.sent.append(data)

    def read_line(self, _deadline: Deadline) -> bytes:
        if not self.answers:
            raise CommandTimeout("nothing more comes")
        return self.answers.pop(0)


def loader(*answers: dict[str, Any]) -> Loader:
    return Loader(Lines({"ok": True, "protocol": 1}, *answers), SOON)  # type: ignore[arg-type]


def test_an_answer_that_a_later_command_overtook_is_still_collected() -> None:
    one = loader({"ok": True, "retval": 7}, {"ok": True, "programs": []})
    one.post("run", SOON)
    assert one.call("stats", SOON)["programs"] == []
    assert one.collect(SOON)["retval"] == 7


def test_runs_that_cannot_be_counted_are_an_infra_error_not_zero() -> None:
    guest: Any = SimpleNamespace(loader=loader({"ok": False, "stage": "stats", "error": "EPERM"}))
    extension = CExtension(c="count")
    loaded = LoadedExtensions(guest, {"main": extension}, {}, Iteration(), lambda _seconds: SOON)
    loaded.loaded["main"] = extension
    with pytest.raises(InfraError, match="could not be counted"):
        loaded.account()


def counted(*answers: dict[str, Any]) -> tuple[list[StepResult], Iteration]:
    """Return steps' results and the iteration if the loader gives these answers to `stats`."""
    whole = [{"ok": True, "programs": [{"name": "p", **answer}]} for answer in answers]
    guest: Any = SimpleNamespace(loader=loader(*whole))
    iteration, extension = Iteration(), RustExtension(rust="count")
    loaded = LoadedExtensions(guest, {"main": extension}, {}, iteration, lambda _seconds: SOON)
    loaded.loaded["main"] = extension
    results = [
        StepResult(LoadStep(load="main"), f"step {number}") for number in range(len(answers))
    ]
    for result in results:
        loaded.account(result)
    return results, iteration


def test_outcomes_are_counted_as_increases_and_misses_as_refused() -> None:
    first = {"returned": 3, "panicked": 1, "refused": 0, "disabled": 0}
    second = {"returned": 3, "panicked": 2, "refused": 4, "disabled": 5}
    results, iteration = counted(
        {"run_cnt": 99, "outcomes": first, "recursion_misses": 0},
        {"run_cnt": 99, "outcomes": second, "recursion_misses": 2},
    )
    assert results[0].outcomes == {"returned": 3, "panicked": 1}
    assert results[1].outcomes == {"panicked": 1, "refused": 6, "disabled": 5}
    assert iteration.outcomes == {"returned": 3, "panicked": 2, "refused": 6, "disabled": 5}
    assert (results[0].misses, results[1].misses, iteration.misses) == (0, 2, 2)


def test_runs_without_outcomes_have_returned() -> None:
    results, iteration = counted({"run_cnt": 5}, {"run_cnt": 7, "recursion_misses": 1})
    assert [result.outcomes for result in results] == [
        {"returned": 5},
        {"returned": 2, "refused": 1},
    ]
    assert (iteration.outcomes, iteration.misses) == ({"returned": 7, "refused": 1}, 1)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([{"outcomes": {"vanished": 1}}], "unknown outcomes: vanished"),
        ([{"run_cnt": 5}, {"run_cnt": 4}], "main.p: the count of returned went down by 1"),
    ],
)
def test_counts_that_make_no_sense_are_an_infra_error(
    answers: list[dict[str, Any]], says: str
) -> None:
    with pytest.raises(InfraError, match=says):
        counted(*answers)


class Busy:
    """A guest whose loader is stuck in the second use."""

    def __init__(self) -> None:
        self.killed = False

    def run(self, command: str, _deadline: Deadline) -> None:
        self.killed = self.killed or "kextload" in command

    def forget_loader(self) -> None:
        assert self.killed

    def end_loader(self) -> None:
        raise CommandTimeout("the loader does not end")


def test_a_second_use_that_hangs_is_the_kernels_failure_not_the_labs() -> None:
    seen = Observation(second=Iteration(interrupted="step 2: it did not end"), state="alive")
    plan = create_autospec(Plan, instance=True)
    plan.item = create_autospec(Item, instance=True)
    plan.item.scenario = create_autospec(Scenario, instance=True)
    plan.item.scenario.all_steps.return_value, plan.item.scenario.extensions = (), {}
    run = Run(plan, seen=seen)
    watched = create_autospec(watch.Watch, instance=True)
    watched.aftermath.return_value = Aftermath([], {}, {}, [], "", {}, [])
    run._aftermath(Busy(), watched)  # type: ignore[arg-type]
    watched.check_console.assert_called_once()


@pytest.mark.parametrize(
    ("interrupted", "news_first", "states", "calls"),
    [
        (False, False, ["alive"], ["quiet", "state"]),
        (False, True, ["alive"], ["quiet", "state"]),
        (True, True, ["alive"], ["late panic", "state"]),
        (True, False, ["stalled"], ["state"]),
        (True, False, ["crashed"], ["state"]),
        (True, False, ["alive", "crashed"], ["state", "late panic", "state"]),
    ],
)
def test_a_kernel_that_answers_after_a_timeout_gets_time_for_a_late_panic(
    interrupted: bool, news_first: bool, states: list[str], calls: list[str]
) -> None:
    done: list[str] = []

    def state() -> tuple[str, list[str]]:
        done.append("state")
        found = states[done.count("state") - 1]
        return found, [f"evidence that it is {found}"]

    seen_by: Any = SimpleNamespace(
        wait_for_quiet=lambda: done.append("quiet"),
        wait_for_late_panic=lambda: done.append("late panic"),
        state=state,
    )
    run = Run(create_autospec(Plan, instance=True))
    evidence: Any = run._find_state(seen_by, interrupted, news_first)
    assert (done, run.seen.state) == (calls, states[-1])
    assert evidence == [f"evidence that it is {states[-1]}"]


def booting(meanwhile: Callable[[], None]) -> Any:
    class Booted:
        machine = SimpleNamespace(
            stop=lambda: None,
            console=SimpleNamespace(stamped=str),
            command=("qemu", "-append", "a b"),
            stderr="",
        )
        ready_after = 1.0

        def __enter__(self) -> Booted:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    def boot(_spec: Any) -> Booted:
        meanwhile()
        return Booted()

    return boot


def test_a_run_that_is_stopped_while_it_boots_does_nothing() -> None:
    run = Run(SimpleNamespace(guest=None))  # type: ignore[arg-type]
    run.start = booting(run.stop)
    seen = run.go()
    assert "stopped" in str(seen.infra_error)
    assert seen.facts["qemu"] == "qemu -append 'a b'"


@pytest.mark.parametrize("wrong", [KeyError("retval"), AttributeError("x"), RecursionError()])
def test_what_no_reader_expects_of_a_guest_is_an_infra_error_of_one_item(
    monkeypatch: pytest.MonkeyPatch, wrong: Exception
) -> None:
    def inside(_guest: Any) -> None:
        raise wrong

    def unreadable(_watch: Any) -> None:
        raise InfraError("the console could not be parsed")

    run = Run(SimpleNamespace(guest=None), start=booting(lambda: None))  # type: ignore[arg-type]
    run._watch = SimpleNamespace()  # type: ignore[assignment]
    monkeypatch.setattr(run, "_ready", lambda _guest, _waited: None)
    monkeypatch.setattr(run, "_inside", inside)
    monkeypatch.setattr(run, "_read_console", unreadable)
    infra_error = run.go().infra_error
    assert isinstance(infra_error, InfraError)
    assert repr(wrong) in infra_error.message
    assert "in inside" in infra_error.details


def test_a_mistake_of_the_user_stays_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def ready(_guest: Any, _waited: float) -> None:
        raise UserError("no such image")

    run = Run(SimpleNamespace(guest=None), start=booting(lambda: None))  # type: ignore[arg-type]
    monkeypatch.setattr(run, "_ready", ready)
    with pytest.raises(UserError):
        run.go()


def test_the_console_is_read_even_if_an_oracle_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    plan: Any = SimpleNamespace(guest=None, artifacts={})
    run = Run(plan, start=booting(lambda: None))

    def inside(_guest: Any) -> None:
        run._watch = SimpleNamespace(  # type: ignore[assignment]
            evidence=[],
            reports=lambda: [REPORT],
            rex_reports=lambda: (ENDED,),
            forgeries=lambda: ([], 0),
            losses=list,
        )
        raise InfraError("the BPF objects can't be read")

    monkeypatch.setattr(run, "_ready", lambda _guest, _waited: None)
    monkeypatch.setattr(run, "_inside", inside)
    monkeypatch.setattr(run, "_add", lambda _evidence: None)
    monkeypatch.setattr("lab.runner.run.report_evidence", lambda report: report)
    seen = run.go()
    assert seen.infra_error is not None
    assert seen.reports == [REPORT]
    assert [one.report for one in seen.extension_reports] == [ENDED]


# Reports on programs

ENDED = RexReport(
    "deep", 7, "panicked", 1, "no", "src/lib.rs:9", (0x10, 0x20), {"spin_lock": 1}, {}, 4, 2.5
)
REPORT = Report("ubsan", "an oops", ("line",), 1)
FOREIGN = RexReport("other", 8, "faulted", 0, "page fault at 0x0", "", (0x30,))


def look_up(path: Path, offsets: Sequence[int]) -> list[Frame]:
    assert (path, offsets) == (Path("x.debug"), [0x10, 0x20])
    return [
        Frame(0x10, "core::panic", "core/src/panicking.rs", 1, inlined=True),
        Frame(0x10, "panics::deep", "src/lib.rs", 9),
        Frame(0x20),
    ]


def test_reports_get_the_names_of_program_functions_and_lines() -> None:
    found, problem = with_names(
        [ENDED, FOREIGN], {7: Ref("a", "deeply_nested_program")}, {"a": Path("x.debug")}, look_up
    )
    assert problem == ""
    assert [one.text for one in found] == [
        "panicked on CPU 1: no (src/lib.rs:9)\n"
        "  #0 core::panic at core/src/panicking.rs:1 (inlined)\n"
        "  #0 panics::deep at src/lib.rs:9\n"
        "  #1 0x20\n"
        "  released: spin_lock 1",
        "faulted on CPU 0: page fault at 0x0\n  #0 0x30",
    ]
    assert [one.title for one in found] == [
        "a.deeply_nested_program panicked on CPU 1: no (src/lib.rs:9)",
        "other[8] faulted on CPU 0: page fault at 0x0",
    ]
    evidence = found[0].evidence()
    assert (evidence.kind, evidence.trust, evidence.at) == (
        "extension-report",
        Trust.CONSOLE,
        2.5,
    )
    assert evidence.data["extension"] == "a"
    assert evidence.data["frames"][1] == "#0 panics::deep at src/lib.rs:9"
    json.dumps(evidence.to_json())


def test_a_report_without_debug_information_is_still_shown() -> None:
    def broken(_path: Path, _offsets: Sequence[int]) -> list[Frame]:
        raise InfraError("addr2line is missing")

    found, problem = with_names([ENDED], {7: Ref("a", "p")}, {"a": Path("x.debug")}, broken)
    assert "addr2line is missing" in problem
    assert "  #1 0x20" in found[0].text
    found, problem = with_names([ENDED], {7: Ref("a", "p")}, {}, broken)
    assert (problem, found[0].program) == ("", Ref("a", "p"))


def test_the_ids_of_programs_are_remembered_beyond_their_unload() -> None:
    answer = {"ok": True, "programs": [{"name": "deep", "id": 7}, {"name": "other"}]}
    guest: Any = SimpleNamespace(loader=loader(answer, {"ok": True}))
    iteration, artifact = Iteration(), Artifact(Path("x.so"))
    extensions = {"a": RustExtension(rust="x")}
    loaded = LoadedExtensions(guest, extensions, {"a": artifact}, iteration, lambda _seconds: SOON)
    step = LoadStep(load="a")
    loaded.load(step, StepResult(step, "step 1"))
    loaded.unload("a")
    assert iteration.programs == {7: Ref("a", "deep")}


def test_a_failure_shows_what_was_said_of_programs(item: Item) -> None:
    found, _ = with_names([ENDED, FOREIGN], {7: Ref("a", "deep")}, {})
    seen = Observation(extension_reports=found)
    assert _extension_reports(seen, 1) == (
        "a.deep panicked on CPU 1: no (src/lib.rs:9)\n"
        "  #0 0x10\n  #1 0x20\n  released: spin_lock 1\n... and 1 more\n"
    )
    text = _extension_reports(seen)
    assert "other[8] faulted" in text
    assert "more" not in text
    result = Result(item.id, "case.yaml", "a case", "rex", "failed", extension_reports=text)
    assert "extension reports:\n  a.deep panicked" in explain(result)
    assert Result.from_json(result.to_json()) == result


# Sessions


def session(tmp_path: Path, planner: Any) -> Session:
    attempts = Attempts(planner, Pool(Forks(planner.cache), tmp_path / "slots"))
    return Session(attempts, folder=tmp_path / "results")


def test_an_item_that_cannot_be_planned_does_not_end_the_others(item: Item, tmp_path: Path) -> None:
    class Refusing(Planner):
        def kernel(self, flavor: str) -> Any:
            raise UserError(f"no compiler for {flavor}")

    heard: list[events.Event] = []
    planner = Refusing(Workspace(), Cache(tmp_path), "tcg")
    attempts = Attempts(planner, Pool(Forks(planner.cache), tmp_path / "slots"), heard.append)
    one = Session(attempts, heard.append, tmp_path / "results")
    results = list(one.run_all([item, item], 1))
    assert [result.verdict for result in results] == ["error", "error"]
    assert "no compiler for stock" in results[0].reasons[0]
    assert sum(isinstance(event, events.ItemFinished) for event in heard) == 2


def test_stop_does_not_wait_for_a_plan(item: Item, tmp_path: Path) -> None:
    planning, go_on = threading.Event(), threading.Event()

    class Slow(Planner):
        def plan(self, item: Item, *, gdb: bool = False) -> Any:
            planning.set()
            assert go_on.wait(10)
            raise UserError("enough")

    one = session(tmp_path, Slow(Workspace(), Cache(tmp_path), "tcg"))
    worker = threading.Thread(target=one._run_safely, args=(item,))
    worker.start()
    assert planning.wait(10)
    stopper = threading.Thread(target=one.attempts.stop)
    stopper.start()
    stopper.join(5)
    stopped = not stopper.is_alive()
    go_on.set()
    worker.join(10)
    stopper.join(10)
    assert stopped


def test_nobody_waits_for_a_slot_after_a_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slots, "capacity", lambda _memory: 1)
        with (
            slots.slot(tmp_path, 256),
            pytest.raises(InfraError, match="no guest was started"),
            slots.slot(tmp_path, 256, stop),
        ):
            pass


def test_the_line_that_runs_an_item_again_names_a_kernel_that_the_scenario_does_not(
    item: Item,
) -> None:
    assert "--kernel" not in rerun_line(item)
    (other,) = items(item.scenario, ["debian"])
    assert "--kernel debian --only basic/case@debian" in rerun_line(other)


def test_the_flavor_in_an_id_of_pytests() -> None:
    assert _flavor("scenarios/basic/case.yaml::case@stock#2") == "stock"
    assert _flavor("scenarios/basic/case.yaml::case@stock[to=a@b]") == "stock"
    assert _flavor("tests/test_mail.py::test_it[me@home]") == ""


# Dossiers and shell lines


def test_two_failures_of_one_item_have_two_dossiers(tmp_path: Path) -> None:
    result = Result("basic/case@stock", "case.yaml", "a case", "stock", "failed")
    first = Dossier(result, verifier_log="of the first").write(tmp_path)
    second = Dossier(result, console="of the second", extension_reports="p panicked\n").write(
        tmp_path
    )
    assert (second / "extension-reports.txt").read_text() == "p panicked\n"
    assert first != second
    assert not (second / "verifier.log").exists()
    assert (first / "verifier.log").read_text() == "of the first"


def test_a_file_of_the_guest_may_have_a_name_with_blanks(tmp_path: Path) -> None:
    path = tmp_path / "a $b"
    path.write_text("text\n")

    def run(command: str, _deadline: Any) -> Any:
        return subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)

    guest: Any = SimpleNamespace(run=run, _witness=None, _witness_lost=False)
    assert Guest.read_files(guest, [str(path)]) == {str(path): "text\n"}
