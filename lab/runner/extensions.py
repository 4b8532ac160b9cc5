# SPDX-License-Identifier: GPL-2.0-only
"""Extensions in a guest: load, attach, read, count and unload them."""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.deadline import Deadline
from lab.errors import InfraError
from lab.guest.guest import Guest
from lab.guest.loader import LoaderAnswer
from lab.judge.observation import Iteration, StepResult
from lab.runner import shell_lines
from lab.runner.residue import STARTED, Residue, insert_line
from lab.scenario.model.base import Ref
from lab.scenario.model.extensions import BaseExtension, ModuleExtension, ProgramExtension
from lab.scenario.model.steps import AttachStep, LoadStep, PinStep, ReadStep, WriteStep
from lab.words import OUTCOMES, VERIFY, Outcome

# Seconds on the reference host. A verifier that explores a million
# instructions takes about 10 s under emulation.
LOAD_SECONDS = 60.0

# A context for the unload of a module, from the module's name and its file.
Unloading = Callable[[str, Path | None], contextlib.AbstractContextManager[None]]

WORK_FOLDER = "/root"

# A key in counts of runs, next to the outcomes; it is not an outcome, but a kind of `refused`.
MISSED = "missed"


# Insmod's messages for a module whose content the kernel refuses. All others come from the
# module's own init function, or from the system: out of memory, loaded already.
_MODULE_REFUSED = re.compile(
    r"invalid module format|exec format error|unknown symbol|wrong symbol version"
    r"|key was rejected|required key not available|key has (been revoked|expired)"
    r"|bad message|package not installed",
    re.I,
)


# The texts of C libraries for error numbers, with their names.
_ERRORS = {os.strerror(number).lower(): name for number, name in errno.errorcode.items()}


def _errname(said: str) -> str:
    """Return the name of the error in insmod's final output; "" if there is none."""
    return _ERRORS.get(said.strip().rpartition(": ")[2].lower(), "")


@dataclass(frozen=True)
class Artifact:
    """A built extension."""

    path: Path | None  #: its file on the host; None if it was not compiled
    compiler_log: str = ""  #: the compiler's output, if it was not compiled
    debug: Path | None = None  #: the file with the names of its functions by offset, if any

    @property
    def in_guest(self) -> str:
        """Its path in the guest."""
        assert self.path is not None
        return f"{WORK_FOLDER}/{self.path.name}"


def run_counts(program: Mapping[str, Any]) -> dict[str, int]:
    """Return a program's runs since its load by outcome, from its entry in `stats`.

    Native programs have `outcomes`, by word. The kernel counts the runs of
    eBPF programs (`run_cnt`), which all return. Runs that it dropped because the
    program was running already (`recursion_misses`) are in neither of these counts.
    Raises `InfraError` for an unknown outcome.
    """
    counts = program.get("outcomes")
    if counts is None:
        counts = {"returned": program["run_cnt"]}
    strange = sorted(set(counts) - set(OUTCOMES))
    if strange:
        raise InfraError(f"the loader counts unknown outcomes: {', '.join(strange)}")
    found = {word: int(count) for word, count in counts.items()}
    return found | {MISSED: int(program.get("recursion_misses", 0))}


