# SPDX-License-Identifier: GPL-2.0-only
"""The console oracle on the words of Linux 5.15, 6.1, 6.12 and 7.x that this lab's kernels lack."""

from __future__ import annotations

import pytest
from harness.paths import GOLDEN

from lab.oracle.console.lines import Shape
from lab.oracle.console.parser import parse
from lab.oracle.console.reports import Report
from lab.oracle.console.rust_names import readable
from lab.words import ReportKind

CASES = GOLDEN / "reports"
USUAL = Shape(priority=False, stamp=True, caller=True)


def log(*lines: str, caller: str = "T77", start: float = 5.0) -> bytes:
    """Return lines as the kernel prints them, a millisecond apart."""
    return b"".join(
        f"[{start + number / 1000:12.6f}][{caller:>6}] {text}\r\n".encode()
        for number, text in enumerate(lines)
    )


def only(data: bytes, shape: Shape | None = USUAL) -> Report:
    (report,) = parse(data, shape)
    return report


CUT = "------------[ cut here ]------------"
END = "---[ end trace 0000000000000000 ]---"
CPU = "CPU: 1 UID: 0 PID: 77 Comm: sh Tainted: G           O       6.12.117 #1"


@pytest.mark.parametrize(
    ("name", "kind", "title", "function"),
    [
        ("miss-rcu-csd", "rcu-stall", "RCU stall", ""),
        ("miss-rcu-tasks-stall", "rcu-stall", "RCU stall in spinner", "spinner"),
        ("miss-softirq-huh", "leaked-atomic", "softirq NET_RX changed the preempt count", ""),
        ("miss-unregister-netdevice", "netdev-in-use", "network device veth0 is not released", ""),
        ("kind-612-unexpected-NM-exception", "oops", "unexpected #NM exception in broken_thing",
         "broken_thing"),
        ("kind-617-warning", "warning", "WARNING in warner", "warner"),
        ("body-bad-page", "other-splat", "Bad page state in wrong_free", "wrong_free"),
        ("body-circular", "lockdep",
         "lockdep: possible circular locking dependency detected in my_write", "my_write"),
        ("body-rust-bug", "bug", "kernel BUG in _RNvXs_my_driver4open", "_RNvXs_my_driver4open"),
        ("body-sleeping-function", "sleeping-in-atomic",
         "sleeping function called in atomic context in my_init", "my_init"),
        ("body-suspicious-rcu", "lockdep", "lockdep: suspicious RCU usage in my_reader",
         "my_reader"),
        ("body-thunk", "general-protection", "general protection fault in bad_caller",
         "bad_caller"),
        ("split-list-corruption-debian", "list-corruption",
         "list corruption (list_del) in remover", "remover"),
    ],
)  # fmt: skip
def test_case_has_its_right_value(name: str, kind: str, title: str, function: str) -> None:
    report = only((CASES / f"{name}.log").read_bytes(), None)
    assert (report.kind, report.title, report.function) == (kind, title, function)
    assert report.complete


def test_every_case_is_read() -> None:
    assert len(list(CASES.glob("*.log"))) == 13


def test_a_sleeping_functions_report_is_not_cut() -> None:
    report = only((CASES / "body-sleeping-function.log").read_bytes(), None)
    assert report.lines[-1].strip() == "</TASK>"
    assert (report.task, report.cpu) == ("insmod:77", 1)


def test_a_warning_of_617_names_its_task() -> None:
    report = only((CASES / "kind-617-warning.log").read_bytes(), None)
    assert (report.task, report.cpu) == ("sh:77", 1)


TRAPS = (
    "divide error", "overflow", "bounds", "invalid opcode", "invalid TSS", "segment not present",
    "stack segment", "alignment check", "int3", "debug", "fpu exception", "simd exception",
    "control protection", "unexpected #NM exception", "iret exception", "coprocessor error",
    "missing ENDBR", "bad IRET", "unhandled #VE", "split lock",
)  # fmt: skip


@pytest.mark.parametrize("trap", TRAPS)
@pytest.mark.parametrize("old", [True, False], ids=["before-6.9", "since-6.9"])
def test_trap_is_an_oops(trap: str, old: bool) -> None:
    first = f"{trap}: 0000 [#1] PREEMPT SMP NOPTI"
    data = log(first if old else f"Oops: {first}", CPU, "RIP: 0010:broken+0x1d/0x30 [mod]", END)
    report = only(data)
    assert (report.kind, report.title) == ("oops", f"{trap} in broken")


