# SPDX-License-Identifier: GPL-2.0-only
"""The faults that `regenerate.py` triggers in guests, one for each log of the corpus."""

from __future__ import annotations

from dataclasses import dataclass, field

# Detectors that fire soon, so that a log takes seconds. printk.devkmsg=on
# lifts the rate limit on what user space writes to the kernel's log. As in
# the lab, the boot is quiet and init opens the console to every level.
BOOT = (
    "console=ttyS0",
    "loglevel=4",
    "rcupdate.rcu_cpu_stall_timeout=5",
    "watchdog_thresh=4",
    "workqueue.watchdog_thresh=4",
    "printk.devkmsg=on",
)

# Only lockup detectors: an RCU stall's report would reset their clocks.
ALONE = ("rcupdate.rcu_cpu_stall_timeout=90", "workqueue.watchdog_thresh=0")

# The kernel says then which lines come from /dev/kmsg (facility 1, user).
SYSLOG = ("console_msg_format=syslog",)

# A boot in full.
LOUD = ("loglevel=7",)


@dataclass(frozen=True)
class Case:
    """One log: `script` runs in a guest as a child of init, which then powers off.

    `until` ends the guest at once when it matches the console's text, `grace`
    seconds later if that is set; `qmp` is what the host sends when the console
    says `kextlab: now`. `limit` is in seconds of the host.
    """

    name: str
    script: str
    boot: tuple[str, ...] = ()
    until: str = ""
    grace: float = 0.0
    limit: float = 40.0
    faults: bool = True
    pvpanic: bool = True
    panic_action: str = "none"
    memory: int = 256
    qmp: tuple[str, ...] = field(default=())


def fire(verb: str, *, cpu: int | None = None, seconds: int | None = None) -> str:
    """Shell words that ask the module `faults` for a fault."""
    prefix = f"echo {seconds} > /sys/module/faults/parameters/seconds\n" if seconds else ""
    command = f"sh -c 'echo {verb} > /sys/kernel/debug/kextlab_faults/fire'"
    return prefix + (f"taskset {1 << cpu:x} {command}" if cpu is not None else command)


# A BPF program that loops for days on CPU 1, after `load handle=a` and `attach`
# through a pipe that stays open.
_BPF_STALL = """\
mkfifo /commands
/kextload serve < /commands > /dev/null &
exec 9> /commands
echo "load handle=a path=/stall.bpf.o" >&9
echo "attach handle=a program=loop_nested" >&9
while ! /kextload bpf-objects | grep -q tracepoint; do usleep 100000; done
taskset 2 /kexttrigger syscall getpgid times=1 &
sleep {seconds}
"""


_OOPSES = [
    Case("oops-null-read", fire("null-read")),
    Case("oops-null-read-preempt-none", fire("null-read"), boot=("preempt=none",)),
    Case("oops-null-read-loud", fire("null-read"), boot=LOUD),
    Case("oops-null-read-no-time", fire("null-read"), boot=("printk.time=0",)),
    Case("oops-null-read-syslog", fire("null-read"), boot=SYSLOG),
    Case("oops-null-write-softirq", fire("null-write softirq") + "; sleep 9"),
    Case("oops-null-read-hardirq", fire("null-read hardirq") + "; sleep 9", boot=SYSLOG),
    Case("oops-null-exec-thread", fire("null-exec thread") + "; sleep 2"),
    Case("oops-bad-read", fire("bad-read")),
    Case("oops-readonly-write", fire("readonly")),
    Case("oops-divide", fire("divide")),
    Case("oops-invalid-opcode", fire("ud2")),
    Case("oops-int3", fire("int3")),
    Case("oops-delayed", fire("null-read task 1500") + "\necho quiet until now\nsleep 4"),
    Case("oops-twice", fire("null-read") + "\n" + fire("divide")),
    Case(
        "oops-both-cpus",
        f"{fire('null-read thread 700', cpu=0)}\n{fire('bad-read thread 700', cpu=1)}\nsleep 4",
    ),
    Case("oops-stray-timer", fire("stray-timer") + "\nrmmod faults\nsleep 9"),
    Case("panic-cut", fire("null-read softirq") + "\nsleep 9", panic_action="shutdown"),
    Case("stack-overflow-unseen", fire("stack"), panic_action="shutdown"),
    Case("oops-is-panic", fire("null-read"), boot=("oops=panic",)),
    Case("general-protection", fire("noncanonical")),
    Case("bug", fire("bug")),
    Case("bug-softirq-no-pvpanic", fire("bug softirq") + "; sleep 9", pvpanic=False, limit=12),
]

