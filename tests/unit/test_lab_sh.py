# SPDX-License-Identifier: GPL-2.0-only
"""lab.sh, in a checkout of its own with stand-ins for apt, Python and pip."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import IO

import pytest

from lab.cli.main import app
from lab.deadline import Deadline
from lab.host import packages
from lab.workspace import CHECKOUT

REAL_TOOLS = (
    *("cat", "chmod", "cut", "dirname", "env", "flock", "id", "mkdir"),
    *("mv", "rm", "sed", "sh", "sha256sum", "touch", "tr"),
)

PYTHON = """\
#!/bin/sh
case "$1 $2" in
"-c import sys; sys.exit"*) exit "${OLD_PYTHON:-0}" ;;
"-c import ensurepip"*) exit "${NO_ENSUREPIP:-0}" ;;
"-c import sys; print(\\"%d"*) echo 3.11 ;;
"-c import sys; print(sys.prefix"*) echo /usr ;;
"-m venv") mkdir -p "$3/bin" && cat "$0" >"$3/bin/python" && chmod +x "$3/bin/python" ;;
"-m pip")
	echo "pip $*" >>"$LOG"
	if [ -n "$GATE" ]; then read -r _ <"$GATE"; fi
	[ -z "$PIP_FAILS" ] || exit 1
	for name in lab pytest; do
		printf '#!/bin/sh\\necho "ran %s $*"\\n' "$name" >"${0%/*}/$name"
		chmod +x "${0%/*}/$name"
	done
	;;
