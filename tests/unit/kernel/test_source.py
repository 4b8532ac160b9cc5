# SPDX-License-Identifier: GPL-2.0-only
"""Sources: tarballs by path and URL, git repositories, Debian's packages; patches on them."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.fake_kernel import exit_status, write_flavor, write_source, write_tarball

from lab.cache import Cache
from lab.deadline import Deadline
from lab.errors import InfraError, UserError
from lab.events import Event, StageProgress
from lab.host import process
from lab.host.process import Finished, kill_session, run, spawn
from lab.kernel import apt, patches, source
from lab.kernel.build import build_kernel, make_plan
from lab.kernel.flavor import load_flavor
from lab.workspace import Workspace

IDENTITY = {
    "GIT_AUTHOR_NAME": "a",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@b",
}


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def git(folder: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", folder, *words],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **IDENTITY},
    ).stdout.strip()


def test_a_tarball_by_url(tmp_path: Path, cache: Cache) -> None:
    tarball, digest = write_tarball(tmp_path / "served")
    folder = write_flavor(
        tmp_path, source=f"source: {{tarball: 'file://{tarball}', sha256: {digest}}}\n"
    )
    kernel = build_kernel(load_flavor(Workspace(), folder), cache)
    assert kernel.release == "6.99.0-fake"
    tarball.unlink()  # it was kept
    (folder / "10-all.config").write_text("CONFIG_NET=y\n")
    build_kernel(load_flavor(Workspace(), folder), cache)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder; yield it and its address."""
    folder = tmp_path / "web"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        pass


def test_a_tarball_from_a_server_is_fetched_with_progress(
    tmp_path: Path, cache: Cache, web: tuple[Path, str]
) -> None:
    folder, address = web
    tarball, digest = write_tarball(folder)
    source = f"source: {{tarball: '{address}/{tarball.name}', sha256: {digest}}}\n"
    seen: list[Event] = []
    flavor = load_flavor(Workspace(), write_flavor(tmp_path, source=source))
    assert build_kernel(flavor, cache, seen.append).release == "6.99.0-fake"
    size = tarball.stat().st_size
    fetched = [e for e in seen if isinstance(e, StageProgress) and e.stage == "fetch"]
    assert (fetched[-1].done, fetched[-1].total) == (size, size)


def test_a_tarball_that_the_server_does_not_have(
    tmp_path: Path, cache: Cache, web: tuple[Path, str]
) -> None:
    text = f"source: {{tarball: '{web[1]}/none.tar', sha256: '{'0' * 64}'}}\n"
    with pytest.raises(UserError, match=r"cannot fetch .*/none\.tar: File not found"):
        build_kernel(load_flavor(Workspace(), write_flavor(tmp_path, source=text)), cache)


@pytest.mark.parametrize("scheme", ["file://", ""])
def test_a_tarball_with_another_digest_is_refused(
    tmp_path: Path, cache: Cache, scheme: str
) -> None:
    tarball, digest = write_tarball(tmp_path / "served")
    wrong = "0" * 64
    folder = write_flavor(
        tmp_path, source=f"source: {{tarball: '{scheme}{tarball}', sha256: '{wrong}'}}\n"
    )
    with pytest.raises(UserError, match="SHA-256 is not the one in the flavor") as caught:
        build_kernel(load_flavor(Workspace(), folder), cache)
    assert f"expected {wrong}" in caught.value.details
    assert f"found    {digest}" in caught.value.details


def test_a_tarball_that_is_not_there(tmp_path: Path, cache: Cache) -> None:
    for name, path in (("one", "nowhere.tar"), ("two", "file:///nowhere.tar")):
        text = f"source: {{tarball: '{path}', sha256: '{'0' * 64}'}}\n"
        with pytest.raises(UserError, match=r"nowhere\.tar"):
            build_kernel(load_flavor(Workspace(), write_flavor(tmp_path, name, source=text)), cache)


def test_a_server_that_does_not_answer_is_no_mistake_of_the_user(
    tmp_path: Path, cache: Cache
) -> None:
    # No server listens on port 9 of the loopback.
    text = f"source: {{tarball: 'http://127.0.0.1:9/x.tar', sha256: '{'0' * 64}'}}\n"
    with pytest.raises(InfraError, match=r"cannot fetch http://127\.0\.0\.1:9/x\.tar"):
        build_kernel(load_flavor(Workspace(), write_flavor(tmp_path, source=text)), cache)


def test_a_file_that_is_no_tarball(tmp_path: Path) -> None:
    broken = tmp_path / "x.tar.xz"
    broken.write_text("not a tarball")
    with pytest.raises(UserError, match=r"cannot unpack .*x\.tar\.xz"):
        source.untar(broken, tmp_path / "tree")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.tar.xz"]