# The kind and title from the first line of a report: words of several versions.
@pytest.mark.parametrize(
    ("text", "kind", "title"),
    [
        # 5.15 and 6.1: no `Oops:` before the trap, one after the address
        ("Oops: 0002 [#1] PREEMPT SMP NOPTI", "page-fault", "page fault"),
        ("Oops: 0000 [#2] SMP PTI", "page-fault", "page fault"),
        ("stack guard page: 0000 [#1] SMP", "stack-overflow", "stack overflow"),
        ("kernel stack overflow (double-fault): 0000 [#1] SMP", "stack-overflow", "stack overflow"),
        ("BUG: stack guard page was hit at 00000000deadbeef (stack is 1..2)", "stack-overflow",
         "stack overflow"),
        ("general protection fault: 0000 [#1] SMP", "general-protection",
         "general protection fault"),
        ("general protection fault, maybe for address 0x10: 0000 [#1] PREEMPT SMP",
         "general-protection", "general protection fault"),
        ("Oops: general protection fault, kernel NULL pointer dereference 0x8: 0000 [#1] SMP",
         "general-protection", "general protection fault"),
        ("PANIC: early exception 0x0d IP 10:ffffffff81000000 error 0 cr2 0xffff888000000000",
         "panic", "early exception 0x0d"),
        ("PANIC: double fault, error_code: 0x0", "double-fault", "double fault"),
        ("Internal error: Oops: 0000000096000004 [#1] SMP", "oops", "Oops"),
        # warnings before and since 6.17
        ("WARNING: CPU: 3 PID: 12 at mm/a.c:1 checker+0x1/0x2 [mod]", "warning",
         "WARNING in checker"),
        ("WARNING: mm/a.c:1 at checker+0x1/0x2, CPU#3: kworker/3:1/12", "warning",
         "WARNING in checker"),
        ("WARNING: at checker+0x1/0x2, CPU#3: a b/12", "warning", "WARNING in checker"),
        ("WARNING: [p == NULL] mm/a.c:1 at checker+0x1/0x2 [mod], CPU#3: sh/12", "warning",
         "WARNING in checker"),
        ("WARNING: CPU: 3 PID: 12 at [a > b] mm/a.c:1 checker+0x1/0x2", "warning",
         "WARNING in checker"),
        ("WARNING: kernel stack regs at 00000000deadbeef in sh:12 has bad 'bp' value 0000000012",
         "warning", "WARNING: kernel stack regs has a bad value"),
        ("kernel BUG at [!ok] mm/slub.c:1!", "bug", "kernel BUG"),
        # RCU
        ("INFO: rcu_tasks detected stalls on tasks:", "rcu-stall", "RCU stall"),
        ("rcu: INFO: rcu_tasks_trace detected stalls on tasks:", "rcu-stall", "RCU stall"),
        ("rcu_tasks_rude: INFO: rcu_tasks_rude detected stalls on tasks:", "rcu-stall",
         "RCU stall"),
        ("INFO: rcu_sched self-detected stall on CPU { 1}  (t=5250 jiffies g=1 q=2)", "rcu-stall",
         "RCU stall"),
        ("rcu: INFO: rcu_preempt detected expedited stalls on CPUs/tasks: { 1-...D } 21 jiffies",
         "rcu-stall", "RCU stall"),
        # other stalls
        ("smp: csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000000 ns for"
         " CPU#01 handler+0x0/0x20(0x0).", "csd-lock", "stuck CSD lock in handler"),
        ("watchdog: CPU1: Watchdog detected hard LOCKUP on cpu 2", "hard-lockup", "hard lockup"),
        ("INFO: task sh:12 blocked on a mutex for more than 120 seconds.", "hung-task",
         "hung task"),
        ("INFO: task sh:12 can't die for more than 143 seconds.", "hung-task", "hung task"),
        ("BUG: workqueue lockup - pool cpus=1 node=0 flags=0x0 nice=0 stuck for 31s!", "wq-lockup",
         "workqueue lockup"),
        # contexts that do not fit
        ("BUG: workqueue leaked lock or atomic: kworker/0:1/0x00000001/12", "leaked-atomic",
         "work item left atomic context or a lock behind"),
        ("BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]", "leaked-atomic",
         "work item left atomic context or a lock behind"),
        ("huh, entered softirq 1 TIMER 00000000deadbeef with preempt_count 00000100, exited with"
         " 00000101?", "leaked-atomic", "softirq TIMER changed the preempt count"),
        ("BUG: using smp_processor_id() in preemptible [00000000] code: sh/77", "other-splat",
         "smp_processor_id() in preemptible code"),
        # lockdep of 5.15 to 7.x, and before 4.11
        ("WARNING: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected", "lockdep",
         "lockdep: HARDIRQ-safe -> HARDIRQ-unsafe lock order detected"),
        ("WARNING: bad unlock balance detected!", "lockdep",
         "lockdep: bad unlock balance detected"),
        ("[ INFO: possible recursive locking detected ]", "lockdep",
         "lockdep: possible recursive locking detected"),
        ("INFO: possible circular locking dependency detected", "lockdep",
         "lockdep: possible circular locking dependency detected"),
        ("[ BUG: bad unlock balance detected! ]", "lockdep",
         "lockdep: bad unlock balance detected"),
        ("BUG: MAX_LOCKDEP_ENTRIES too low!", "lockdep", "lockdep: MAX_LOCKDEP_ENTRIES"),
        # devices
        ("irq 9: nobody cared (try booting with the \"irqpoll\" option)", "irq-unhandled",
         "interrupt without a handler"),
        ("NETDEV WATCHDOG: eth0 (e1000): transmit queue 0 timed out", "tx-timeout",
         "transmit queue timed out"),
        ("e1000 0000:00:03.0 eth0: NETDEV WATCHDOG: CPU: 1: transmit queue 0 timed out 5120 ms",
         "tx-timeout", "transmit queue timed out"),
        ("veth0: hw csum failure", "other-splat", "checksum of the hardware is wrong"),
        ("unregister_netdevice: waiting for lo to become free. Usage count = 2", "netdev-in-use",
         "network device lo is not released"),
        # memory
        ("kmemleak: 3 new suspected memory leaks (see /sys/kernel/debug/kmemleak)", "memory-leak",
         "memory leak"),
        ("kmemleak: unreferenced object 0xffff888003240000 (size 64):", "memory-leak",
         "memory leak"),
        ("BUG: KASAN: null-ptr-deref in reader+0x12/0x30", "kasan",
         "KASAN: null-ptr-deref in reader"),
        ("BUG: KASAN: wild-memory-access in reader+0x12/0x30", "kasan",
         "KASAN: wild-memory-access in reader"),
        ("BUG: KASAN: user-memory-access in memcpy+0x12/0x30", "kasan",
         "KASAN: user-memory-access in memcpy"),
        ("BUG: KFENCE: memory corruption in freer+0x12/0x30", "kfence",
         "KFENCE: memory corruption in freer"),
        ("BUG: KMSAN: uninit-value in reader+0x12/0x30", "other-splat",
         "KMSAN: uninit-value in reader"),
        ("BUG: KCSAN: data-race in a / b", "other-splat", "KCSAN: data-race"),
        ("BUG: spinlock bad magic on CPU#1, sh/77", "other-splat", "spinlock bad magic"),
        ("BUG: Bad rss-counter state mm:00000000deadbeef type:MM_ANONPAGES val:1", "other-splat",
         "Bad rss-counter state"),
        ("VFS: Busy inodes after unmount of sda (ext4)", "other-splat",
         "inodes in use after unmount"),
        ("Kernel panic - not syncing: Fatal exception", "panic", "kernel panic: Fatal exception"),
    ],
)  # fmt: skip
def test_words_of_a_version_give_kind_and_title(text: str, kind: ReportKind, title: str) -> None:
    report = only(log(text))
    assert (report.kind, report.title) == (kind, title)


