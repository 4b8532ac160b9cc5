# SPDX-License-Identifier: GPL-2.0-only
"""Find leftovers of kernel modules in a guest: memory, timers and work items.

This is done only for items with a module: their kernels have boot arguments that
make each allocation a little slower, and their guests have snapshots of their own.
"""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lab import jsontext
from lab.deadline import DeadlineExceeded, scaled
from lab.errors import InfraError
from lab.extension.module_symbols import module_symbols
from lab.guest.guest import Guest
from lab.guest.ssh import Completed
from lab.kernel.artifact import Kernel
from lab.oracle.evidence import Evidence
from lab.oracle.modules import allocations, pending
from lab.oracle.modules.allocations import Allocation
from lab.oracle.modules.layout import Layouts, parse_sections
from lab.oracle.modules.pending import Candidate

# Seconds on the reference host.
READ_SECONDS = 20.0
SETTLE_SECONDS = 5.0  # the kernel frees some memory after grace periods
KEPT_SECONDS = 2.0

# Boot arguments by the option of the kernel that they need.
_ARGUMENTS = (
    ("CONFIG_SLUB_DEBUG", "slub_debug=U"),  # the stack that allocated each object
    # Leftovers of a module's own calls, at its unload.
    ("CONFIG_MEM_ALLOC_PROFILING", "sysctl.vm.mem_profiling=1"),
    ("CONFIG_DEBUG_OBJECTS", "debug_objects"),  # which timers and work items are armed
)
# Arguments that the kernel's configuration may already switch on.
_BUILT_ON = {"slub_debug=U": "CONFIG_SLUB_DEBUG_ON"}
# Other names of the same arguments (slab_debug since 6.9).
_SYNONYMS = {"slab_debug": "slub_debug", "no_debug_objects": "debug_objects"}

_TRACING = "/sys/kernel/tracing/instances"
_STARTS, _PER_CPU = f"{_TRACING}/kextlab-starts", f"{_TRACING}/kextlab-percpu"
_LOADS = f"{_TRACING}/kextlab-loads"
# The line for a module whose own function ran, although its load failed.
STARTED = "==kextlab== started"
_SLAB = "/sys/kernel/debug/slab"
_PROFILING = "/proc/sys/vm/mem_profiling"

_UNREADABLE = "what modules left could not be read"

# No module is below this address (without and with KASLR).
_MODULES = "0xffffffffa0000000"
# The start of a frame or function without a name: its module is gone.
_GONE = "0xffffffff[a-f]"


