# SPDX-License-Identifier: GPL-2.0-only
"""Which function a report is about: the first on its stack that isn't mere machinery."""

from __future__ import annotations

import re
from collections.abc import Iterable

_SYMBOL = r"(?P<name>[\w.$]+)\+0x[0-9a-f]+/0x[0-9a-f]+(?: \[(?P<module>[\w-]+)\])?"
_FRAME = re.compile(rf"^\s+(?P<doubt>\? )?{_SYMBOL}")
# Segment 0010 is the kernel's; 0033 is where a program was interrupted.
_POINTER = re.compile(rf"^RIP: 0010:(?:{_SYMBOL}|(?P<bare>0x[0-9a-f]+))")
_WARNED = re.compile(rf"^WARNING: CPU: \d+ PID: \d+ at (?:\S+:\d+ )?{_SYMBOL}")
_KASAN = re.compile(rf"^BUG: K(?:ASAN|FENCE|CSAN|MSAN): .* in {_SYMBOL}")

_BYSTANDER = re.compile(
    r"^(?:rcu: )?(?:RCU grace-period kthread stack dump|Stack dump where RCU GP)"
)

# Suffixes of the compiler for copies and parts of a function.
_SUFFIX = re.compile(r"\.(?:isra|part|constprop|cold|llvm|lto_priv)(?:\.\d+)*|\.cold$")
# The JIT names a program's function after its tag, a hash, and its name.
_PROGRAM_WORD = "bpf program "
_PROGRAM = re.compile(r"^bpf_prog_[0-9a-f]{16}_(?P<name>\w+)$")

# Helpers that call a program's own function back. The verifier inlines bpf_loop,
# where it can, so that it is not always on the stack.
_CALLERS_BACK = re.compile(r"^(?:bpf_loop|bpf_for_each_\w+|bpf_user_ringbuf_drain|bpf_find_vma)$")

_BORING = re.compile(
    r"^(?:"
    # printing and reporting
    r"dump_stack\w*|show_(?:stack|regs|trace)\w*|_?v?printk\w*|__warn\w*|warn_slowpath\w*"
    r"|report_bug|handle_bug|die\w*|oops_\w+|panic|nmi_panic|print_\w+|__report\w*"
    r"|exc_\w+|asm_\w+|sysvec_\w+|__sysvec_\w+|error_entry|page_fault_oops|do_error_trap"
    r"|__die\w*|handle_stack_overflow|stack_trace_\w+|nmi_\w+|__schedule_bug|__might_\w+"
    # detectors
    r"|watchdog_\w+|check_cpu_stall|rcu_\w+|__rcu\w*|synchronize_rcu\w*"
    r"|ubsan_\w+|__ubsan_\w+|k(?:asan|fence|msan|csan)_\w+|__asan_\w+|__k(?:asan|fence)_\w+"
    # checks that find what somebody else broke
    r"|__list_(?:add|del)\w*|list_\w+|refcount_\w+|__refcount\w+|debug_\w+_warn\w*"
    r"|object_err|slab_(?:err|fix|bug)\w*|free_(?:debug|consistency|to_partial)\w*|check_(?:object|slab|bytes)\w*"
    r"|on_freelist|alloc_debug\w*|__slab_\w+|___slab_\w+|kfree|kmalloc\w*|__kmalloc\w*"
    r"|kmem_cache_\w+|kmem_\w+|init_object"
    # locks and waiting
    r"|_?_?raw_\w*(?:lock|unlock)\w*|_raw_\w+|(?:native_|__pv_)?queued_\w+|do_raw_\w+"
    r"|native_\w+|pv_\w+|kvm_wait|spin_\w+|mutex_\w+|__mutex_\w+|rwsem_\w+|down\w*|__down\w*"
    r"|rt_mutex\w*|lock_acquire\w*|lock_release\w*|__lock_\w+|mark_lock\w*|validate_chain"
    r"|__?schedule\w*|schedule\w*|preempt_schedule\w*|io_schedule\w*|context_switch"
    r"|wait_for_\w+|__wait_for_\w+|msleep\w*|usleep\w*|__cond_resched|_cond_resched"
    # the roots of every stack
    r"|kthread|ret_from_fork\w*|worker_thread|process_one_work|process_scheduled_works"
    r"|do_syscall_64|x64_sys_call|entry_\w+|do_idle|cpu_startup_entry|(?:arch_cpu|default)_idle\w*"
    r"|dump_cpu_task|sched_show_task|do_task_dead"
    # clocks and delays
    r"|local_clock\w*|sched_clock\w*|clear_sched_clock_stable|ktime_get\w*"
    r"|delay_\w+|__delay|__const_udelay|__udelay|__ndelay|cpu_relax|rep_nop"
    # interrupts on the way to something else
    r"|smp_call_function\w*|irq_work_\w+|__irq\w*|csd_\w+|__smp_\w+|call_on_\w+"
    # memory
    r"|mem(?:cpy|set|move|cmp)\w*|__mem\w+|str\w+|rep_(?:movs|stos)\w*|copy_(?:from|to)\w*"
    r"|_copy_(?:from|to)\w*"
    r")$"
)