@pytest.mark.parametrize(
    "text",
    [
        "INFO: NMI handler (perf_event_nmi_handler) took too long to run: 1.356 msecs",
        "INFO: Stall ended before state dump start",
        "rcu: INFO: RCU Tasks is not needed",
        "rcu_tasks_wait_gp: rcu_tasks grace period number 9 (since boot) is 2502 jiffies old.",
        "NOHZ tick-stop error: local softirq work is pending, handler #08!!!",
        "workqueue: delayed_fput hogged CPU for >10000us 4 times, consider switching to WQ_UNBOUND",
        "WARNING: The mand mount option has been deprecated and is ignored by this kernel.",
        "Spectre V2 : WARNING: Unprivileged eBPF is enabled with eIBRS on",
        "Warning: unable to open an initial console.",
        "kmemleak: Kernel memory leak detector initialized (mem pool available: 15679)",
        "kmemleak: Automatic memory scanning thread started",
        "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable",
        "watchdog: Disabling watchdog on nohz_full cores by default",
        "NMI watchdog: Enabled. Permanently consumes one hw-PMU counter.",
        "irq 9: Affinity broken due to vector space exhaustion.",
        "lockdep: debugfs initialized",
        "BUG",
        "debug: unmapping init memory",
        "Oops",
        "mce: [Hardware Error]: Machine check events logged",
        "EXT4-fs error (device sda): ext4_lookup:1: inode #2: comm sh: deleted inode referenced: 1",
        "sh: page allocation failure: order:4, mode:0xcc0(GFP_KERNEL), nodemask=(null)",
        "eth0: transmit timed out, status 0012, resetting.",
        "unregister_netdevice: nothing to wait for",
    ],
)
def test_line_that_is_no_fault_gives_no_report(text: str) -> None:
    assert parse(log(text), USUAL) == []