def test_a_tarball_without_a_kernel(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    subprocess.run(["tar", "-cf", tmp_path / "x.tar", "-C", tmp_path, "a"], check=True)
    with pytest.raises(UserError, match="has no kernel source"):
        source.untar(tmp_path / "x.tar", tmp_path / "tree")


def test_a_git_branch_tag_and_commit(tmp_path: Path, cache: Cache) -> None:
    repository = write_source(tmp_path / "repository")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    git(repository, "tag", "-a", "v1", "-m", "first")
    first = git(repository, "rev-parse", "HEAD")
    (repository / "kernel/exit.c").write_text("int leave(int code)\n{\n\treturn code + 41;\n}\n")
    git(repository, "commit", "-qam", "two")

    def flavor(name: str, ref: str) -> Path:
        text = f"source: {{git: ../repository, ref: {ref}}}\n"
        return write_flavor(tmp_path, name, source=text)

    branch = build_kernel(load_flavor(Workspace(), flavor("branch", "main")), cache)
    assert branch.vmlinux is not None
    assert b"0x29" in exit_status(branch.vmlinux)
    for name, ref in (("tag", "v1"), ("commit", first)):
        kernel = build_kernel(load_flavor(Workspace(), flavor(name, ref)), cache)
        assert kernel.vmlinux is not None
        assert b"0x29" not in exit_status(kernel.vmlinux)


def test_a_repository_that_is_served(tmp_path: Path, cache: Cache) -> None:
    repository = write_source(tmp_path / "served" / "linux")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    daemon = spawn(
        ["git", "daemon", "--listen=127.0.0.1", f"--port={port}", "--export-all",
         f"--base-path={tmp_path / 'served'}"],
    )  # fmt: skip
    url = f"git://127.0.0.1:{port}/linux"
    try:
        answers = ["git", "ls-remote", url]
        Deadline(30).poll(lambda: run(answers, check=False).ok, "git daemon")
        for name, ref in (("branch", "main"), ("commit", git(repository, "rev-parse", "HEAD"))):
            folder = write_flavor(tmp_path, name, source=f"source: {{git: '{url}', ref: {ref}}}\n")
            assert build_kernel(load_flavor(Workspace(), folder), cache).release == f"6.99.0-{name}"
    finally:
        kill_session(daemon)
        daemon.wait()


def test_a_branch_that_moved_is_another_kernel(tmp_path: Path, cache: Cache) -> None:
    repository = write_source(tmp_path / "repository")
    git(repository, "init", "-q", "-b", "main")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "one")
    text = f"source: {{git: 'file://{repository}', ref: main}}\n"
    folder = write_flavor(tmp_path, source=text)
    before = build_kernel(load_flavor(Workspace(), folder), cache).key
    git(repository, "commit", "-q", "--allow-empty", "-m", "two")
    assert build_kernel(load_flavor(Workspace(), folder), cache).key != before


def test_git_mistakes_are_named(tmp_path: Path, cache: Cache) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    git(repository, "init", "-q")
    for name, url, ref, message in (
        ("one", "../repository", "nope", "no branch or tag 'nope'"),
        ("two", "../elsewhere", "main", "cannot read the git repository ../elsewhere"),
        ("three", "../repository", "0" * 40, "has no commit 0000"),
    ):
        folder = write_flavor(tmp_path, name, source=f"source: {{git: {url}, ref: '{ref}'}}\n")
        with pytest.raises(UserError, match=message):
            build_kernel(load_flavor(Workspace(), folder), cache)


def fake_apt(
    monkeypatch: pytest.MonkeyPatch, answers: dict[str, str]
) -> Callable[[], list[list[str]]]:
    """Make apt answer from the table, by its second word; return the list of its calls."""
    calls: list[list[str]] = []
    real = process.run

    def run(argv: list[str], **options: Any) -> Finished:
        if argv[0] == "dpkg":
            return real(argv, **options)
        calls.append([str(word) for word in argv])
        text = answers.get(argv[1], "")
        return Finished(tuple(calls[-1]), 0 if text else 100, text, "")

    monkeypatch.setattr(process, "run", run)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    return lambda: calls


def stanza(name: str, version: str) -> str:
    return f"Package: {name}\nVersion: {version}\nSHA256: {version}\nDescription: x\n y\n\n"


KERNELS = ["linux-image-6.12.9+deb12-cloud-amd64", "linux-image-6.12.117+deb12-cloud-amd64"]


