# SPDX-License-Identifier: GPL-2.0-only
"""Find the function that a report is about: the first on its stack that is not machinery.

`lab.oracle.console.skips` lists the machinery. A report may have more stacks: those that
allocated and freed an object, or that took a lock before. They belong to other
code and count only if the report has no stack of its own.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field

from lab.oracle.console import skips

_OFFSET = r"\+0x[0-9a-f]+(?:/0x[0-9a-f]+)?"
# A Rust symbol that a tool has demangled also has spaces, colons and angle brackets.
_NAME = r"(?P<name>[\w.$]+|<?[\w<][^+]{0,200}?::[^+]{1,200})"
_SYMBOL = rf"{_NAME}{_OFFSET}(?: \[(?P<module>[\w-]+)(?: [0-9a-f]+)?\])?"
_ADDRESS = r"\[<(?:0x)?[0-9a-f]+>\]"
_FRAME = re.compile(rf"^(?:\s+|\s*{_ADDRESS}\s+)(?:\((?:e|r)\w+\)\s+)?(?P<doubt>\? )?{_SYMBOL}")
# A line that a symboliser inserts: a function that was inlined into the next frame.
_INLINED = re.compile(r"^\s*(?P<doubt>\? )?(?P<name>[\w.$]+) \S+:\d+ \[inline\]$")
# Segment 0010 is the kernel's; 0033 is where a program was interrupted.
_POINTER = re.compile(
    rf"^RIP: (?:e030|0010):\s*(?:{_ADDRESS}\s+)*(?:{_SYMBOL}|(?P<bare>0x[0-9a-f]+))"
)
_OLD_POINTER = re.compile(rf"^E?IP: (?:{_ADDRESS}\s+)?{_SYMBOL}")
_INLINED_POINTER = re.compile(r"^RIP: 0010:(?P<name>[\w.$]+) \S+:\d+ \[inline\]")

# First lines that name the function.
_WARNED = re.compile(
    rf"^WARNING: (?:CPU: \d+ PID: \d+ )?(?:at )?(?:\[.*\] )?(?:\S+:\d+ )?(?:at )?{_SYMBOL}"
)
_SANITIZER = re.compile(rf"^BUG: K(?:ASAN|FENCE|CSAN|MSAN): .*? in (?:{_ADDRESS}\s+)?{_SYMBOL}")
_SANITIZER_INLINED = re.compile(
    r"^BUG: K(?:ASAN|FENCE|CSAN|MSAN): .*? in (?P<name>[\w.$]+) \S+:\d+(?: \[inline\])?$"
)
_CALLER = re.compile(rf"^(?:caller is|last function:|CSD function:)\s+{_SYMBOL}")
_RACE = re.compile(r"^BUG: KCSAN: [\w-]+ in ([\w.$]+)(?: / ([\w.$]+))?")
_ACQUIRING = re.compile(rf"\bat: (?:{_ADDRESS}\s+)?{_SYMBOL}")
_LAST_FUNCTION = re.compile(r"^.*(?:workfn=|last function: )(?P<name>[\w.$]+)")
_CSD = re.compile(rf"^.*csd: .* for CPU#\d+ {_SYMBOL}\(")
# The kernel's word for memory that a module's function left at the module's unload.
_LEFT_AT_UNLOAD = re.compile(r"^\S+:\d+ module \S+ func:(?P<name>[\w.$]+) has \d+ allocated at")
_SMASHED = re.compile(rf"^Kernel panic - .*: Kernel stack is corrupted in: {_SYMBOL}")
_POINTERS = (_POINTER, _INLINED_POINTER, _OLD_POINTER)
_FIRST_LINES = (_WARNED, _SANITIZER, _SANITIZER_INLINED, _CALLER, _LAST_FUNCTION, _SMASHED)

# The lines of lockdep after which the lock at fault is, with the place of its call.
_TRYING = re.compile(
    r" is (?:trying to (?:acquire|lock|release|contend)|freeing memory|leaving the kernel)\b"
    r"|still has locks held!$"
)

_BYSTANDER = re.compile(
    r"^(?:rcu: )?(?:RCU grace-period kthread stack dump|Stack dump where RCU GP)"
)
# The line after it, if the stack has no mark at its end (before 5.17).
_BYSTANDERS_END = re.compile(r"^\s+ret_from_fork\w*\+")
_ANOTHER = re.compile(r"^(?:CPU: |NMI backtrace|Sending NMI)")
# Stacks of the past and of other tasks, by the line before them.
_ASIDE = re.compile(
    r"^(?:Allocated by task|Freed by task|Allocated in|Freed in|page last (?:allocated|free)"
    r"|page_owner|Last (?:potentially )?related|Second to last|Last call_rcu|Uninit was"
    r"|INFO: (?:Allocated|Freed)|-> #\d+|the existing dependency|Showing (?:all|busy)"
    r"|allocated by task|freed by task|kfence-#\d+|Memory state|The buggy address"
    r"|Chain exists|Possible unsafe|other info|but task is already|-> \(|\.\.\. key"
    r"|the (?:first|second) lock|to a \S+-irq-unsafe|which became|... which|stack of daemon"
    r"|handlers:|Preemption disabled at|(?:hard|soft)irqs last|irq event stamp"
    r"|the (?:shortest )?dependenc|and interrupts could|\{[A-Z-]+\} state was"
    r"|#\d+: |\d+ locks? held|Stack from|Uninit was stored|Local variable)",
    re.IGNORECASE,
)
_TRACE = re.compile(r"^(?:Call [Tt]race:?|Backtrace:?|stack backtrace:|RIP: |CPU: |backtrace)")

# Functions that begin soft interrupts on a task's stack.
_SOFTIRQ = re.compile(r"(?:__do_softirq|handle_softirqs)$")

# Suffixes of the compiler for copies and parts of a function.
_SUFFIX = re.compile(r"\.(?:isra|part|constprop|cold|llvm|lto_priv|kcsan)(?:\.\d+)*|\.cold$")
# The JIT names a program's function after its tag, a hash, and its name.
_PROGRAM_WORD = "bpf program "
_PROGRAM = re.compile(r"^bpf_prog_[0-9a-f]{16}_(?P<name>\w+)$")

# Helpers that call a program's own function back. The verifier inlines bpf_loop,
# where it can, so that it is not always on the stack.
_CALLERS_BACK = re.compile(r"^(?:bpf_loop|bpf_for_each_\w+|bpf_user_ringbuf_drain|bpf_find_vma)$")

# At most this many functions of a report are named.
FRAMES = 3


@dataclass(frozen=True)
class Search:
    """The way to find the function at fault in a report of a kind."""

    #: The report is about a CPU that was interrupted somewhere in a loop.
    stalled: bool = False
    #: The place in the stack is random: a loop or a recursion.
    anywhere: bool = False
    #: The report says which task takes a lock, and where.
    lockdep: bool = False


@dataclass(frozen=True)
class Found:
    """The function at fault ("" if unknown), and at most `FRAMES` functions that may be.

    `frames` are innermost first. Where the place in the stack is random, they are the
    innermost, the handler of the request, and the entry.
    """

    function: str = ""
    frames: tuple[str, ...] = ()


def plain(name: str) -> str:
    """Return a symbol's name without compiler's suffixes and program tags."""
    name = _SUFFIX.sub("", name)
    program = _PROGRAM.match(name)
    return _PROGRAM_WORD + program["name"] if program else name


def relevant(lines: Iterable[str]) -> list[str]:
    """Return a report's lines without the stacks of bystanders (RCU's own thread)."""
    kept: list[str] = []
    aside = False
    for line in lines:
        if _BYSTANDER.match(line):
            aside = True
        elif _ANOTHER.match(line):
            aside = False
        if not aside:
            kept.append(line)
        elif line.strip() == "</TASK>" or _BYSTANDERS_END.match(line):
            aside = False
    return kept


@dataclass
class _Stack:
    """The functions of a report's first stack, innermost first, and those of its other stacks."""

    named: str = ""  #: the function in a line that is not a frame
    frames: int = 0  #: the number of frames
    inner: int = 0  #: the number of functions of `sure` that ran in an interrupt on top of a task
    #: Functions of a module, which are not machinery of the kernel under any name.
    modules: set[str] = field(default_factory=set)
    sure: list[str] = field(default_factory=list)  #: certain functions of the stack
    unsure: list[str] = field(default_factory=list)  #: frames that the unwinder marks with `?`
    elsewhere: list[str] = field(default_factory=list)  #: functions of the other stacks