def stack(*names: str) -> tuple[str, ...]:
    return ("Call Trace:", " <TASK>", *(f" {name}+0x1/0x20" for name in names), " </TASK>")


def test_a_warning_that_panics_at_once_has_the_panics_stack() -> None:
    data = log(
        CUT, "WARNING: CPU: 1 PID: 77 at lib/refcount.c:28 refcount_warn_saturate+0x1/0x2",
        "Kernel panic - not syncing: kernel: panic_on_warn set ...", CPU,
        *stack("dump_stack_lvl", "panic", "check_panic_on_warn", "__warn", "report_bug",
               "handle_bug", "exc_invalid_op", "asm_exc_invalid_op", "putter"),
        "---[ end Kernel panic - not syncing: kernel: panic_on_warn set ... ]---",
    )  # fmt: skip
    first, panic = parse(data, USUAL)
    assert (first.kind, first.title) == ("warning", "WARNING in putter")
    assert panic.kind == "panic"
    assert panic.complete


def test_transmit_timeout_of_older_kernels_is_one_report() -> None:
    report = only(
        log(
            CUT, "NETDEV WATCHDOG: eth0 (e1000): transmit queue 0 timed out",
            "WARNING: CPU: 0 PID: 0 at net/sched/sch_generic.c:477 dev_watchdog+0x205/0x210",
            *stack("call_timer_fn"), END,
        )
    )  # fmt: skip
    assert (report.kind, report.complete) == ("tx-timeout", True)


def test_corrupt_list_of_515_that_is_a_bug_is_one_report() -> None:
    report = only(
        log(
            "list_add corruption. prev->next should be next (1), but was 2. (prev=3).", CUT,
            "kernel BUG at lib/list_debug.c:28!", "invalid opcode: 0000 [#1] SMP NOPTI", CPU,
            "RIP: 0010:__list_add_valid.cold+0x3a/0x3c", *stack("adder", "do_syscall_64"), END,
        )
    )  # fmt: skip
    assert (report.kind, report.title) == ("list-corruption", "list corruption (list_add) in adder")


def test_stuck_csd_lock_names_where_the_other_cpu_is() -> None:
    data = log(
        "smp: csd: Detected non-responsive CSD lock (#1) on CPU#0, waiting 5000000000 ns for"
        " CPU#01 handler+0x0/0x20(0x0).",
        "smp: \tcsd: CSD lock (#1) unresponsive.",
        "Sending NMI from CPU 0 to CPUs 1:",
        caller="T9",
    ) + log("NMI backtrace for cpu 1", "RIP: 0010:spinner+0x1/0x2", caller="C1", start=5.01)
    report = only(data)
    assert (report.kind, report.cpu, report.function) == ("csd-lock", 1, "spinner")


