# SPDX-License-Identifier: GPL-2.0-only
"""The stage at which a load fails: only the verifier's refusal is a rejection."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness.loader_guest import LoaderGuest, alone

from lab.extension.c import build_c
from lab.guest.guest import Guest
from lab.guest.loader import LoaderAnswer
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.workspace import Workspace

pytestmark = pytest.mark.integration

Load = Callable[..., LoaderAnswer]

HEAD = """\
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "GPL";
"""

BAD_MAP = """
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 0);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("socket") int right(void *context)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&seen, &key) ? 1 : 0;
}
"""

NO_KFUNC = """
extern void no_such_kernel_function(void) __ksym;

SEC("tc") int lacks(void *context)
{
	no_such_kernel_function();
	return 0;
}
"""

NEW_SECTION = """
SEC("no_such_section/ingress") int right(void *context)
{
	return 0;
}
"""

NO_TARGET = """
SEC("fentry/no_such_function") int BPF_PROG(never)
{
	return 0;
}
"""

NO_FIELD = """
struct task_struct___other { int no_such_field; } __attribute__((preserve_access_index));

SEC("raw_tp/sys_enter") int lacks(void *context)
{
	struct task_struct___other *task = (void *)bpf_get_current_task();

	return BPF_CORE_READ(task, no_such_field);
}
"""

# A kernel for machines without infrared receivers.
NO_SUCH_KIND = """
SEC("lirc_mode2") int right(void *context)
{
	return 0;
}
"""

TWO_STORAGES = """
#define STORAGE(name)						\\
	struct {						\\
		__uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);	\\
		__type(key, struct bpf_cgroup_storage_key);	\\
		__type(value, __u64);				\\
	} name SEC(".maps")

STORAGE(first);
STORAGE(second);

SEC("cgroup_skb/egress") int uses_both(void *context)
{
	__u64 *a = bpf_get_local_storage(&first, 0);
	__u64 *b = bpf_get_local_storage(&second, 0);

	return *a + *b > 0;
}
"""

THREE = """
SEC("socket") int right(void *context)
{
	return 1;
}

SEC("socket") int reads_null(void *context)
{
	return *(volatile int *)0;
}

SEC("socket") int right_too(void *context)
{
	return 2;
}
"""

NOTE = '__attribute__((noinline, btf_decl_tag("{0}: {1}"))) int f{0}(int v) {{ return v * {0}; }}\n'
# The kernel refuses this BTF because of a parameter without a name. Libbpf continues without
# it, with a warning longer than the 16 KiB that are kept.
LONG_WARNING = (
    "".join(NOTE.format(number, "x" * 300) for number in range(70))
    + """
SEC("socket") __attribute__((naked)) int nameless(void *context)
{
	asm volatile("r0 = 0; exit;");
}

SEC("socket") int reads_null(void *context)
{
	int sum = 0;
"""
    + "".join(f"\tsum += f{number}(sum);\n" for number in range(70))
    + "\treturn sum + *(volatile int *)0;\n}\n"
)

NOT_THE_VERIFIER = {
    "a map that can't be made": (BAD_MAP, "map", "EINVAL", "map 'seen': failed to create"),
    "a kernel function": (NO_KFUNC, "relocate", "EINVAL", "'no_such_kernel_function': not found"),
    "a section": (NEW_SECTION, "relocate", "EINVAL", "'no_such_section/ingress'"),
    "a place": (NO_TARGET, "relocate", "ESRCH", "type ID of 'no_such_function'"),
    "a field": (NO_FIELD, "relocate", "EINVAL", "failed to resolve CO-RE relocation"),
    "a kind of program": (NO_SUCH_KIND, "load", "EINVAL", "BPF program load failed"),
}
THE_VERIFIER = {
    "EACCES": (THREE, None, "EACCES", "reads_null", "invalid mem access 'scalar'"),
    "EBUSY": (TWO_STORAGES, None, "EBUSY", "uses_both", "only one cgroup storage of each type"),
    "after a long warning": (LONG_WARNING, "reads_null", "EACCES", "reads_null", "mem access"),
}


@pytest.fixture
def loader(guest: Guest, stock: Kernel, planner: Planner) -> Iterator[LoaderGuest]:
    yield from alone(guest, stock, planner)


@pytest.fixture
def load(loader: LoaderGuest, stock: Kernel, planner: Planner, tmp_path: Path) -> Load:
    """Compile a source and load it."""

    def load(source: str, autoload: str | None = None) -> LoaderAnswer:
        (tmp_path / "case.bpf.c").write_text(HEAD + source)
        path = build_c(Workspace(c=(tmp_path,)), "case", stock, planner.cache).path
        return loader.call("load", handle="a", path=loader.push_file(path), autoload=autoload)

    return load


@pytest.mark.parametrize("case", NOT_THE_VERIFIER)
def test_what_the_verifier_never_saw(load: Load, case: str) -> None:
    source, stage, errname, said = NOT_THE_VERIFIER[case]
    answer = load(source)
    assert (answer.ok, answer["stage"], answer["errname"]) == (False, stage, errname), answer
    assert answer["error"].startswith("/root/case.bpf.o: not loaded: libbpf: ")
    assert said in answer["error"]


@pytest.mark.parametrize("case", THE_VERIFIER)
def test_the_verifiers_word(load: Load, case: str) -> None:
    source, autoload, errname, program, said = THE_VERIFIER[case]
    answer = load(source, autoload)
    assert (answer.ok, answer["stage"], answer["errname"]) == (False, "verify", errname), answer
    assert answer["program"] == program
    assert said in answer["log"]
    assert "\nprocessed " in answer["log"]


def test_a_rejection_of_one_is_not_that_of_another(load: Load, loader: LoaderGuest) -> None:
    assert load(THREE, "right,right_too").ok
    loader.do("unload", handle="a")
    assert load(THREE)["program"] == "reads_null"


def test_a_call_that_is_not_allowed(load: Load, loader: LoaderGuest) -> None:
    assert load(THREE, "right").ok
    loader.do("unload", handle="a")
    said = loader.guest.run(
        "cp /root/case.bpf.o /tmp; cp /etc/passwd /tmp;"
        "echo 'other:x:1000:1000::/:/bin/sh' >> /etc/passwd;"
        "echo 'load handle=a path=/tmp/case.bpf.o' | su other -c 'kextload serve';"
        "cat /tmp/passwd > /etc/passwd"
    )
    assert '"errname":"EPERM"' in said.stdout, said
    assert '"stage":"permission"' in said.stdout
