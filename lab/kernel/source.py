# SPDX-License-Identifier: GPL-2.0-only
"""Locate, identify, fetch and unpack the source of a kernel."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from lab.cache import Cache, file_digest, key_of
from lab.errors import InfraError, UserError
from lab.host import process
from lab.kernel import apt
from lab.kernel.flavor import DebianSource, Flavor, GitSource, TarballSource
from lab.stages import Stages

# Debian installs source tarballs here.
_DEBIAN_SOURCES = Path("/usr/src")
# 400 MB of register descriptions that only the AMD graphics driver reads;
# without them the tree unpacks in half the time.
_LEFT_OUT = ("*/drivers/gpu/drm/amd/include/asic_reg",)
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Origin:
    """A source that was located. `identity` goes into cache keys.

    `fetch(stages)` makes the source available, and returns a function that unpacks it into a
    folder.
    """

    identity: dict[str, str]
    fetch: Callable[[Stages], Callable[[Path], None]]


def locate(flavor: Flavor, cache: Cache) -> Origin:
    """Return the source that the flavor means now, without downloading it.

    For a git ref at a URL, this asks the server for its commit.
    """
    source = flavor.source
    match source:
        case DebianSource():
            return _debian(source, cache)
        case TarballSource():
            return _tarball(source, flavor.source_home, cache)
        case GitSource():
            return _git(source, flavor.source_home, cache)
    raise ValueError(f"flavor {flavor.name} is not built from source")


def _debian(source: DebianSource, cache: Cache) -> Origin:
    name = source.debian
    installed = apt.installed_version(name)
    tarball = _DEBIAN_SOURCES / f"{name}.tar.xz"
    if installed and tarball.is_file():
        return Origin(
            {"debian": name, "version": installed},
            lambda stages: _finished(stages, lambda folder: untar(tarball, folder)),
        )
    package = apt.resolve(name, cache)

    def fetch(stages: Stages) -> Callable[[Path], None]:
        def download(folder: Path) -> None:
            deb = apt.download(package, folder)
            process.run(["dpkg-deb", "-x", deb, folder / "root"])
            found = folder / "root" / tarball.relative_to("/")
            found.rename(folder / "source.tar.xz")
            shutil.rmtree(folder / "root")
            deb.unlink()

        with stages.stage("fetch"):
            entry = cache.get(
                apt.DOWNLOADS, key_of(deb=package.sha256), download, what=f"download of {name}"
            )
        return lambda folder: untar(entry / "source.tar.xz", folder)

    return Origin({"debian": name, "version": package.version}, fetch)


def _tarball(source: TarballSource, home: Path, cache: Cache) -> Origin:
    url = source.tarball
    remote = urllib.parse.urlparse(url).scheme in ("http", "https", "ftp", "file")
    name = Path(urllib.parse.urlparse(url).path if remote else url).name

    def fetch(stages: Stages) -> Callable[[Path], None]:
        def download(folder: Path) -> None:
            target = folder / name
            _retrieve(url, target, stages)
            _check_digest(target, source)

        if not remote:
            local = home / Path(url).expanduser()
            if not local.is_file():
                raise UserError(f"no tarball at {local}", hint="paths are relative to the flavor")
            with stages.stage("fetch"):
                _check_digest(local, source)
            return lambda folder: untar(local, folder)
        with stages.stage("fetch"):
            entry = cache.get(
                apt.DOWNLOADS, key_of(tarball=source.sha256), download, what=f"download of {name}"
            )
        return lambda folder: untar(next(entry.iterdir()), folder)

    return Origin({"tarball": source.sha256}, fetch)


def _check_digest(path: Path, source: TarballSource) -> None:
    found = file_digest(path)
    if found != source.sha256:
        raise UserError(
            f"{source.tarball}: its SHA-256 is not the one in the flavor",
            details=f"expected {source.sha256}\nfound    {found}",
            hint="if the new file is the one you want, write its SHA-256 into kernel.yaml",
        )


def _retrieve(url: str, target: Path, stages: Stages) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as answer, target.open("wb") as out:
            total = int(answer.headers.get("Content-Length") or 0)
            done = 0
            while chunk := answer.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                stages.progress("fetch", done, total, target.name)
    except (urllib.error.URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        if isinstance(reason, FileNotFoundError) or isinstance(error, urllib.error.HTTPError):
            raise UserError(f"cannot fetch {url}: {reason}", hint="is the address right?") from None
        raise InfraError(f"cannot fetch {url}: {reason}", hint="is the network up?") from None


def _git(source: GitSource, home: Path, cache: Cache) -> Origin:
    remote = source.git
    local = home / Path(remote).expanduser()
    if "://" not in remote and local.is_dir():
        remote = str(local.resolve())
    commit = _commit(remote, source.ref)

    def fetch(stages: Stages) -> Callable[[Path], None]:
        mirror = cache.root / "git" / key_of(git=remote)
        key = key_of(git=remote)
        with stages.stage("fetch"), cache.lock("git", key, what=f"fetch of {source.git}"):
            _fetch_commit(mirror, remote, source.ref, commit)

        def unpack(folder: Path) -> None:
            archive = folder.with_name(folder.name + ".tar")
            git = ["git", f"--git-dir={mirror}"]
            process.run([*git, "archive", "--format=tar", "-o", archive, "--prefix=linux/", commit])
            try:
                untar(archive, folder)
            finally:
                archive.unlink()

        return unpack

    return Origin({"git": commit}, fetch)


def _commit(remote: str, ref: str) -> str:
    if len(ref) == 40 and all(letter in "0123456789abcdef" for letter in ref):
        return ref
    wanted = [ref, f"refs/heads/{ref}", f"refs/tags/{ref}", f"refs/tags/{ref}^{{}}"]
    result = process.run(["git", "ls-remote", remote, *wanted], check=False, timeout=120)
    if not result.ok:
        raise UserError(
            f"cannot read the git repository {remote}",
            details=result.stderr,
            hint="is the address right, and the network up?",
        )
    found = {
        name: commit
        for commit, _, name in (line.partition("\t") for line in result.stdout.splitlines())
    }
    for name in reversed(wanted):  # a tag's commit before the tag's own object
        if name in found:
            return found[name]
    raise UserError(
        f"{remote} has no branch or tag {ref!r}",
        hint="a commit is given with all of its 40 digits",
    )


def _fetch_commit(mirror: Path, remote: str, ref: str, commit: str) -> None:
    git = ["git", f"--git-dir={mirror}"]
    if not (mirror / "HEAD").is_file():
        process.run(["git", "init", "--bare", "--quiet", mirror])
    have = [*git, "cat-file", "-e", f"{commit}^{{commit}}"]
    if process.run(have, check=False).ok:
        return
    # Servers may refuse a bare commit, and a ref may have moved meanwhile.
    for what in (commit, ref):
        shallow = [*git, "fetch", "--quiet", "--depth=1", "--no-tags", remote, what]
        if process.run(shallow, check=False).ok and process.run(have, check=False).ok:
            return
    process.run([*git, "fetch", "--quiet", "--tags", remote, "+refs/heads/*:refs/heads/*"])
    if not process.run(have, check=False).ok:
        raise UserError(f"{remote} has no commit {commit}", hint="was it pushed?")


def _finished(stages: Stages, unpack: Callable[[Path], None]) -> Callable[[Path], None]:
    """Return `unpack`, and report a stage of fetching, although nothing had to be fetched."""
    with stages.stage("fetch"):
        return unpack


def untar(tarball: Path, folder: Path, left_out: Sequence[str] = _LEFT_OUT) -> None:
    """Unpack a source tarball into `folder`, without the top folder that it may have."""
    aside = folder.with_name(folder.name + ".untar")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    reader = ["-I", "xz -d -T0"] if tarball.name.endswith(".xz") else []
    result = process.run(
        [
            "tar", "-x", "--no-same-owner", "-C", aside, *reader,
            *(f"--exclude={pattern}" for pattern in left_out), "-f", tarball,
        ],
        check=False,
    )  # fmt: skip
    if not result.ok:
        shutil.rmtree(aside)
        raise UserError(
            f"cannot unpack {tarball}", details=result.stderr, hint="is the file complete?"
        )
    found = list(aside.iterdir())
    top = found[0] if len(found) == 1 and found[0].is_dir() else aside
    if not (top / "Makefile").is_file():
        shutil.rmtree(aside)
        raise UserError(f"{tarball} has no kernel source", hint="it needs a Makefile at its top")
    top.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