esac
"""
APT_GET = '#!/bin/sh\necho "apt-get $*" >>"$LOG"\n[ "$1" != install ] || touch "$PRESENT"\n'
APT_CACHE = '#!/bin/sh\n[ -z "$UNKNOWN" ] || [ "$2" != "$UNKNOWN" ]\n'
SUDO = '#!/bin/sh\necho sudo >>"$LOG"\nexec "$@"\n'


class Checkout:
    """A checkout with nothing but lab.sh and what it reads."""

    def __init__(self, root: Path) -> None:
        self.root = root / "checkout of mine"  # a blank must not break it
        (self.root / "lab/host").mkdir(parents=True)
        shutil.copy(CHECKOUT / "lab.sh", self.root)
        (self.root / "pyproject.toml").write_text("[project]\n")
        self.bin = root / "bin"
        self.bin.mkdir()
        for name in REAL_TOOLS:
            found = shutil.which(name)
            assert found, name
            (self.bin / name).symlink_to(found)
        for name, text in (
            ("python3", PYTHON),
            ("apt-get", APT_GET),
            ("apt-cache", APT_CACHE),
            ("sudo", SUDO),
        ):
            self.program(name, text)
        self.log = root / "log"
        self.present = root / "present"
        self.packages(f"tool | yes | {self.present} | does the work\n")
        self.present.touch()
        self.env = {"PATH": str(self.bin), "LOG": str(self.log), "PRESENT": str(self.present)}

    def program(self, name: str, text: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def packages(self, text: str) -> None:
        (self.root / "lab/host/packages.txt").write_text(f"# the list\n\n{text}")

    def start(self, *args: str, **env: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.root / "lab.sh"), *args],
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, **env: str) -> tuple[int, str, str]:
        child = self.start(*args, **env)
        out, err = child.communicate(timeout=60)
        return child.returncode, out, err

    @property
    def calls(self) -> list[str]:
        return self.log.read_text().splitlines() if self.log.exists() else []


def open_gate(gate: Path, child: subprocess.Popen[str]) -> IO[str]:
    """The pipe's end for writing, once the child's pip reads from the other."""

    def attempt() -> IO[str] | None:
        assert child.poll() is None, child.communicate()
        try:
            return os.fdopen(os.open(gate, os.O_WRONLY | os.O_NONBLOCK), "w")
        except OSError as error:
            if error.errno != errno.ENXIO:  # the gate has no reader yet
                raise
            return None

    return Deadline(60).poll(attempt, "pip at the gate")


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize("args", [(), ("--help",), ("help",)])
def test_alone_it_says_what_it_can_do_and_does_nothing(
    checkout: Checkout, args: tuple[str, ...]
) -> None:
    status, out, _ = checkout.run(*args)
    assert status == 0
    for word in ("scenarios", "test", "try"):
        assert f"./lab.sh {word}" in out
    names = [one.name for one in app.registered_commands]
    names += [one.name for one in app.registered_groups]
    for name in names:
        assert re.search(rf"\b{name}\b", out), f"the lab's command {name} is not there"
    assert not (checkout.root / ".venv").exists()
    assert checkout.calls == []


def test_an_unknown_option_is_refused(checkout: Checkout) -> None:
    status, _, err = checkout.run("--fast", "scenarios")
    assert status == 1
    assert "--fast" in err


def test_first_run_sets_up_and_then_runs_what_was_asked(checkout: Checkout) -> None:
    status, out, _ = checkout.run("run", "a scenario.yaml")
    assert (status, out) == (0, "ran lab run a scenario.yaml\n")
    (call,) = checkout.calls
    assert call.endswith(f"--editable {checkout.root}")


def test_second_run_starts_at_once(checkout: Checkout) -> None:
    checkout.run("doctor")
    before = checkout.calls
    assert checkout.run("doctor")[:2] == (0, "ran lab doctor\n")
    assert checkout.calls == before


def test_scenarios_go_to_pytest_with_their_arguments(checkout: Checkout) -> None:
    _, out, _ = checkout.run("scenarios", "-k", "kprobe")
    assert out == f"ran pytest {checkout.root}/scenarios/ -k kprobe\n"


def test_try_takes_debians_kernel(checkout: Checkout) -> None:
    _, out, _ = checkout.run("try")
    assert out.startswith(f"ran lab run --kernel debian {checkout.root}/")
    scenario = Path(out.split(f"{checkout.root}/")[1].strip())
    assert (CHECKOUT / scenario).is_file()


def test_a_changed_project_or_list_is_installed_again(checkout: Checkout) -> None:
    checkout.run("doctor")
    (checkout.root / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    checkout.run("doctor")
    assert len(checkout.calls) == 2
    checkout.packages(f"tool | yes | {checkout.present} | another reason\n")
    checkout.run("doctor")
    assert len(checkout.calls) == 3


def test_test_needs_more_than_the_rest_and_the_rest_keeps_it(checkout: Checkout) -> None:
    checkout.run("doctor")
    checkout.run("setup", "dev")
    assert checkout.calls[-1].endswith(f"--editable {checkout.root}[dev]")
    before = checkout.calls
    checkout.run("doctor")
    checkout.run("setup", "dev")
    assert checkout.calls == before


def test_pip_that_failed_is_run_again(checkout: Checkout) -> None:
    status, _, err = checkout.run("doctor", PIP_FAILS="1")
    assert status == 1
    assert "pip failed" in err
    status, out, err = checkout.run("doctor")
    assert (status, out) == (0, "ran lab doctor\n")
    assert "interrupted" in err


def test_an_environment_of_ones_own_is_kept(checkout: Checkout) -> None:
    own = checkout.root / ".venv"
    (own / "bin").mkdir(parents=True)
    shutil.copy(checkout.bin / "python3", own / "bin/python")
    (own / "mine").touch()
    checkout.run("doctor", PIP_FAILS="1")
    assert checkout.run("doctor")[0] == 0
    assert (own / "mine").exists()


def test_missing_packages_are_named_and_not_installed_unasked(checkout: Checkout) -> None:
    checkout.present.unlink()
    status, _, err = checkout.run("doctor")
    assert status == 1
    assert "tool: does the work" in err
    assert "apt-get install --no-install-recommends tool" in err
    assert checkout.calls == []


@pytest.mark.parametrize(("args", "env"), [(("--yes",), {}), ((), {"CI": "true"})])
def test_missing_packages_are_installed_with_yes_or_in_ci(
    checkout: Checkout, args: tuple[str, ...], env: dict[str, str]
) -> None:
    checkout.present.unlink()
    status, out, _ = checkout.run(*args, "doctor", **env)
    assert (status, out) == (0, "ran lab doctor\n")
    apt = [call for call in checkout.calls if call.startswith("apt-get")]
    assert len(apt) == 1  # no update: the lists know the package
    assert apt[0].endswith(" tool")


def test_yes_may_stand_behind_the_word_and_goes_no_further(checkout: Checkout) -> None:
    checkout.present.unlink()
    status, out, _ = checkout.run("scenarios", "--yes", "-n", "2")
    assert (status, out) == (0, f"ran pytest {checkout.root}/scenarios/ -n 2\n")


def test_lists_are_refreshed_only_where_apt_does_not_know_a_package(checkout: Checkout) -> None:
    checkout.present.unlink()
    status, _, err = checkout.run("--yes", "doctor", UNKNOWN="tool")
    assert status == 1
    assert "apt-get update" in checkout.calls
    assert "apt knows no package tool" in err
    assert "tarball" in err
    assert "tree" in err


def test_sudo_is_used_by_those_who_are_not_root(checkout: Checkout) -> None:
    checkout.present.unlink()
    checkout.program("id", "#!/bin/sh\necho 1000\n")
    checkout.run("--yes", "doctor")
    assert checkout.calls[0] == "sudo"
    checkout.present.unlink()
    shutil.rmtree(checkout.root / ".venv")
    (checkout.bin / "sudo").unlink()
    status, _, err = checkout.run("--yes", "doctor")
    assert status == 1
    assert "as root: apt-get install" in err


def test_without_apt_it_names_the_way(checkout: Checkout) -> None:
    checkout.present.unlink()
    (checkout.bin / "apt-get").unlink()
    status, _, err = checkout.run("--yes", "doctor")
    assert status == 1
    assert "tool: does the work" in err
    assert "tarball" in err


def test_packages_can_be_left_alone(checkout: Checkout) -> None:
    checkout.present.unlink()
    status, _, _ = checkout.run("--no-packages", "doctor")
    assert status == 0
    assert not any(call.startswith("apt-get") for call in checkout.calls)


def test_alternatives_programs_and_patterns_show_a_package(checkout: Checkout) -> None:
    folder = checkout.root.parent
    (folder / "lib-x").mkdir()
    (folder / "lib-x" / "a.a").touch()
    checkout.packages(
        f"one | yes | nothing,{folder}/lib-*/a.a | x\n"
        "two | yes | apt-get python3 | y\n"
        "three | no | nothing | z\n"
        "four | tests | nothing | z\n"
    )
    assert checkout.run("doctor")[0] == 0
    checkout.packages(f"one | yes | apt-get {folder}/lib-*/b.a | x\n")
    status, _, err = checkout.run("doctor")
    assert status == 1
    assert "one: x" in err


def test_a_pattern_may_be_below_the_home_folder(
    checkout: Checkout, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = checkout.root.parent / "my home"
    monkeypatch.setenv("HOME", str(home))
    checkout.packages("one | yes | nothing,~/.tools/*/rlib | x\n")
    status, _, err = checkout.run("doctor", HOME=str(home))
    assert status == 1
    assert "one: x" in err
    (home / ".tools/1.0").mkdir(parents=True)
    (home / ".tools/1.0/rlib").touch()
    assert checkout.run("doctor", HOME=str(home))[0] == 0
    [package] = packages.parse("one | yes | nothing,~/.tools/*/rlib | x\n")
    assert packages.absent(package) == []


def test_packages_for_tests_are_looked_for_by_test_only(checkout: Checkout) -> None:
    checkout.packages("four | tests | nothing | z\n")
    assert checkout.run("doctor")[0] == 0
    status, _, err = checkout.run("test")
    assert status == 1
    assert "four: z" in err


def test_python_that_is_too_old_is_named(checkout: Checkout) -> None:
    status, _, err = checkout.run("doctor", OLD_PYTHON="1")
    assert status == 1
    assert "Python 3.11" in err
    assert checkout.calls == []


def test_an_old_python_is_passed_over(checkout: Checkout) -> None:
    older = checkout.root.parent / "older"
    older.mkdir()
    (older / "python3").write_text("#!/bin/sh\nexit 1\n")
    (older / "python3").chmod(0o755)
    assert checkout.run("doctor", PATH=f"{older}:{checkout.bin}")[0] == 0


def test_debians_missing_venv_package_is_installed(checkout: Checkout) -> None:
    status, _, err = checkout.run("doctor", NO_ENSUREPIP="1")
    assert status == 1
    assert "python3.11-venv" in err
    checkout.run("--yes", "doctor", NO_ENSUREPIP="1")
    assert any(call.endswith(" python3.11-venv") for call in checkout.calls)


def test_two_at_once_set_up_once(checkout: Checkout) -> None:
    gate = checkout.root.parent / "gate"
    os.mkfifo(gate)
    first = checkout.start("doctor", GATE=str(gate))
    opened = open_gate(gate, first)  # pip runs, so the lock is held
    second = checkout.start("doctor")
    assert second.stderr is not None
    assert "waiting for another set-up" in second.stderr.readline()
    opened.write("go\n")
    opened.close()
    assert first.communicate(timeout=60)[0] == "ran lab doctor\n"
    assert second.communicate(timeout=60)[0] == "ran lab doctor\n"
    assert len(checkout.calls) == 1


def test_a_set_up_that_was_killed_is_made_again_after_its_pip_ended(checkout: Checkout) -> None:
    gate = checkout.root.parent / "gate"
    os.mkfifo(gate)
    first = checkout.start("doctor", GATE=str(gate))
    opened = open_gate(gate, first)
    first.send_signal(signal.SIGKILL)
    first.wait()
    second = checkout.start("doctor")
    assert second.stderr is not None
    assert "waiting for another set-up" in second.stderr.readline()
    opened.write("go\n")
    opened.close()
    out, err = second.communicate(timeout=60)
    assert out == "ran lab doctor\n"
    assert "interrupted" in err
    first.communicate()


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
def test_shellcheck_has_nothing_to_say() -> None:
    scripts = [CHECKOUT / "lab.sh", *CHECKOUT.glob("images/*/init")]
    result = subprocess.run(
        ["shellcheck", *map(str, scripts)], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout
