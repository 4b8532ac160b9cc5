# SPDX-License-Identifier: GPL-2.0-only
"""Test the loader and the triggers on the host, without loading BPF programs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lab.cache import Cache
from lab.errors import UserError
from lab.extension import loader_build
from lab.runner.catalog import catalog_of
from lab.workspace import CHECKOUT, Workspace

# Run the trigger with these words, and return its answer.
Pull = Callable[..., dict[str, Any]]

SECONDS = 60  # far more than any of this takes

# Each verb with its required and its optional keys.
VERBS = {
    "load": "handle path",
    "unload": "handle",
    "attach": "handle program",
    "detach": "handle program",
    "run": "handle program",
    "read": "handle map",
    "write": "handle map value",
    "stats": "handle",
    "pin": "handle path",
    "unpin": "path",
    "inventory": "sources",
}

Serve = Callable[[bytes], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    return Cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def kextload(cache: Cache) -> Path:
    return loader_build.build_loader(Workspace.default(), cache)


@pytest.fixture(scope="module")
def kexttrigger(kextload: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    link = tmp_path_factory.mktemp("bin") / "kexttrigger"
    link.symlink_to(kextload)
    return link


@pytest.fixture(scope="module")
def serve(kextload: Path) -> Serve:
    """Send lines to `kextload serve`, close its input, return its answers without the greeting."""

    def serve(data: bytes) -> list[dict[str, Any]]:
        done = subprocess.run(
            [kextload, "serve"], input=data, capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 0, done.stderr
        greeting, *answers = [json.loads(line) for line in done.stdout.split(b"\n")[:-1]]
        assert greeting["hello"] == "kextload"
        assert greeting["protocol"] == 1
        return answers

    return serve


def free_port(protocol: str) -> int:
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class TestBuild:
    def test_static_stripped_and_small(self, kextload: Path) -> None:
        data = kextload.read_bytes()
        assert os.access(kextload, os.X_OK)
        assert len(data) < 3 << 20
        assert b"/lib64/ld-linux" not in data  # no dynamic linker
        assert b".symtab" not in data
        assert str(Workspace.default().loader).encode() not in data

    def test_the_same_bytes_twice(self, kextload: Path, tmp_path: Path) -> None:
        assert (
            loader_build.build_loader(Workspace.default(), Cache(tmp_path)).read_bytes()
            == kextload.read_bytes()
        )

    def test_nothing_is_built_twice(self, cache: Cache, kextload: Path) -> None:
        seen: list[object] = []
        assert loader_build.build_loader(Workspace.default(), cache, seen.append) == kextload
        assert seen == []

    def test_another_source_is_another_program(
        self, cache: Cache, kextload: Path, tmp_path: Path
    ) -> None:
        other = Workspace.at(tmp_path)
        shutil.copytree(Workspace.default().loader, other.loader)
        with (other.loader / "frame.h").open("a") as header:
            header.write("/* changed */\n")
        assert loader_build.build_loader(other, cache) != kextload

    def test_a_missing_library_is_named(
        self, cache: Cache, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = loader_build._archive
        monkeypatch.setattr(
            loader_build, "_archive", lambda name: None if name == "elf" else found(name)
        )
        with pytest.raises(UserError, match=r"no static libelf\.a") as caught:
            loader_build.build_loader(Workspace.default(), cache)
        assert "libelf-dev" in caught.value.hint

    def test_no_warnings(self) -> None:
        done = subprocess.run(
            [
                "gcc",
                *loader_build.FLAGS,
                "-Werror",
                "-fsyntax-only",
                *Workspace.default().loader.glob("*.c"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


class TestCommands:
    def test_each_line_has_its_answer_in_order(self, serve: Serve) -> None:
        lines = [f"unload handle=h{number}" for number in range(200)]
        answers = serve("\n".join(lines).encode() + b"\n")
        assert [answer["error"] for answer in answers] == [
            f"nothing is loaded as h{number}" for number in range(200)
        ]

    @pytest.mark.parametrize("verb", VERBS)
    def test_each_missing_key_is_named(self, serve: Serve, verb: str) -> None:
        needed = VERBS[verb].split()
        for key in needed:
            given_keys = " ".join(f"{other}=x" for other in needed if other != key)
            (answer,) = serve(f"{verb} {given_keys}\n".encode())
            assert (answer["ok"], answer["errname"]) == (False, "EINVAL")
            assert answer["error"] == f"{verb} needs the key {key}"

    @pytest.mark.parametrize("verb", [*VERBS, "list", "quit"])
    def test_a_key_that_a_verb_does_not_take(self, serve: Serve, verb: str) -> None:
        (answer,) = serve(f"{verb} nonsense=1\n".encode())
        assert answer["error"] == f"{verb} does not take the key nonsense"

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("", "an empty command"),
            ("   \t ", "an empty command"),
            ("dance", "unknown verb dance"),
            ("list x", '"x" is not key=value'),
            ("list =x", '"=x" is not key=value'),
            ("unload handle=a handle=b", "the key handle is there twice"),
            ("unload handle=%4", "bad percent-encoding in the value of handle"),
            ("unload handle=%zz", "bad percent-encoding in the value of handle"),
            ("unload handle=%00", "bad percent-encoding in the value of handle"),
            ("list " + " ".join(f"k{n}=1" for n in range(17)), "more than 16 keys"),
            ("read handle=a map=m", "nothing is loaded as a"),
            ("unpin path=/nowhere/at/all", "/nowhere/at/all: No such file or directory"),
        ],
    )
    def test_bad_lines(self, serve: Serve, line: str, says: str) -> None:
        answers = serve(f"{line}\nlist\n".encode())
        assert [answer["ok"] for answer in answers] == [False, True]
        assert answers[0]["error"] == says

    def test_files_that_are_no_objects(self, serve: Serve, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("hello")
        (tmp_path / "empty").write_bytes(b"")
        (tmp_path / "cut").write_bytes(b"\x7fELF\x02\x01\x01" + bytes(60))
        (tmp_path / "folder").mkdir()
        for name in ("text", "empty", "cut", "folder", "missing"):
            (answer,) = serve(f"load handle=a path={tmp_path}/{name}\n".encode())
            assert (answer["ok"], answer["stage"]) == (False, "open")
            assert answer["error"].startswith(f"{tmp_path}/{name}: not opened as a BPF object: ")

    def test_a_line_that_is_too_long_costs_one_error(self, serve: Serve) -> None:
        long = b"unload handle=" + b"x" * (3 << 20)
        answers = serve(b"list\n" + long + b"\nlist\n")
        assert [answer["ok"] for answer in answers] == [True, False, True]
        assert answers[1]["errname"] == "E2BIG"

    def test_a_nul_does_not_hide_the_rest(self, serve: Serve) -> None:
        answers = serve(b"list\0 handle=a\nlist\n")
        assert [answer["ok"] for answer in answers] == [False, True]

    def test_an_unfinished_line_is_no_command(self, serve: Serve) -> None:
        assert serve(b"list\nunload handle=a") == [{"ok": True, "handles": []}]

    def test_quit_leaves_the_rest(self, serve: Serve) -> None:
        assert serve(b"quit\nlist\n") == [{"ok": True}]

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        text=st.text(
            st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=100
        )
    )
    @example(text='"\\/\b\f\n\r\t\x1f\x7f\x80é€😀')
    @example(text=" = % key=value ")
    def test_text_comes_back_as_it_was(self, serve: Serve, text: str) -> None:
        (answer,) = serve(f"unload handle={quote(text, safe='')}\n".encode())
        assert answer["error"] == f"nothing is loaded as {text}"

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(lines=st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b" ")), max_size=8))
    @example(lines=[b"unload handle=\xff\xc3", b"unload handle=\xed\xa0\x80", b"\xf5\x80\x80\x80"])
    def test_any_bytes_get_one_json_line_each(self, serve: Serve, lines: list[bytes]) -> None:
        harmless = [line for line in lines if line.split()[:1] != [b"quit"]]
        answers = serve(b"".join(line + b"\n" for line in harmless))
        assert len(answers) == len(harmless)
        assert not any(answer["ok"] for answer in answers if "handles" not in answer)

    def test_bytes_that_are_no_utf8_are_marked(self, serve: Serve) -> None:
        (answer,) = serve(b"unload handle=a%ff%fe%c3b\n")
        assert answer["error"] == "nothing is loaded as a\ufffd\ufffd\ufffdb"


class TestLife:
    def test_ends_on_sigterm(self, kextload: Path) -> None:
        with subprocess.Popen(
            [kextload, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert json.loads(child.stdout.readline())["ok"]
            child.send_signal(signal.SIGTERM)
            assert child.wait(SECONDS) == 0

    def test_ends_when_nobody_reads(self, kextload: Path) -> None:
        with subprocess.Popen(
            [kextload, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            child.stdout.close()
            child.stdin.write(b"list\n")
            child.stdin.flush()
            assert child.wait(SECONDS) == 0

    def test_answers_before_more_input_comes(self, kextload: Path) -> None:
        with subprocess.Popen(
            [kextload, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as child:
            assert child.stdout is not None
            assert child.stdin is not None
            child.stdout.readline()
            for part in (b"li", b"st", b"\nlist\nli"):
                child.stdin.write(part)
                child.stdin.flush()
            for _ in range(2):
                assert json.loads(child.stdout.readline()) == {"ok": True, "handles": []}
            child.stdin.write(b"st\n")
            child.stdin.close()
            assert json.loads(child.stdout.readline()) == {"ok": True, "handles": []}

    @pytest.mark.parametrize("words", [[], ["nonsense"], ["serve", "more"], ["bpf-objects", "x"]])
    def test_usage(self, kextload: Path, words: list[str]) -> None:
        done = subprocess.run([kextload, *words], capture_output=True, timeout=SECONDS, check=False)
        assert done.returncode == 2
        assert json.loads(done.stdout)["error"].startswith("usage: ")

    def test_version(self, kextload: Path) -> None:
        answer = json.loads(subprocess.check_output([kextload, "version"], timeout=SECONDS))
        assert answer["protocol"] == 1
        assert answer["libbpf"][0].isdigit()


class TestInventory:
    """Sources that need no privilege: each is read, absent, or a bad command."""

    @pytest.fixture
    def ask(self, kextload: Path) -> Callable[[str], dict[str, Any]]:
        def ask(lines: str) -> dict[str, Any]:
            done = subprocess.run(
                [kextload, "inventory"],
                input=lines.encode(),
                capture_output=True,
                timeout=SECONDS,
                check=False,
            )
            answer = json.loads(done.stdout)
            assert done.returncode == (0 if answer["ok"] else 1)
            return dict(answer)

        return ask

    def test_a_file_is_its_text(self, ask: Callable[[str], Any], tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"1 mem\n\xff\n")
        answer = ask(f"file name=devices path={tmp_path}/file\n")
        assert answer["sources"] == [{"name": "devices", "text": "1 mem\n\ufffd\n"}]
        assert answer["seconds"] >= 0

    def test_what_is_not_there_is_absent_and_no_error(self, ask: Callable[[str], Any]) -> None:
        answer = ask("file name=a path=/none\ntree name=b path=/none\n")
        assert answer["sources"] == [
            {"name": "a", "absent": "/none: No such file or directory"},
            {"name": "b", "absent": "/none: No such file or directory"},
        ]

    def test_a_tree_has_its_folders(self, ask: Callable[[str], Any], tmp_path: Path) -> None:
        for folder in ("1/below", "a/b/c", "skipped/x", "17"):
            (tmp_path / folder).mkdir(parents=True)
        (tmp_path / "a" / "file\n").write_text("")
        (tmp_path / "a" / "link").symlink_to("b")
        line = f"tree name=t path={tmp_path} depth=2 pids=1 links=1 skip={tmp_path}/skipped\n"
        (source,) = ask(line)["sources"]
        found = {folder: sorted(names) for folder, names in source["folders"].items()}
        assert found == {
            f"{tmp_path}": ["a"],
            f"{tmp_path}/a": ["b", "file\n", "link -> b"],
            f"{tmp_path}/a/b": ["c"],
        }

    def test_only_known_folders_are_listed(self, ask: Callable[[str], Any], tmp_path: Path) -> None:
        for folder in ("known/below", "new/below"):
            (tmp_path / folder).mkdir(parents=True)
        line = f"tree name=t path={tmp_path} depth=9 only={tmp_path},{tmp_path}/known\n"
        (source,) = ask(line)["sources"]
        assert sorted(source["folders"]) == [f"{tmp_path}", f"{tmp_path}/known"]
        assert sorted(source["folders"][f"{tmp_path}"]) == ["known", "new"]

    def test_an_entry_has_its_inode_or_its_count(
        self, ask: Callable[[str], Any], tmp_path: Path
    ) -> None:
        (tmp_path / ":64").mkdir()
        (tmp_path / ":64" / "aliases").write_text("3\n")
        inode = (tmp_path / ":64").stat().st_ino
        answer = ask(
            f"tree name=i path={tmp_path} inodes=1\ntree name=c path={tmp_path} count=aliases\n"
        )
        assert [one["folders"][f"{tmp_path}"] for one in answer["sources"]] == [
            [f"{inode} :64"],
            [":64 = 3"],
        ]

    def test_tasks_leave_the_asking_process_out(self, ask: Callable[[str], Any]) -> None:
        (source,) = ask("tasks name=tasks\n")["sources"]
        assert source["entries"]
        assert all(entry.split(" ")[0] in ("kernel", "user") for entry in source["entries"])
        assert not [entry for entry in source["entries"] if entry.endswith(" kextload")]

    @pytest.mark.parametrize(
        "line", ["nonsense name=x", "file name=x", "tree path=/", "file name=x path=/ more=1"]
    )
    def test_bad_lines(self, ask: Callable[[str], Any], line: str) -> None:
        answer = ask(f"{line}\n")
        assert answer["ok"] is False
        assert answer["stage"] == "command"

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        verb=st.sampled_from(["chain", "ring", "array", "probes", "references", "resources"]),
        numbers=st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6),
    )
    def test_no_address_does_harm(
        self, ask: Callable[[str], Any], verb: str, numbers: list[int]
    ) -> None:
        keys = {
            "chain": "at next show",
            "ring": "at link show",
            "array": "at count stride show",
            "probes": "at count stride funcs",
            "references": "at link show count",
            "resources": "at",
        }[verb].split()
        words = " ".join(f"{key}={number:#x}" for key, number in zip(keys, numbers, strict=False))
        (source,) = ask(f"{verb} name=x {words}\n")["sources"]
        assert "absent" in source or "nodes" in source

    def test_the_loader_takes_it_as_well(self, serve: Serve, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("text")
        lines = quote(f"file name=f path={tmp_path}/file\nfile name=g path=/none\n", safe="")
        first, second = serve(f"inventory sources={lines}\ninventory sources=bad\n".encode())
        assert [one["name"] for one in first["sources"]] == ["f", "g"]
        assert second["ok"] is False


class TestAlive:
    def test_every_cpu_answers_with_the_nonce(self, kextload: Path) -> None:
        nonce = 'n"\\once'
        out = subprocess.check_output([kextload, "alive", nonce, "30000"], timeout=SECONDS)
        *echoes, summary = [json.loads(line) for line in out.splitlines()]
        assert summary["ok"] is True
        assert summary["missing"] == []
        assert [echo["cpu"] for echo in echoes] == summary["cpus"]
        assert len(summary["cpus"]) >= 1
        assert {echo["nonce"] for echo in echoes} == {nonce}

    @pytest.mark.parametrize("words", [[], ["n", "x"], ["n", "-1"], ["n", "1", "2"], ["n" * 300]])
    def test_bad_words(self, kextload: Path, words: list[str]) -> None:
        done = subprocess.run(
            [kextload, "alive", *words], capture_output=True, timeout=SECONDS, check=False
        )
        assert done.returncode == 1
        assert json.loads(done.stdout)["ok"] is False


class TestTriggers:
    @pytest.fixture
    def pull(self, kexttrigger: Path) -> Pull:
        def pull(*words: str) -> dict[str, Any]:
            done = subprocess.run(
                [kexttrigger, *words], capture_output=True, timeout=SECONDS, check=False
            )
            answer = json.loads(done.stdout)
            assert done.returncode == (0 if answer["ok"] else 1)
            return dict(answer)

        return pull

    @pytest.mark.parametrize("name", catalog_of(Workspace.default()).syscalls)
    def test_every_system_call_of_the_table(self, pull: Pull, name: str) -> None:
        assert pull("syscall", name, "times=3")["done"] == 3

    @pytest.mark.parametrize(
        "words",
        [
            ["pagefault", "times=100"],
            ["pagefault", "cpu=0"],
            ["spin", "ms=1"],
            ["syscall", "getpid", "cpu=0", "times=5"],
        ],
    )
    def test_others(self, pull: Pull, words: list[str]) -> None:
        answer = pull(*words)
        assert answer["ok"]
        assert answer["done"] >= 1
        assert answer["seconds"] >= 0

    def test_packets_arrive(self, pull: Pull) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            listener.settimeout(SECONDS)
            port = listener.getsockname()[1]
            assert pull("packets", "dev=lo", "times=3", "size=70", f"port={port}")["done"] == 3
            for _ in range(3):
                assert listener.recv(2000) == bytes(range(70))

    @pytest.mark.parametrize("protocol", ["udp", "tcp"])
    @pytest.mark.parametrize("size", [16, 64, 65_000])
    def test_packets_that_arrive_are_counted(self, pull: Pull, protocol: str, size: int) -> None:
        words = (f"protocol={protocol}", f"size={size}", f"port={free_port(protocol)}")
        answer = pull("packets", "dev=lo", "receive=1", "times=40", *words)
        assert (answer["done"], answer["received"]) == (40, 40)

    def test_a_port_that_somebody_else_receives_from_is_refused(self, pull: Pull) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            answer = pull("packets", "dev=lo", "receive=1", f"port={port}")
        assert answer["error"] == f"no receiver on 127.0.0.1, port {port}: Address already in use"

    @pytest.mark.parametrize(
        ("words", "says"),
        [
            ([], "usage: "),
            (["dance"], "usage: "),
            (["syscall"], "usage: "),
            (["syscall", "times=3"], "usage: "),
            (["syscall", "reboot"], "no system call reboot in the table"),
            (["syscall", "getpid", "3"], '"3" is not key=value'),
            (["syscall", "getpid", "times=0"], "times=0: not a whole number from 1"),
            (["syscall", "getpid", "times=-1"], "times=-1: not a whole number from 1"),
            (["syscall", "getpid", "cpu=1023"], "not bound to CPU 1023"),
            (["packets"], "packets needs the key dev"),
            (["packets", "dev=nosuchdev0"], "nosuchdev0: No such device"),
            (["packets", "dev=a-name-that-is-too-long"], "no device a-name-that-is-too-long"),
            (["packets", "dev=lo", "protocol=tcp"], "protocol= needs receive=1"),
            (["packets", "dev=lo", "receive=1", "protocol=ip"], "protocol=ip: tcp or udp"),
            (["packets", "dev=lo", "receive=1", "size=15"], "size=15: not a whole number from 16"),
            (["packets", "dev=lo", "receive=1", "to=10"], "to=10: no IPv4 address"),
            (["packets", "dev=lo", "receive=1", "netns=/nosuch"], "network namespace /nosuch: No"),
            (["packets", "dev=nosuchdev0", "receive=1"], "nosuchdev0: No such device"),
            (["spin"], "spin needs the key ms"),
        ],
    )
    def test_bad_words(self, pull: Pull, words: list[str], says: str) -> None:
        assert pull(*words)["error"].startswith(says)


def test_the_sources_stay_readable() -> None:
    sources = CHECKOUT / "extensions"
    for path in [*(sources / "loader").iterdir(), *(sources / "c").glob("*.[ch]")]:
        lines = path.read_text().splitlines()
        assert "SPDX-License-Identifier: GPL-2.0-only" in lines[0], path
        assert len(lines) < 400, path