def _increase(name: str, before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    more = {word: count - before.get(word, 0) for word, count in now.items()}
    for word, count in more.items():
        if count < 0:
            raise InfraError(f"{name}: the count of {word} went down by {-count}")
    return more


class LoadedExtensions:
    """The extensions that one iteration loads; their runs are added to its counts."""

    def __init__(
        self,
        guest: Guest,
        extensions: Mapping[str, BaseExtension],
        artifacts: Mapping[str, Artifact],
        iteration: Iteration,
        limit: Callable[[float | None], Deadline],
        unloading: Unloading | None = None,
        residue: Residue | None = None,
    ) -> None:
        self._guest = guest
        self._extensions = extensions
        self._artifacts = artifacts
        self._iteration = iteration
        self.limit = limit
        self._unloading = unloading
        self._residue = residue
        self.loaded: dict[str, BaseExtension] = {}
        self._counts: dict[tuple[str, str], Mapping[str, int]] = {}

    # Extensions

    def load(self, step: LoadStep, result: StepResult) -> None:
        extension = self._extensions[step.load]
        artifact = self._artifacts[step.load]
        if artifact.path is None:
            result.compiler_log = artifact.compiler_log
            result.problem = "the compiler did not accept it"
            self._count_failed_load("not_compiled", result)
            return
        if isinstance(extension, ModuleExtension):
            self._insert(step.load, extension, artifact.path, result)
            return
        answer = self.call(
            "load",
            result,
            seconds=LOAD_SECONDS,
            handle=step.load,
            path=artifact.in_guest,
            autoload=_autoload(extension),
        )
        result.log = str(answer.get("log", ""))
        if answer.ok:
            self.loaded[step.load] = extension
            for program in answer.get("programs", []):
                self._counts[step.load, program["name"]] = {}
                if "id" in program:
                    named = Ref(step.load, str(program["name"]))
                    self._iteration.programs[int(program["id"])] = named
        elif result.stage == VERIFY:
            result.rejected = str(answer.get("program") or "")
            self._count_failed_load("rejected", result)

    def _count_failed_load(self, outcome: Outcome, result: StepResult) -> None:
        result.outcomes[outcome] += 1
        self._iteration.outcomes[outcome] += 1

    def _insert(
        self, name: str, extension: ModuleExtension, path: Path, result: StepResult
    ) -> None:
        words = [f"{key}={shell_lines.scalar_text(value)}" for key, value in extension.args.items()]
        line = insert_line(f"{WORK_FOLDER}/{path.name}", words, extension.module_name)
        done = self._guest.run(line, self.limit(LOAD_SECONDS))
        result.status, result.output = done.status, done.stderr
        if done.ok:
            self.loaded[name] = extension
            if self._residue is not None:
                self._residue.inserted(extension.module_name, path, done.stdout)
        else:
            result.problem = f"insmod: {done.stderr.strip()}"
            result.log = done.stderr
            started = STARTED in done.stdout.splitlines()
            if _MODULE_REFUSED.search(done.stderr) and not started:
                result.stage = VERIFY
                self._count_failed_load("rejected", result)
            else:
                result.stage = "init"
                result.errname = _errname(done.stderr)

    def unload(self, name: str) -> str:
        extension = self.loaded.pop(name, None)
        if extension is None:
            return f"{name} is not loaded"
        if isinstance(extension, ModuleExtension):
            with self._unload_watched(extension.module_name, self._artifacts[name].path):
                done = self._guest.run(f"rmmod {extension.module_name}", self.limit(None))
            if done.ok and self._residue is not None:
                self._residue.removed(extension.module_name)
            return "" if done.ok else f"rmmod: {done.stderr.strip()}"
        answer = self._guest.loader.call("unload", self.limit(None), handle=name)
        for key in [key for key in self._counts if key[0] == name]:
            del self._counts[key]
        return "" if answer.ok else answer.problem

    def _unload_watched(
        self, module: str, path: Path | None
    ) -> contextlib.AbstractContextManager[None]:
        if self._unloading is None:
            return contextlib.nullcontext()
        return self._unloading(module, path)

    def attach(self, step: AttachStep, result: StepResult) -> None:
        spec = step.attach
        extension = self._extensions[spec.extension]
        wanted: list[tuple[str, str | None, int | None]]
        if spec.program is not None:
            wanted = [(spec.program, spec.to, spec.cpu)]
        elif isinstance(extension, ProgramExtension) and extension.attach is not None:
            wanted = [(one.program, one.to, one.cpu) for one in extension.attach]
        else:
            names = [program for handle, program in self._counts if handle == spec.extension]
            wanted = [(name, None, None) for name in names]
        for program, target, cpu in wanted:
            answer = self.call(
                "attach", result, handle=spec.extension, program=program, to=target, cpu=cpu
            )
            if not answer.ok:
                return

    # Maps

    def read(self, step: ReadStep, result: StepResult) -> None:
        ref = step.read.map
        key = step.read.key
        # A read removes entries from a queue or a ring buffer: read no more than necessary.
        limit = 1 if key is None else None
        answer = self.call("read", result, handle=ref.extension, map=ref.name, key=key, limit=limit)
        if answer.ok:
            entries = answer.get("entries", [])
            if not entries:
                result.problem = f"{ref} has no entry" + (
                    "" if step.read.key is None else f" {step.read.key}"
                )
            else:
                result.value = entries[0].get("value")

    def write(self, step: WriteStep, result: StepResult) -> None:
        spec = step.write
        self.call(
            "write",
            result,
            handle=spec.map.extension,
            map=spec.map.name,
            key=spec.key,
            value=spec.value,
        )

    def pin(self, step: PinStep, result: StepResult) -> None:
        spec = step.pin
        self.call(
            "pin",
            result,
            handle=spec.ref.extension,
            path=spec.path,
            map=spec.map.name if spec.map else None,
            program=spec.program.name if spec.program else None,
        )

    def read_maps(self, wanted: Mapping[Ref, Any]) -> dict[Ref, dict[int | str, int | None]]:
        found: dict[Ref, dict[int | str, int | None]] = {}
        for ref, keys in wanted.items():
            found[ref] = {}
            for key in keys:
                answer = self._guest.loader.call(
                    "read", self.limit(None), handle=ref.extension, map=ref.name, key=key
                )
                entries = answer.get("entries") or [{}]
                found[ref][key] = entries[0].get("value") if answer.ok else None
        return found

    # Counting

    def account(self, result: StepResult | None = None) -> None:
        """Add the runs since the last call to the totals, and to a step's result."""
        for handle, extension in self.loaded.items():
            if isinstance(extension, ModuleExtension):
                continue
            answer = self._guest.loader.call("stats", self.limit(None), handle=handle)
            if not answer.ok:
                raise InfraError(f"the runs of {handle} could not be counted: {answer.problem}")
            for program in answer.get("programs", []):
                key = (handle, str(program["name"]))
                before, now = self._counts.get(key, {}), run_counts(program)
                self._counts[key] = now
                self._add(_increase(f"{handle}.{program['name']}", before, now), result)

    def _add(self, more: Mapping[str, int], result: StepResult | None) -> None:
        """Add counts of runs to the iteration, and to a step's result."""
        for total in (self._iteration, result):
            if total is None:
                continue
            for word, count in more.items():
                if not count:
                    continue
                if word == MISSED:
                    total.misses += count
                total.outcomes["refused" if word == MISSED else word] += count

    def call(
        self, verb: str, result: StepResult, seconds: float | None = None, **arguments: Any
    ) -> LoaderAnswer:
        answer = self._guest.loader.call(verb, self.limit(seconds), **arguments)
        result.answers.append({key: value for key, value in answer.items() if key != "log"})
        if not answer.ok:
            result.problem = answer.problem
            result.errname = str(answer.get("errname", ""))
            result.stage = str(answer.get("stage", ""))
        return answer


def _autoload(extension: BaseExtension) -> str | None:
    """Return the loader's argument for the programs to load; None means all."""
    if not isinstance(extension, ProgramExtension) or extension.programs is None:
        return None
    return ",".join(extension.programs)