def plain(name: str) -> str:
    """A symbol's name without compiler's suffixes and program tags."""
    name = _SUFFIX.sub("", name)
    program = _PROGRAM.match(name)
    return _PROGRAM_WORD + program["name"] if program else name


def boring(name: str) -> bool:
    """Whether a function says nothing about who is at fault."""
    return bool(_BORING.match(name))


def relevant(lines: Iterable[str]) -> list[str]:
    """A report's lines without the stacks of bystanders (RCU's own thread)."""
    kept: list[str] = []
    aside = False
    for line in lines:
        if _BYSTANDER.match(line):
            aside = True
        if not aside:
            kept.append(line)
        elif line.strip() == "</TASK>":
            aside = False
    return kept


def functions(lines: Iterable[str], *, stalled: bool = False) -> list[str]:
    """The functions on the first stack of a report, innermost first.

    Frames that the kernel is not sure of count only if there are no others.
    `stalled` leaves out the interrupt in which the detector itself ran.
    """
    sure: list[str] = []
    unsure: list[str] = []
    skipping = False
    for line in lines:
        mark = line.strip()
        if mark == "<IRQ>" and stalled and not sure:
            skipping = True
        elif mark == "</IRQ>":
            skipping = False
        elif mark == "</TASK>" and (sure or unsure):
            break
        frame = _FRAME.match(line)
        if frame:
            if not skipping:
                (unsure if frame["doubt"] else sure).append(plain(frame["name"]))
            continue
        place = _POINTER.match(line) or _WARNED.match(line) or _KASAN.match(line)
        if place and not sure and place["name"]:
            sure.append(plain(place["name"]))
    return sure or unsure


def culprit(lines: Iterable[str], *, stalled: bool = False) -> str:
    """The function that a report is about, empty if its lines don't tell.

    `stalled`: the report is about a CPU that was interrupted somewhere in a loop.
    """
    names = functions(lines, stalled=stalled)
    for index, name in enumerate(names):
        if stalled and name.startswith(_PROGRAM_WORD):
            return _main_program(names[index:])
        if not boring(name) and not (stalled and _CALLERS_BACK.match(name)):
            return name
    return ""


def _main_program(names: list[str]) -> str:
    """The program to which the callbacks at the top of a stack belong.

    In which of its functions a loop was interrupted is chance.
    """
    main = ""
    for name in names:
        if name.startswith(_PROGRAM_WORD):
            main = name
        elif not _CALLERS_BACK.match(name):
            break
    return main


def jumped_to(lines: Iterable[str]) -> str:
    """The bare address that the CPU was about to execute (a call through a bad pointer)."""
    for line in lines:
        place = _POINTER.match(line)
        if place:
            return place["bare"] or ""
    return ""
