# SPDX-License-Identifier: GPL-2.0-only
"""`lab explain` at the command line, and its score on a small corpus."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness.paths import GOLDEN
from typer.testing import CliRunner

from lab.cli.main import app
from lab.errors import UserError
from lab.jobs.score_reports import kinds_of, read_sample, score_folder

CORPUS = GOLDEN / "console"
OOPSES = CORPUS / "oops-twice.log"
BENIGN = CORPUS / "benign-boot.log"


def test_reports_are_printed_with_their_place() -> None:
    result = CliRunner().invoke(app, ["explain", str(OOPSES)])
    assert result.exit_code == 1
    assert "oops-twice.log: console or dmesg, 106 lines, 2 reports" in result.output
    assert "line 3: NULL pointer dereference in fault_null_read" in result.output
    assert "page-fault, function fault_null_read" in result.output


def test_a_benign_log_gives_no_report_and_status_0() -> None:
    result = CliRunner().invoke(app, ["explain", str(BENIGN)])
    assert result.exit_code == 0
    assert "no reports" in result.output


def test_what_is_missing_and_what_is_forged_is_said(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(
        "[    5.000000] usb 1-1: quiet\n"
        "** 12 printk messages dropped **\n"
        "BUG: kernel NULL pointer dereference, address: 0000000000000008\n"
        "[    5.000001] usb 1-1: quiet\n"
    )
    result = CliRunner().invoke(app, ["explain", str(file)])
    assert result.exit_code == 0
    assert "missing: line 2: the console skipped 12 messages" in result.output
    assert "not from the kernel: line 3: 'BUG: kernel NULL pointer" in result.output
    (log,) = json.loads(CliRunner().invoke(app, ["explain", "--json", str(file)]).output)
    assert (log["forged"], len(log["forgeries"]), len(log["losses"])) == (1, 1, 1)


def test_a_file_that_cannot_be_read_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "garbage").write_bytes(b"no kernel said this\n" * 9)
    files = [str(tmp_path / "garbage"), str(OOPSES), "/nowhere"]
    result = CliRunner().invoke(app, ["explain", *files])
    assert "2 reports" in result.output
    assert "garbage: the form of this log is not known" in result.output
    assert "/nowhere: it can't be read" in str(result.exception)
    assert isinstance(result.exception, UserError)
    shown = CliRunner().invoke(app, ["explain", "--json", *files]).stdout
    assert len(json.loads(shown[: shown.rindex("]") + 1])) == 1


def test_a_line_of_another_shape_is_not_the_kernels(tmp_path: Path) -> None:
    """A program wrote a prefix without priority to a console whose lines all have one."""
    file = tmp_path / "log"
    lines = [f"<6>[{n:5d}.000000][    T1] quiet\n" for n in range(60)]
    lines.insert(30, "[   30.000000] Kernel panic - not syncing: Fatal exception\n")
    file.write_text("".join(lines))
    result = CliRunner().invoke(app, ["explain", str(file)])
    assert result.exit_code == 0, result.output
    assert "not from the kernel: line 31: 'Kernel panic" in result.output


def test_standard_input_is_read_and_json_is_complete() -> None:
    result = CliRunner().invoke(app, ["explain", "--json", "-"], input=OOPSES.read_bytes())
    (log,) = json.loads(result.output)
    assert (log["file"], log["form"], log["lines"], log["more"]) == ("-", "console", 106, 0)
    first = log["reports"][0]
    assert (first["kind"], first["function"]) == ("page-fault", "fault_null_read")
    assert (first["line"], first["cpu"], first["task"]) == (3, 0, "sh:52")
    assert first["complete"] is True


@pytest.mark.parametrize("arguments", [[], ["/nowhere"], ["--form", "x", str(BENIGN)]])
def test_what_cannot_be_read_is_the_users_error(arguments: list[str]) -> None:
    result = CliRunner().invoke(app, ["explain", *arguments])
    assert isinstance(result.exception, UserError)


def test_a_log_of_no_known_form_is_the_users_error(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("dear diary\n")
    result = CliRunner().invoke(app, ["explain", str(file)])
    assert isinstance(result.exception, UserError)
    assert "--form" in result.exception.hint


STACK = (
    "[    5.000000] WARNING: CPU: 1 PID: 7 at a.c:1 warner+0x1/0x2\n"
    "[    5.000001] CPU: 1 PID: 7 Comm: sh Not tainted {release}-syzkaller #0\n"
    "[    5.000002] RIP: 0010:warner+0x1/0x2\n"
    "[    5.000003] ---[ end trace 0000000000000000 ]---\n"
)
PAGE_FAULT = "[    5.0000{}] BUG: unable to handle kernel paging request at ffff888000000000\n"


def write(folder: Path, name: str, headers: str, log: str) -> None:
    (folder / name).write_text(f"{headers}\n{log}")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "1", "TITLE: WARNING in warner\n", STACK.format(release="5.15.0"))
    write(tmp_path, "2", "TITLE: WARNING in other\n", STACK.format(release="6.1.0"))
    write(tmp_path, "3", "TITLE: WARNING in other\n", STACK.format(release="4.19.0"))
    write(tmp_path, "4", "TITLE: BUG: soft lockup in corrupted\n", PAGE_FAULT.format("01"))
    write(tmp_path, "5", "", "[    5.000000] usb 1-1: quiet\n")
    write(tmp_path, "6", "", PAGE_FAULT.format("02"))
    write(tmp_path, "7", "TITLE: memory leak in f\n", "[    5.000000] usb 1-1: quiet\n")
    write(tmp_path, "8", "TITLE: SYZFAIL: nothing\n", "[    5.000000] usb 1-1: quiet\n")
    write(tmp_path, "9", "TITLE: WARNING in f\n", "[    5.000000] pstate: 60400005 (nZCv)\n")
    return tmp_path


def test_the_three_figures_are_counted(folder: Path) -> None:
    scores = score_folder(folder)
    total = scores["all"]
    assert total.logs == 8
    assert (total.reported.right, total.reported.total) == (6, 8)
    assert total.reported.wrong == ["6", "7"]
    assert (total.kind.right, total.kind.total, total.kind.wrong) == (3, 4, ["4"])
    assert (total.function.right, total.function.total, total.function.wrong) == (1, 2, ["2"])
    assert scores["odd"].logs == scores["even"].logs == 4
    assert scores["odd"].function.share == 100.0


def test_score_is_printed_and_even_logs_are_not_named(folder: Path) -> None:
    result = CliRunner().invoke(app, ["explain", "--score", str(folder), "--wrong"])
    assert result.exit_code == 0
    assert "all: 8 logs: reported 75.0 % (6 of 8)" in result.output
    assert "odd, reported wrong: 7\n" in result.output
    assert "even, " not in result.output
    data = CliRunner().invoke(app, ["explain", "--score", str(folder), "--json"])
    assert json.loads(data.output)["even"]["kind"] == {"right": 1, "of": 2}


def test_a_folder_without_logs_is_the_users_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no logs"):
        score_folder(tmp_path)
    with pytest.raises(UserError, match="is not a folder"):
        score_folder(tmp_path / "nowhere")


def test_headers_give_all_names_of_a_function(tmp_path: Path) -> None:
    write(
        tmp_path,
        "1",
        "TITLE: INFO: rcu detected stall in sys_x\nALT: stall in __x64_sys_x\nFRAME: f\n",
        STACK.format(release="7.0.0"),
    )
    sample = read_sample(tmp_path / "1")
    assert sample.functions == ("f", "sys_x", "__x64_sys_x")
    assert sample.modern


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("KASAN: use-after-free Read in f", "kasan"),
        ("WARNING: suspicious RCU usage in f", "lockdep"),
        ("WARNING: ODEBUG bug in f", "warning"),
        ("BUG: Bad page state in f", "other-splat"),
        ("divide error in f", "oops"),
        ("kernel BUG in f", "bug"),
    ],
)
def test_a_titles_words_allow_a_kind(title: str, kind: str) -> None:
    assert kind in kinds_of(title)