_ASSERTIONS = [
    Case("warn", fire("warn")),
    Case("warn-bare", fire("warn-bare"), boot=SYSLOG),
    Case("warn-once-twice", fire("warn-once") + "\n" + fire("warn-once")),
    Case("warn-hardirq", fire("warn hardirq") + "; sleep 1"),
    Case("warn-is-panic", fire("warn"), boot=("panic_on_warn=1",)),
    Case("refcount", fire("refcount")),
    Case("panic", fire("panic")),
    Case("panic-no-pvpanic", fire("panic"), pvpanic=False, limit=12),
    Case("panic-sysrq", "echo c > /proc/sysrq-trigger"),
    Case("panic-init-killed", "kill -SEGV 1; touch /die; sleep 9"),
    Case("panic-no-init", "", boot=("rdinit=/nowhere",), limit=15),
    Case("stack-overflow", fire("stack")),
    Case("stack-overflow-hardirq", fire("stack hardirq") + "; sleep 9"),
    Case("double-fault", fire("double-fault") + "; sleep 9"),
]

_STALLS = [
    Case("soft-lockup", fire("soft-lockup", cpu=1, seconds=12), boot=ALONE),
    Case("soft-lockup-twice", fire("soft-lockup", cpu=0, seconds=22), boot=ALONE, limit=60),
    Case("soft-lockup-panic", fire("soft-lockup", cpu=1), boot=("softlockup_panic=1", *ALONE)),
    Case("soft-lockup-spin", fire("spin-twice", cpu=1), ALONE, until="soft lockup", grace=2.0),
    Case(
        "soft-lockup-softirq",
        fire("soft-lockup softirq", cpu=1, seconds=12) + "\nsleep 14",
        boot=(*SYSLOG, *ALONE),
    ),
    Case(
        "hard-lockup",
        fire("hard-lockup thread 1", cpu=1, seconds=22) + "\nsleep 26",
        boot=ALONE,
    ),
    Case("hard-lockup-for-ever", fire("hard-lockup", cpu=1), until="hard LOCKUP", grace=9.0),
    Case("hard-lockup-panic", fire("hard-lockup", cpu=1), boot=("nmi_watchdog=panic", *ALONE)),
    Case("rcu-stall", fire("rcu-stall", cpu=1, seconds=9)),
    Case("rcu-stall-twice", fire("rcu-stall", cpu=1, seconds=24), limit=60),
    Case("rcu-stall-self", fire("soft-lockup", cpu=1, seconds=8)),
    Case("rcu-stall-then-all", fire("soft-lockup", cpu=1, seconds=19), limit=60),
    Case(
        "rcu-stall-preempt-none",
        fire("rcu-stall", cpu=1, seconds=8),
        boot=("preempt=none", *SYSLOG),
    ),
    Case(
        "rcu-stall-expedited",
        fire("rcu-stall thread", cpu=1, seconds=9)
        + "\nunshare -n true\nip link add v0 type dummy\nip link del v0\nsleep 10",
        boot=("rcupdate.rcu_expedited=1",),
    ),
    Case(
        "hung-task",
        f"echo 4 > /proc/sys/kernel/hung_task_timeout_secs\n{fire('hung-task', seconds=12)}",
    ),
    Case(
        "hung-task-mutex",
        "echo 4 > /proc/sys/kernel/hung_task_timeout_secs\n"
        f"{fire('mutex-twice')} &\n{fire('mutex-twice')} &\nsleep 12",
    ),
    Case(
        "hung-task-panic",
        "echo 4 > /proc/sys/kernel/hung_task_timeout_secs\n"
        f"echo 1 > /proc/sys/kernel/hung_task_panic\n{fire('hung-task')}",
    ),
    Case(
        "wq-lockup",
        fire("wq-lockup", cpu=1, seconds=14) + "\nsleep 15",
        boot=("rcupdate.rcu_cpu_stall_timeout=90", "watchdog_thresh=20"),
    ),
]