def test_the_newest_package_that_fits_is_taken(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    lists = tmp_path / "lists"
    lists.mkdir()
    monkeypatch.setattr(apt, "LISTS", lists)
    names = [*KERNELS, KERNELS[1] + "-unsigned", KERNELS[1] + "-dbg", "linux-image-6.12-amd64"]
    calls = fake_apt(
        monkeypatch,
        {
            "pkgnames": "\n".join(names),
            "show": stanza(KERNELS[1], "6.12.117-1") + stanza(KERNELS[0], "6.12.9-1"),
        },
    )
    found = apt.resolve("linux-image-6.12.*-cloud-amd64", cache)
    assert found == apt.Package(KERNELS[1], "6.12.117-1", "6.12.117-1")
    assert calls()[1][3:] == sorted(KERNELS)

    # The answer is valid until the lists change.
    asked = len(calls())
    assert apt.resolve("linux-image-6.12.*-cloud-amd64", cache) == found
    assert len(calls()) == asked
    os.utime(lists, ns=(1, 1))
    assert apt.resolve("linux-image-6.12.*-cloud-amd64", cache) == found
    assert len(calls()) > asked


def test_without_lists_the_last_answer_holds_and_without_one_the_way_out_is_told(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "LISTS", tmp_path / "none")
    fake_apt(monkeypatch, {})
    with pytest.raises(UserError, match=r"apt knows no package linux-source-6\.12") as caught:
        apt.resolve("linux-source-6.12", cache)
    assert "apt-get update" in caught.value.hint
    known = stanza("linux-source-6.12", "6.12.1-1")
    fake_apt(monkeypatch, {"pkgnames": "linux-source-6.12\n", "show": known})
    found = apt.resolve("linux-source-6.12", cache)
    fake_apt(monkeypatch, {})
    assert apt.resolve("linux-source-6.12", cache) == found


def test_debians_source_is_taken_where_it_is_installed(
    tmp_path: Path, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    tarball, _ = write_tarball(tmp_path / "usr-src")
    # Debian uses xz; tar recognizes it by the name.
    packed = tarball.with_name("linux-source-6.12.tar.xz")
    subprocess.run(f"zcat {tarball} | xz > {packed}", shell=True, check=True)
    monkeypatch.setattr(source, "_DEBIAN_SOURCES", tarball.parent)
    monkeypatch.setattr(apt, "installed_version", lambda name: "6.12.1-1")
    folder = write_flavor(tmp_path, source="source: {debian: linux-source-6.12}\n")
    before = make_plan(load_flavor(Workspace(), folder), cache).key
    assert build_kernel(load_flavor(Workspace(), folder), cache).release == "6.99.0-fake"
    monkeypatch.setattr(apt, "installed_version", lambda name: "6.12.2-1")
    assert make_plan(load_flavor(Workspace(), folder), cache).key != before


def test_a_patch_for_a_file_that_is_not_there(tmp_path: Path) -> None:
    patch = tmp_path / "1.patch"
    patch.write_text("--- a/nowhere.c\n+++ b/nowhere.c\n@@ -1,1 +1,1 @@\n-a\n+b\n")
    with pytest.raises(UserError, match=r"patch 1\.patch does not apply") as caught:
        patches.apply([patch], tmp_path)
    assert "nowhere.c: No such file" in caught.value.details


def test_hunks_that_fit_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("".join(f"{n}\n" for n in range(1, 41)))
    patch = tmp_path / "1.patch"
    patch.write_text(
        "--- a/a\n+++ b/a\n@@ -1,3 +1,3 @@\n 1\n-2\n+two\n 3\n"
        "@@ -20,3 +20,3 @@\n 20\n-XX\n+x\n 22\n@@ -30,3 +30,3 @@\n 30\n-YY\n+y\n 32\n"
    )
    with pytest.raises(UserError, match="hunk #2 of a") as caught:
        patches.apply([patch], tmp_path)
    assert "a: hunk #2 does not apply\n    @@ -20,3 +20,3 @@" in caught.value.details
    assert "a: hunk #3 does not apply\n    @@ -30,3 +30,3 @@" in caught.value.details
    assert "hunk #1" not in caught.value.details


def test_patches_apply_inside_of_somebodys_repository(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    tree = tmp_path / "cache" / "tree"
    tree.mkdir(parents=True)
    (tree / "a").write_text("1\n")
    patch = tmp_path / "1.patch"
    patch.write_text("--- a/a\n+++ b/a\n@@ -1 +1 @@\n-1\n+2\n")
    patches.apply([patch], tree)
    assert (tree / "a").read_text() == "2\n"
