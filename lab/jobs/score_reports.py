# SPDX-License-Identifier: GPL-2.0-only
"""Measure how well logs are read, on a folder of logs with known titles.

A file has headers (`TITLE: `, `FRAME: `, ...), an empty line and the log, the
form of syzkaller's `pkg/report/testdata/linux/report`. Three figures are counted
over the logs of x86-64:

- reported: a log with a title has a report, and a log without one, or whose title
    is of something that no kernel reports (`_NO_REPORT`), has none;
- kind: the first report's kind is one that the title's words allow (`KINDS`);
- function: the title's function is among the first report's three frames. Only
  logs of Linux 5.x and later whose title names a function count.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.errors import UserError
from lab.oracle.console.explain import explain
from lab.oracle.console.reports import Report
from lab.oracle.console.rust_names import identifiers
from lab.words import ReportKind

# The kinds that a title's first words allow; the first match counts. There are several
# kinds where the lab distinguishes more than the title does, or the other way round.
KINDS: tuple[tuple[str, tuple[ReportKind, ...]], ...] = (
    (r"KASAN: ", ("kasan", "general-protection", "page-fault")),
    (r"KFENCE: ", ("kfence",)),
    (r"UBSAN: ", ("ubsan",)),
    (r"K[CM]SAN: ", ("other-splat",)),
    (r"BUG: soft lockup", ("soft-lockup",)),
    (r"INFO: rcu detected stall", ("rcu-stall",)),
    (r"INFO: task (?:hung|can't die)", ("hung-task",)),
    (r"BUG: workqueue lockup", ("wq-lockup",)),
    (r"BUG: workqueue leaked", ("leaked-atomic",)),
    (r"BUG: stack guard page|kernel stack overflow", ("stack-overflow",)),
    (r"BUG: unable to handle|Unable to handle", ("page-fault",)),
    (r"BUG: (?:scheduling|sleeping)", ("sleeping-in-atomic",)),
    (r"BUG: corrupted list", ("list-corruption", "bug")),
    (r"BUG: bad usercopy", ("bug",)),
    (r"possible deadlock|inconsistent lock state|INFO: suspicious RCU", ("lockdep",)),
    (r"INFO: trying to register|BUG: MAX_", ("lockdep",)),
    (r"(?:BUG|WARNING): (?:bad unlock|held lock|lock held|still has|suspicious)", ("lockdep",)),
    (r"(?:BUG|WARNING): (?:nested lock|invalid wait)", ("lockdep",)),
    (r"(?:BUG|INFO): ", ("other-splat",)),
    (r"WARNING", ("warning", "list-corruption", "tx-timeout")),
    (r"kernel BUG", ("bug",)),
    (r"(?:attempt to |index out of bounds)", ("bug",)),
    (r"kernel panic: ", ("panic",)),
    (r"PANIC: double fault", ("double-fault",)),
    (r"general protection fault", ("general-protection",)),
    (r"memory leak", ("memory-leak",)),
    (r"unregister_netdevice", ("netdev-in-use",)),
    (r"VFS: ", ("other-splat",)),
    (r"\w[\w ]*(?:error|fault|opcode)|int3", ("oops",)),
)

# Titles of events that no kernel reports: failures of the programs that ran on it, and a
# silent restart of the machine.
_NO_REPORT = re.compile(r"SYZFAIL|SYZFATAL|go runtime error|panic: |unexpected kernel reboot$")

# Registers and entries that only other architectures have.
_OTHER_MACHINE = re.compile(
    r"\bpstate: |\bx29: ?[0-9a-f]{8}|\bpc : |\blr : |\b(?:el[01]|el0t|__arm64)_\w+|\baarch64\b"
    r"|\b(?:PC|LR) is at |Internal error: .*\bARM\b|Exception stack\(0x|\bxPSR: |qcom,|ARMv[78]"
    r"|\bepc : |\bbadaddr: |\bNIP: |^\[c000[0-9a-f]+\] \[c000|\] \[c000[0-9a-f]{12}\] "
    r"|\bKrnl PSW|\bpsw : |\$ ?0 +: [0-9a-f]{8}|\b__(?:arm|s390|riscv)_sys\w*",
    re.MULTILINE,
)
_THIS_MACHINE = re.compile(r"RIP: 00|entry_SYSCALL_64|\bORIG_RAX|__x64_sys|x86_64")
_RELEASE = re.compile(
    r"(?:Linux version |ainted:?(?: [A-Z ]+)? |^[ \]]*)(?P<major>\d{1,2})\.\d{1,2}(?:\.\d+|-)", re.M
)


@dataclass(frozen=True)
class Sample:
    """One log of the folder, with what its headers say about it."""

    name: str
    title: str
    log: bytes
    functions: tuple[str, ...] = ()
    x86: bool = True
    modern: bool = False

    @property
    def number(self) -> int | None:
        return int(self.name) if self.name.isdigit() else None


@dataclass
class Figure:
    """The number of logs that are right, of those that count, and the names of the others."""

    right: int = 0
    total: int = 0
    wrong: list[str] = field(default_factory=list)

    def count(self, name: str, *, right: bool) -> None:
        self.total += 1
        self.right += right
        if not right:
            self.wrong.append(name)

    @property
    def share(self) -> float:
        return 100 * self.right / self.total if self.total else 0.0


@dataclass
class Score:
    """The three figures over a number of logs."""

    logs: int = 0
    reported: Figure = field(default_factory=Figure)
    kind: Figure = field(default_factory=Figure)
    function: Figure = field(default_factory=Figure)

    def add(self, sample: Sample, reports: list[Report]) -> None:
        self.logs += 1
        wanted = bool(sample.title) and not _NO_REPORT.match(sample.title)
        self.reported.count(sample.name, right=wanted == bool(reports))
        if not wanted or not reports:
            return
        first = reports[0]
        self.kind.count(sample.name, right=first.kind in kinds_of(sample.title))
        if sample.functions and sample.modern:
            known = {_same(name) for name in sample.functions}
            named = {_same(name) for name in (first.function, *first.frames)}
            self.function.count(sample.name, right=bool(known & named))


def read_sample(path: Path) -> Sample:
    """Return the sample in a file."""
    head, _, log = path.read_bytes().replace(b"\r", b"").partition(b"\n\n")
    if path.read_bytes()[:1] == b"\n":
        head, log = b"", path.read_bytes()
    log = log.partition(b"\n\nREPORT:\n")[0]
    headers = head.decode(errors="replace").splitlines()
    title = "".join(_headers(headers, "TITLE: ")[:1])
    text = log.decode(errors="replace")
    release = _RELEASE.search(text)
    return Sample(
        name=path.name,
        title=title,
        log=log,
        functions=tuple(_functions([title, *_headers(headers, "ALT: ")], headers)),
        x86=bool(_THIS_MACHINE.search(text)) or not _OTHER_MACHINE.search(text),
        modern=release is not None and int(release["major"]) >= 5,
    )


def _headers(headers: list[str], name: str) -> list[str]:
    return [line.removeprefix(name) for line in headers if line.startswith(name)]


def _functions(titles: list[str], headers: list[str]) -> Iterator[str]:
    yield from _headers(headers, "FRAME: ")
    for title in titles:
        _, named, names = title.removesuffix(" at addr ADDR").rpartition(" in ")
        if named and names != "corrupted":
            yield from names.split(" / " if " / " in names else "/")


def _same(name: str) -> str:
    """Return the name that two spellings of a function have in common."""
    words = identifiers(name)
    if "::" in name:
        words = [word for word in re.findall(r"\w+", name) if word != "as"]
    if words:
        return "::".join(words)
    name = re.sub(r"^(smp_call_function|synchronize_)(?:s?rcu)?_?\w*$", r"\1", name)
    name = re.sub(r"\.(?:part|isra|constprop|cold)\b.*$", "", name)
    return re.sub(
        r"^(?:__(?:(?:x64|ia32|se|do)_)?(?:compat_)?sys_|SyS_|SYSC_|ksys_|sys_)", "sys_", name
    )


def kinds_of(title: str) -> frozenset[ReportKind]:
    """Return the kinds that a title allows; none if no kernel reports such an event."""
    return next((frozenset(kinds) for words, kinds in KINDS if re.match(words, title)), frozenset())


def score(samples: Iterable[Sample]) -> dict[str, Score]:
    """Return the score of all samples of x86-64, and of the odd and the even numbers."""
    scores = {"all": Score(), "odd": Score(), "even": Score()}
    for sample in samples:
        if not sample.x86:
            continue
        reports = _reports(sample.log)
        scores["all"].add(sample, reports)
        if sample.number is not None:
            scores["odd" if sample.number % 2 else "even"].add(sample, reports)
    return scores


def _reports(log: bytes) -> list[Report]:
    """Return the reports of a log; one in no known form has none."""
    try:
        return list(explain(log).reports)
    except UserError:
        return []


def score_folder(folder: Path) -> dict[str, Score]:
    """Return the scores of the logs in a folder. Raises `UserError` if it has none."""
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder", hint="give the folder with logs and titles")
    files = sorted((path for path in folder.iterdir() if path.is_file()), key=_order)
    scores = score(map(read_sample, files))
    if not scores["all"].logs:
        raise UserError(
            f"{folder} has no logs of x86-64",
            hint="each file has headers such as 'TITLE: ...', an empty line, and the log",
        )
    return scores


def _order(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (-1, path.name)