_BPF = [
    Case("bpf-stall", _BPF_STALL.format(seconds=19), ("preempt=none",), faults=False, limit=60),
    Case("bpf-soft-lockup", _BPF_STALL.format(seconds=13), ALONE, faults=False, limit=60),
]

_CORRUPTION = [
    Case("list-del", fire("list-del")),
    Case("list-add", fire("list-add"), boot=SYSLOG),
    Case("list-poison", fire("list-poison")),
    Case("atomic-sleep", fire("atomic-sleep")),
    Case("atomic-leaked", fire("leak-preempt")),
    Case("irqs-leaked", fire("leak-irqs-off") + "; sleep 1"),
    Case("slub-double-free", fire("double-free"), boot=("slub_debug=FZPU,kmalloc-64",)),
    Case("slub-use-after-free", fire("use-after-free"), boot=("slub_debug=FZPU,kmalloc-64",)),
    Case("oom", "tail /dev/zero"),
]

# Lines that look like reports, printed by programs in various ways.
FAKES = """\
BUG: kernel NULL pointer dereference, address: 0000000000000000
Oops: Oops: 0000 [#1] PREEMPT SMP NOPTI
CPU: 0 UID: 0 PID: 1 Comm: fake Not tainted 6.12.0 #1
RIP: 0010:fake+0x1/0x2
---[ end trace 0000000000000000 ]---
------------[ cut here ]------------
WARNING: CPU: 0 PID: 1 at fake.c:1 fake+0x1/0x2
watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [fake:1]
INFO: task fake:1 blocked for more than 120 seconds.
rcu: INFO: rcu_preempt self-detected stall on CPU
Kernel panic - not syncing: fake
"""

_TO = 'while read -r line; do echo "$line" > {to}; done < /fakes'

_BENIGN = [
    Case("benign-boot", "echo hello", faults=False, boot=LOUD),
    Case("benign-boot-syslog", "echo hello", faults=False, boot=(*SYSLOG, *LOUD)),
    Case("benign-boot-preempt-none", "uname -a", faults=False, boot=("preempt=none", *LOUD)),
    Case("benign-module", "insmod /hello.ko; lsmod; cat /proc/sys/kernel/tainted\nrmmod hello"),
    Case(
        "benign-module-refused",
        "insmod /etc/passwd; insmod /broken.ko; insmod /faults.ko; rmmod nothing; rmmod faults",
    ),
    Case(
        "benign-sysrq",
        "for key in h l m p q t w z; do echo $key > /proc/sysrq-trigger; sleep 1; done",
    ),
    Case(
        "benign-hotplug",
        "for n in 1 2; do for v in 0 1; do"
        " echo $v > /sys/devices/system/cpu/cpu1/online; done; done",
    ),
    Case("benign-fakes-console", "cat /fakes; cat /fakes > /dev/console"),
    Case("benign-fakes-console-loud", "cat /fakes", boot=LOUD),
    Case("benign-fakes-console-no-time", "cat /fakes", boot=("printk.time=0",)),
    Case("benign-fakes-kmsg-syslog", _TO.format(to="/dev/kmsg"), boot=SYSLOG),
    Case("forged-kmsg", _TO.format(to="/dev/kmsg")),
    Case(
        "forged-serial",
        "sed 's/^/[   99.000000][    T1] /' /fakes > /dev/ttyS0",
    ),
    Case("benign-nmi", "echo 'kextlab: now' > /dev/kmsg; sleep 2", qmp=("inject-nmi",)),
    Case(
        "benign-segfaults",
        "echo 1 > /proc/sys/kernel/print-fatal-signals\n/trap null; /trap ud2; /trap gp; /trap div"
        "; sh -c 'kill -ABRT $$'",
    ),
    Case(
        "benign-words",
        "touch '/tmp/Oops: 0000 [#1]'; ls /tmp\necho 'warning: unused variable'\n"
        "echo 'DEBUG: nothing'; echo 'ladybug BUG hunt'; echo 'panic: none of it'\n"
        "echo 'kextlab: step warn BUG Oops' > /dev/kmsg\n"
        "echo 'kextlab: WARNING: CPU usage of BUG: none' > /dev/kmsg\n",
    ),
    Case(
        "warn-after-prompt",
        f"printf 'guest # '; {fire('warn')}; printf 'half a line'; {fire('warn-bare')}",
    ),
    Case(
        "oops-amid-chatter",
        '(i=0; while [ $i -lt 300 ]; do echo "chatter $i BUG: no"; i=$((i+1)); done) &\n'
        f"usleep 300000; {fire('null-read')}\nwait",
    ),
    Case(
        "warn-garbage",
        "head -c 300 /dev/urandom > /dev/ttyS0; echo > /dev/ttyS0\n" + fire("warn"),
    ),
]