def test_memory_leak_of_kmemleak_names_who_allocated() -> None:
    report = only(
        log(
            "kmemleak: unreferenced object 0xffff888003240000 (size 64):",
            'kmemleak:   comm "insmod", pid 77, jiffies 4294942725',
            "kmemleak:   backtrace (crc 0):",
            "kmemleak:     __kmalloc_cache_noprof+0x1b/0x29",
            "kmemleak:     leaker+0x39/0x70 [mod]",
            caller="T30",
        )
    )
    assert (report.kind, report.title) == ("memory-leak", "memory leak in leaker")


def test_task_that_is_hung_on_a_lock_is_named_by_who_waits() -> None:
    data = log(
        "INFO: task sh:77 blocked for more than 120 seconds.",
        "      Tainted: G           O       6.12.117 #1",
        '"echo 0 > /proc/sys/kernel/hung_task_timeout_secs" disables this message.',
        "task:sh              state:D stack:0     pid:77  tgid:77  ppid:1  flags:0x4",
        *stack("__schedule", "schedule", "rtnl_lock", "asker", "do_syscall_64"),
        "INFO: task sh:77 is blocked on a mutex likely owned by task ip:78.",
        "task:ip              state:D stack:0     pid:78  tgid:78  ppid:1  flags:0x4",
        *stack("__schedule", "holder"),
        caller="T30",
    )
    report = only(data)
    assert (report.function, report.frames) == ("asker", ("rtnl_lock", "asker"))
    assert " holder+0x1/0x20" in report.lines


def test_bystanders_of_a_stall_without_marks_end_where_their_stack_does() -> None:
    data = log(
        "rcu: INFO: rcu_preempt self-detected stall on CPU",
        "rcu: RCU grace-period kthread stack dump:",
        "task:rcu_preempt     state:R  running task     stack:    0 pid:   13 ppid:     2",
        "Call Trace:", " __schedule+0x1/0x20", " bystander+0x1/0x20", " ret_from_fork+0x1/0x20",
        "NMI backtrace for cpu 0", CPU, "Call Trace:", " <IRQ>", " dump_stack+0x1/0x20",
        " tick_sched_timer+0x1/0x20", " </IRQ>", "RIP: 0010:spinner+0x1/0x2",
        " caller_of_it+0x1/0x20",
        caller="C0",
    )  # fmt: skip
    assert only(data).title == "RCU stall in spinner"


def test_lines_of_others_do_not_cut_a_report_where_nobody_says_who_printed() -> None:
    shape = Shape(priority=False, stamp=True, caller=False)
    lines = (CASES / "body-sleeping-function.log").read_bytes().replace(b"[   T77]", b"")
    mixed = lines.replace(b"\n", b"\n[    5.000000] usb 6-1: USB disconnect, device number 4\n", 3)
    report = only(mixed.replace(b"<4>", b""), shape)
    assert report.function == "my_init"
    assert "usb" not in report.text


WARNED = (
    CUT,
    "WARNING: CPU: 1 PID: 77 at lib/kobject.c:1 kobject_get+0x1/0x2",
    "RIP: 0010:kobject_get+0x1/0x2",
)


def test_a_container_is_named_but_its_caller_is_at_fault() -> None:
    report = only(log(*WARNED, *stack("kobject_add", "owner", "caller_of_it"), END))
    assert report.function == "owner"
    assert report.frames == ("kobject_get", "owner", "caller_of_it")


def test_a_modules_function_is_at_fault_whatever_its_name() -> None:
    frames = ("Call Trace:", " <TASK>", " list_del_mine+0x1/0x2 [mod]", " f+0x1/0x2", " </TASK>")
    assert only(log(*WARNED, *frames, END)).function == "list_del_mine"
    plain = tuple(line.replace(" [mod]", "") for line in frames)
    assert only(log(*WARNED, *plain, END)).function == "f"


def test_an_inlined_function_of_a_symbolised_log_counts() -> None:
    frames = (
        " memcpy include/linux/string.h:1 [inline]",
        " reader mm/a.c:1 [inline]",
        " f+0x1/0x2",
    )
    assert only(log(*WARNED[:2], "Call Trace:", *frames, END)).function == "reader"


def test_the_functions_of_a_data_race_are_named() -> None:
    report = only(
        log("BUG: KCSAN: data-race in writer / reader", "write to 0x1 of 4 bytes by task 1:",
            " writer+0x1/0x2", " caller_of_it+0x1/0x2", "", "read to 0x1 of 4 bytes by task 2:",
            " reader+0x1/0x2")
    )  # fmt: skip
    assert report.frames == ("writer", "reader", "caller_of_it")