def _read(lines: Iterable[str], search: Search) -> _Stack:
    """Return the stacks in a report's lines.

    In a search for a stall the interrupt in which the detector itself ran is left out.
    """
    stack = _Stack()
    skipping = aside = False
    for text in lines:
        line = text.removeprefix("kmemleak: ")
        mark = line.strip()
        if mark == "<IRQ>" and search.stalled and not stack.sure:
            skipping = True
        elif mark in ("</IRQ>", "<EOI>"):
            skipping = False
            stack.inner = stack.inner or len(stack.sure)
        elif mark == "</TASK>" and not aside and (stack.sure or stack.unsure):
            break
        if _TRACE.match(mark):
            aside = False
        elif _ASIDE.match(mark):
            if stack.sure:
                break
            aside = True
        # Inside the detector's interrupt, a pointer shows the code that it interrupted.
        named = _named(line) if skipping or not stack.sure else ""
        if named:
            stack.sure.append(named)
            stack.named = stack.named or named
            skipping = False
            continue
        frame = _FRAME.match(line) or _INLINED.match(line)
        if frame and not skipping:
            doubt, name = bool(frame["doubt"]), plain(frame["name"])
            kept = stack.elsewhere if aside else stack.unsure if doubt else stack.sure
            if kept is stack.sure and _SOFTIRQ.match(name):
                stack.inner = stack.inner or len(kept)
            kept.append(name)
            stack.frames += not aside
            if frame.groupdict().get("module"):
                stack.modules.add(name)
    return stack