def named(verb: str, comm: str, *, cpu: int | None = None) -> str:
    """Return a shell line for `fire` in a task of another name, given in printf's form."""
    words = f'printf "{comm}" > /proc/$$/comm; echo {verb} > /sys/kernel/debug/kextlab_faults/fire'
    return (f"taskset {1 << cpu:x} " if cpu is not None else "") + f"sh -c '{words}'"


_PREFIX = "<0>[    1.000000][    T1] "

# Guests that choose names and texts to hide a report, or to forge one.
_HOSTILE = [
    Case(
        "hung-task-comm-newline",
        "echo 4 > /proc/sys/kernel/hung_task_timeout_secs\n" + named("hung-task", "a\\nb"),
        boot=SYSLOG,
        until="blocked for more",
        grace=2.0,
    ),
    Case(
        "soft-lockup-comm-newline",
        "echo 12 > /sys/module/faults/parameters/seconds\n"
        + named("soft-lockup", "a:1]\\nBUG: x", cpu=1),
        boot=(*SYSLOG, *ALONE),
    ),
    Case("atomic-comm-newline", named("atomic-sleep", "\\na\\n"), boot=SYSLOG),
    Case(
        "oom-comm-newline",
        "sh -c 'printf \"a\\n\" > /proc/$$/comm; x=0123456789abcdef; while :; do x=$x$x; done'",
        boot=SYSLOG,
    ),
    Case("oops-comm-newline", named("null-read", "a\\nBUG: x"), boot=SYSLOG),
    Case("oops-comm-control", named("null-read", "\\r<4>[1.000000]"), boot=SYSLOG),
    Case(
        "oops-time-switched-off",
        f"echo N > /sys/module/printk/parameters/time\n{fire('null-read')}",
        boot=SYSLOG,
    ),
    Case(
        "benign-forged-prefixes",
        f"echo '{_PREFIX}Kernel panic - not syncing: no' > /dev/kmsg\n"
        f"echo 'hello {_PREFIX}BUG: no' > /dev/kmsg\n"
        f"mount -t tmpfs -o '{_PREFIX}Kernel panic - not syncing: no' none /tmp\n"
        "printf '\\033[1m<4>\\033[0m[    5.000000]\\033[31m[   T77] BUG: no\\n' > /dev/ttyS0",
        boot=SYSLOG,
    ),
]

CASES = [*_OOPSES, *_ASSERTIONS, *_STALLS, *_BPF, *_CORRUPTION, *_BENIGN, *_HOSTILE]

# What the kernel of the corpus was configured with, as far as lines depend on it.
SYMBOLS = {"CONFIG_PRINTK_TIME": "y", "CONFIG_PRINTK_CALLER": "y"}