def arguments(kernel: Kernel, chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the boot arguments that make a kernel record leftovers of modules.

    Arguments that the scenario itself has `chosen` are not changed.
    """
    names = {word.partition("=")[0] for word in chosen}
    names |= {_SYNONYMS.get(name, name) for name in names}
    return tuple(
        word
        for option, word in _ARGUMENTS
        if kernel.has(option)
        and word.partition("=")[0] not in names
        and not kernel.has(_BUILT_ON.get(word, "-"))
    )


def not_looked_at(kernel: Kernel) -> list[str]:
    """Return the kinds of leftovers that a kernel's configuration keeps it from showing."""
    if kernel.has("CONFIG_LOCKDEP"):
        return ["delayed work items (CONFIG_LOCKDEP changes their form)"]
    return []


def insert_line(path: str, words: Sequence[str], module: str) -> str:
    """Return the shell line that loads a module and prints the addresses of its sections.

    It prints `STARTED` if the load fails after the kernel has accepted the module: for some
    errors of the module's own function, insmod prints the same text as for a refused module.
    """
    load = shlex.join(["insmod", path, *words])
    folder = f"/sys/module/{module}/sections"
    return (
        f"(echo > {_LOADS}/trace) 2>/dev/null; if {load};"
        f" then grep -s . {folder}/* {folder}/.[a-z]*; true; else status=$?;"
        f" ! grep -qs ' module_load: {module} ' {_LOADS}/trace || echo '{STARTED}';"
        " (exit $status); fi"
    )


# Prints the starts, and whether a buffer was too small. The longest part comes last.
_READ_STARTS = (
    f"grep -s ', {_GONE}' /proc/timer_list; cat {_STARTS}/per_cpu/cpu*/stats 2>/dev/null;"
    f" cat {_STARTS}/trace 2>/dev/null; true"
)


@dataclass
class Residue:
    """The leftovers of one guest's modules since the baseline.

    `armed` describes timers and work items that were armed at an unload, `found` all
    leftovers, `missing` the kinds that this kernel can't show.
    """

    guest: Guest
    layouts: Layouts = field(default_factory=Layouts)
    found: list[str] = field(default_factory=list)
    armed: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    _before: list[Allocation] = field(default_factory=list)

    def begin(self) -> None:
        """Switch the tracepoints on, and read the allocations that exist before the item.

        This and the other readers raise `InfraError` if the guest's answer is incomplete.
        """
        words = set(self._run(_BEGIN).stdout.split())
        self.missing += [text for word, text in _MISSING.items() if word in words]
        if "modules" in words:
            self._before = self._allocations()

    def inserted(self, module: str, file: Path, output: str) -> None:
        """Record the addresses of a module from the `output` of its `insert_line`."""
        self.layouts.add(module, parse_sections(output), module_symbols(file))

    def removed(self, module: str) -> None:
        """Find the pending timers and work items of a module that was just unloaded."""
        self.layouts.remove(module)
        done = self._run(_READ_STARTS)
        output = done.stdout
        if done.truncated or pending.overrun(output):
            self._miss("timers that were started early (too many started after them)")
        found = pending.high_resolution(output, self.layouts)
        wanted = pending.candidates(output)
        for candidate, memory in zip(wanted, self._peek(wanted), strict=True):
            waiting = pending.armed(candidate, memory, self.layouts)
            if waiting is not None:
                found.append(waiting)
        self.armed += [text for text in pending.sentences(found) if text not in self.armed]
        self.found = list(self.armed)

    def settle(self, *, leak_expected: bool = False) -> Evidence:
        """Find the leftovers of modules, with time for late frees.

        The guest is asked again until nothing is left, or the time is up. The time is shorter
        if something is expected to stay. `found` then describes it.
        """
        limit = scaled(KEPT_SECONDS if leak_expected else SETTLE_SECONDS)

        def nothing_left() -> bool:
            now = self._allocations()
            leaks = allocations.left(self._before, now, self.layouts)
            self.found = [*self.armed, *map(str, leaks)]
            return len(self.found) == len(self.armed)

        with contextlib.suppress(DeadlineExceeded):
            limit.poll(nothing_left, "memory of modules to be freed", interval=0.5)
        summary = (
            "; ".join(self.found)
            or "the look at modules found no memory, timer or work item that is left"
        )
        if self.missing:
            summary += f"; not checked on this kernel: {', '.join(self.missing)}"
        return Evidence("residue", summary, {"left": self.found, "not_looked_at": self.missing})

    def _peek(self, wanted: Sequence[Candidate]) -> list[bytes | None]:
        if not wanted:
            return []
        addresses = " ".join(hex(one.address) for one in wanted)
        line = f"kextload peek {pending.PEEK_BYTES} {addresses}"
        done = self.guest.run(line, scaled(READ_SECONDS))
        try:
            memory = jsontext.parse(done.stdout).get("memory", [])
            found = [bytes.fromhex(text) if text else None for text in memory]
        except (ValueError, AttributeError, TypeError):
            found = []
        if len(found) != len(wanted):
            self._miss("timers and work items (/proc/kcore cannot be read)")
            return [None] * len(wanted)
        return found

    def _allocations(self) -> list[Allocation]:
        done = self._run(_READ_MEMORY)
        parts = split_parts(done.stdout)
        if done.truncated and _PER_CPU not in parts:
            raise InfraError(f"{_UNREADABLE}: the guest prints too much of memory")
        found = [
            one
            for name, text in parts.items()
            if name.startswith(f"{_SLAB}/")
            for one in allocations.parse_slab(name.split("/")[-2], text)
        ]
        found += allocations.parse_vmalloc(parts.get("/proc/vmallocinfo", ""))
        traced = parts.get(_PER_CPU, "")
        if done.truncated or pending.overrun(traced):
            self._miss("per-CPU memory (too much was freed to follow it)")
            return found
        return found + pending.per_cpu(traced)

    def _run(self, line: str) -> Completed:
        """Run a command that can fail only by being killed."""
        done = self.guest.run(line, scaled(READ_SECONDS))
        if not done.ok:
            raise InfraError(
                f"{_UNREADABLE}: the command ended with status {done.status}", details=done.stderr
            )
        return done

    def _miss(self, what: str) -> None:
        if what not in self.missing:
            self.missing.append(what)


_MISSING = {
    "no-slab": "slab objects (no CONFIG_SLUB_DEBUG, or no slub_debug=U)",
    "no-vmalloc": "vmalloc areas (no /proc/vmallocinfo)",
    "no-pages": "pages (no CONFIG_MEM_ALLOC_PROFILING, or switched off)",
    "no-per-cpu": "per-CPU memory (no tracepoint percpu_alloc_percpu with call_site)",
    "no-timers": "timers and work items (no tracepoints)",
    "no-loads": "whether a load failed in the module's own function (no tracepoint)",
    "no-kcore": "timers and work items (no /proc/kcore)",
    "no-timer-list": "high-resolution timers (no /proc/timer_list)",
}

# Sets up a trace instance: its folder, the size of its buffer for each CPU in KiB, and pairs of
# event and filter; prints the word if that can't be done. Events name pointers by their address,
# not by a hash of it (since 5.12).
_FUNCTIONS = """
watch() {
  mkdir $1 && echo $2 > $1/buffer_size_kb && echo 0 > $1/options/hash-ptr || return
  folder=$1; shift 2
  while [ $# -gt 0 ]; do
    { [ -z "$2" ] || echo "$2" > $folder/events/$1/filter; } &&
      echo 1 > $folder/events/$1/enable || return
    shift 2
  done
}
"""
_IS_MODULE = f"function >= {_MODULES} && function < 0xffffffffff600000"
_BEGIN = f"""{_FUNCTIONS}
exec 2>/dev/null
work=$(grep -m1 ' {pending.DELAYED_WORK}$' /proc/kallsyms)
watch {_STARTS} 256 \\
  timer/timer_start "({_IS_MODULE}) || function == 0x${{work%% *}}" \\
  workqueue/workqueue_queue_work "{_IS_MODULE}" || echo no-timers
watch {_LOADS} 4 module/module_load "" || echo no-loads
watch {_PER_CPU} 512 \\
  percpu/percpu_alloc_percpu "call_site >= {_MODULES}" \\
  percpu/percpu_free_percpu "" || echo no-per-cpu
[ -r /proc/kcore ] || echo no-kcore
[ -r /proc/timer_list ] || echo no-timer-list
[ -r /proc/vmallocinfo ] || echo no-vmalloc
[ "$(cat {_PROFILING})" = 1 ] || echo no-pages
[ -r {_SLAB}/kmalloc-64/alloc_traces ] || echo no-slab
read -r line < /proc/modules && echo modules
true
"""

# A part begins with a line of its own. The caches are asked to free what they only keep (2),
# from now on quietly (4): nodes, names, and objects that wait to be freed in a batch.
_FENCE = "==kextlab== "
_READ_MEMORY = f"""
exec 2>/dev/null
echo 4 > /proc/sys/vm/drop_caches
echo 2 > /proc/sys/vm/drop_caches
for file in $(grep -l {_GONE} {_SLAB}/*/alloc_traces); do
  echo "{_FENCE}$file"; awk 'BEGIN {{ RS = "" }} /{_GONE}/ {{ print; print "" }}' $file
done
echo "{_FENCE}/proc/vmallocinfo"; grep ' {_GONE}' /proc/vmallocinfo
echo "{_FENCE}{_PER_CPU}"; cat {_PER_CPU}/trace {_PER_CPU}/per_cpu/cpu*/stats
true
"""


def split_parts(output: str) -> dict[str, str]:
    """Return the texts that the guest printed, by the path of the file that each is from."""
    parts: dict[str, str] = {}
    for part in f"\n{output}".split(f"\n{_FENCE}")[1:]:
        name, _, text = part.partition("\n")
        parts[name] = text
    return parts