def has_stack(lines: Iterable[str]) -> bool:
    """Return whether a report's lines have a stack of its own."""
    return _read(lines, Search()).frames > 0


def _named(line: str) -> str:
    """Return the function that a line other than a frame names, or ""."""
    for pattern in (*_POINTERS, *_FIRST_LINES):
        match = pattern.match(line)
        if match and match["name"]:
            return plain(match["name"])
    return ""


def _acquiring(lines: Iterable[str]) -> str:
    """Return the function that takes the lock that lockdep complains about, or ""."""
    trying = False
    for line in lines:
        if _TRYING.search(line):
            trying = True
        elif "already holding" in line:
            return ""
        if trying:
            place = _ACQUIRING.search(line)
            if place:
                return plain(place["name"])
    return ""


def find(lines: Iterable[str], search: Search = Search()) -> Found:
    """Return the functions that a report may be about."""
    lines = list(lines)
    stack = _read(lines, search)
    names = stack.sure or stack.unsure
    first = _acquiring(lines) if search.lockdep else ""
    racing = _racing(lines) if stack.frames else []
    left = [str(one["name"]) for line in lines if (one := _LEFT_AT_UNLOAD.match(line))]
    found = [*left, *racing, *_interesting([first, *names], search, stack.modules)]
    earlier = list(_interesting(stack.elsewhere, search, stack.modules))
    if search.lockdep:
        # First the function that takes the lock, then those that took it before in another order.
        found = [*found[:2], *earlier, *found[2:]]
    found = list(dict.fromkeys(found or earlier))
    if not found:
        # A function of the machinery is better than none, if the report itself names it.
        named = _called(lines) if search.stalled else stack.named
        return Found(named, (named,) if named else ())
    blamed = [name for name in found if name in stack.modules or not skips.doubtful(name)]
    kept = [name for name in found if name in blamed or name in (*racing, found[0])]
    if search.anywhere and len(kept) > FRAMES:
        kept = _ends(kept, list(_interesting(names[: stack.inner], search, stack.modules)))
    kept = list(dict.fromkeys([*kept[:FRAMES], *found]))[:FRAMES]
    return Found(blamed[0] if blamed else "", tuple(kept))


def _ends(found: list[str], inner: list[str]) -> list[str]:
    """Return the innermost function, the handler of the request, the entry, and the others.

    `inner` are the functions that ran in an interrupt on top of a task.
    """
    known = found[:1]
    handlers = (_handler(inner, known), _handler(found, known))
    handler = next(filter(None, handlers), found[1])
    return list(dict.fromkeys([*known, handler, found[-1], *found]))


def _called(lines: Iterable[str]) -> str:
    """Return the function that another CPU asked a CPU to run and that it does not run."""
    called = next(filter(None, map(_CSD.match, lines)), None)
    return plain(called["name"]) if called else ""


def _handler(names: list[str], known: list[str]) -> str:
    """Return the outermost function, not yet known, that did more than pass a request on."""
    others = (name for name in reversed(names) if name not in known)
    return next((name for name in others if not skips.dispatches(name)), "")


def _racing(lines: Iterable[str]) -> list[str]:
    """Return the two functions of a data race that KCSAN names."""
    race = next(filter(None, map(_RACE.match, lines)), None)
    return [plain(name) for name in race.groups() if name] if race else []


def _interesting(names: list[str], search: Search, kept: Container[str]) -> Iterator[str]:
    seen: set[str] = set()
    for index, name in enumerate(names):
        if search.stalled and name.startswith(_PROGRAM_WORD):
            name = _main_program(names[index:])
        elif (
            not name
            or (skips.skipped(name) and name not in kept)
            or (search.stalled and _CALLERS_BACK.match(name))
        ):
            continue
        if name not in seen:
            seen.add(name)
            yield name


def _main_program(names: list[str]) -> str:
    """Return the program to which the callbacks at the top of a stack belong.

    The function in which a loop was interrupted is random.
    """
    main = ""
    for name in names:
        if name.startswith(_PROGRAM_WORD):
            main = name
        elif not _CALLERS_BACK.match(name):
            break
    return main


def jumped_to(lines: Iterable[str]) -> str:
    """Return the bare address that the CPU was about to execute (a call through a bad pointer)."""
    for line in lines:
        place = _POINTER.match(line)
        if place:
            return place["bare"] or ""
    return ""
