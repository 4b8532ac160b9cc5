# SPDX-License-Identifier: GPL-2.0-only
"""Root attacks the witness: the process in the guest that reads for the oracles."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from lab.errors import InfraError
from lab.guest.forks import Forks
from lab.guest.guest import GuestSpec
from lab.runner.tool_check import ToolCheck

pytestmark = pytest.mark.integration

TRACE = r"""
#include <stdlib.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(int count, char **words)
{
	if (count == 2 && !ptrace(PTRACE_SEIZE, atoi(words[1]), 0, 0))
		pause();
	return 1;
}
"""


def test_a_traced_witness_is_not_believed(spec: GuestSpec, forks: Forks, tmp_path: Path) -> None:
    source, program = tmp_path / "trace.c", tmp_path / "trace"
    source.write_text(TRACE)
    subprocess.run(["gcc", "-static", "-O2", "-s", "-o", program, source], check=True)
    with forks.start(spec) as guest:
        guest.push({"/root/trace": program})
        check = ToolCheck(guest)
        check.end()
        done = guest.run(
            "w=$(pidof kextwitness); setsid /root/trace $w < /dev/null > /dev/null 2>&1 &\n"
            "until grep -q 'TracerPid:.[1-9]' /proc/$(pidof kextwitness)/status; do :; done"
        )
        assert done.ok
        with pytest.raises(InfraError, match="the witness is traced"):
            check.end()


# Looks for a text in the memory that a process may write to.
FIND = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int count, char **words)
{
	char line[512], path[64], *found = NULL;
	unsigned long from, to;
	FILE *maps;
	int memory;

	snprintf(path, sizeof(path), "/proc/%s/maps", words[1]);
	maps = fopen(path, "r");
	snprintf(path, sizeof(path), "/proc/%s/mem", words[1]);
	memory = open(path, O_RDONLY);
	while (count == 3 && maps && !found && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx rw", &from, &to) != 2 || !strstr(line, " rw"))
			continue;
		char *bytes = malloc(to - from);
		ssize_t got = bytes ? pread(memory, bytes, to - from, from) : 0;
		found = got > 0 ? memmem(bytes, got, words[2], strlen(words[2])) : NULL;
	}
	return found ? 0 : 1;
}
"""


def test_root_can_read_the_witnesss_word(spec: GuestSpec, forks: Forks, tmp_path: Path) -> None:
    """Nothing shows that the guest's memory was read, so any process with the word can answer."""
    source, program = tmp_path / "find.c", tmp_path / "find"
    source.write_text(FIND)
    subprocess.run(["gcc", "-static", "-O2", "-s", "-o", program, source], check=True)
    with forks.start(spec) as guest:
        guest.push({"/root/find": program})
        check = ToolCheck(guest)
        find = "/root/find $(pidof kextwitness)"
        assert guest.run(f"{find} {guest.witness._word}").ok
        assert not guest.run(f"{find} {'0' * 32}").ok
        check.end()


def test_a_mount_that_is_gone_before_the_witness_looks_passes(
    spec: GuestSpec, forks: Forks
) -> None:
    """Root freezes the witness, so that it wakes when all is as it was."""
    with forks.start(spec) as guest:
        check = ToolCheck(guest)
        done = guest.run(
            """
            mkdir /tmp/groups && mount -t cgroup2 none /tmp/groups && mkdir /tmp/groups/x || exit
            cd /tmp/groups/x
            pidof kextwitness > cgroup.procs
            echo 1 > cgroup.freeze
            until grep -q 'frozen 1' cgroup.events; do :; done
            mount -t tmpfs none /proc && umount /proc || exit
            echo 0 > cgroup.freeze
            """
        )
        assert done.ok, done.stderr
        check.end()