def test_a_stall_names_the_handler_and_the_entry() -> None:
    report = only(
        log(
            "rcu: INFO: rcu_preempt self-detected stall on CPU", CPU, "RIP: 0010:spinner+0x1/0x2",
            *stack("inner", "handler", "rtnetlink_rcv_msg", "netlink_rcv_skb", "sock_sendmsg",
                   "__sys_sendmsg", "__x64_sys_sendmsg", "do_syscall_64"),
            caller="C1",
        )
    )  # fmt: skip
    assert report.frames == ("spinner", "handler", "__x64_sys_sendmsg")


def test_a_deadlock_names_who_took_the_lock_before() -> None:
    report = only((CASES / "body-circular.log").read_bytes(), None)
    assert report.frames == ("my_write", "vfs_write", "my_open")


def test_a_lock_that_is_still_held_is_named_by_who_took_it() -> None:
    report = only(
        log(
            "================================================",
            "WARNING: lock held when returning to user space!",
            "6.12.117 #1 Not tainted",
            "------------------------------------------------",
            "sh/77 is leaving the kernel with locks still held!",
            "1 lock held by sh/77:",
            " #0: ffffffffc0201058 (a){+.+.}-{3:3}, at: forgetter+0x1d/0x60 [mod]",
        )
    )
    assert report.title == "lockdep: lock held when returning to user space in forgetter"


def test_a_work_item_that_leaks_a_lock_is_named() -> None:
    report = only(
        log(
            "BUG: workqueue leaked atomic, lock or RCU: kworker/0:1[12]",
            "     preempt=0x00000000 lock=0->1 RCU=0->0 workfn=leaker",
            "1 lock held by kworker/0:1/12:",
            *stack("dump_stack_lvl", "process_one_work", "worker_thread"),
        )
    )
    assert report.function == "leaker"


@pytest.mark.parametrize(
    ("symbol", "name"),
    [
        ("_RNvNtCs43vyB533jt3_6kernel5print11call_printk", "kernel::print::call_printk"),
        ("_RNvXs1_CscPPBqWtAqum_3modNtB5_5Thing4open", "mod::Thing::open"),
        ("kfree", "kfree"),
        ("_RN", "_RN"),
        ("_RNvC99short", "short"),
    ],
)
def test_rust_names_are_readable(symbol: str, name: str) -> None:
    assert readable(symbol) == name


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("rcu_tasks", "00000000a1b2c3d4: .N nvcsw: 2/2 holdout: 1 idle_cpu: -1/1"),
        ("rcu_tasks_trace", "P77: .... nesting: 1N cpu: 1"),
    ],
)
def test_a_stall_of_rcu_tasks_has_its_tasks_stack(name: str, line: str) -> None:
    data = log(
        f"INFO: {name} detected stalls on tasks:",
        line,
        "task:sh              state:R  running task     stack:0     pid:77    ppid:1",
        *stack("__schedule", "spinner"),
        caller="T14",
    )
    report = only(data)
    assert (report.title, report.task) == ("RCU stall in spinner", "sh:77")


def test_an_early_exception_names_the_function() -> None:
    report = only(
        log("PANIC: early exception 0x0e IP 10:ffffffff81000000 error 0 cr2 0x0", CPU,
            "RIP: 0010:setup_thing+0x1/0x20", caller="T0")
    )  # fmt: skip
    assert (report.kind, report.function) == ("panic", "setup_thing")


def test_an_interrupt_that_nobody_handles_is_read_to_its_end() -> None:
    report = only(
        log('irq 9: nobody cared (try booting with the "irqpoll" option)', CPU,
            *stack("dump_stack_lvl", "__report_bad_irq", "note_interrupt", "handle_irq_event"),
            "handlers:", "[<00000000deadbeef>] acpi_irq", "Disabling IRQ #9", caller="C0")
    )  # fmt: skip
    assert report.kind == "irq-unhandled"
    assert report.lines[-1] == "Disabling IRQ #9"


def test_memory_that_a_module_left_is_of_the_function_that_took_it() -> None:
    log = GOLDEN / "residue/allocation-profiling.log"
    functions = [report.function for report in parse(log.read_bytes())]
    assert functions[:2] == ["take_pages", "take_large"]
