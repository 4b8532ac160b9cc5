# SPDX-License-Identifier: GPL-2.0-only
"""Check for steps in an order that can't work, and for work that no step starts or loads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from lab.config.suggest import closest, did_you_mean
from lab.config.yaml_file import Flaw, Map, Mark, Seq
from lab.scenario.checks.data import (
    at_key,
    at_value,
    extensions,
    failed_load,
    mapping,
    number,
    ref,
    sequence,
    text,
    walk,
)
from lab.scenario.model.base import BUDGET

ALL = "*"
# Mappings whose keys the format does not define: a module may have a parameter `cpu`.
_OPAQUE = ("machine", "args", "sysctl", "debug", "parameters", "maps", "boot")


def check(data: Map) -> Iterator[Flaw]:
    """Find all flaws in one scenario's data, with its parameters inserted."""
    yield from _shape(data)
    yield from _cpus(data)
    yield from _clock(data)
    yield from _budget(data)
    steps = sequence(data, "steps")
    if steps and not ("extension" in data and "extensions" in data):
        flow = _Flow(data)
        flow.run(steps)
        yield from dict.fromkeys(flow.flaws)
        yield from flow.at_end()
    yield from _churned(data)


def _shape(data: Map) -> Iterator[Flaw]:
    if "extension" in data and "extensions" in data:
        yield at_key(data, "extension", "give either 'extension' or 'extensions'")
    if "trigger" in data and "steps" in data:
        yield at_key(data, "trigger", "with 'steps' the trigger is one of them: '- trigger: …'")
    busy = any(key in data for key in ("trigger", "steps", "compare"))
    # A misspelt key is reported separately, and may be the missing one.
    misspelt = any(closest(key, ("trigger", "steps")) for key in data)
    if not busy and not misspelt and not failed_load(data) and "expect" in data:
        yield Flaw(data.mark, "this scenario does nothing: give 'trigger' or 'steps'")
    for step in walk(sequence(data, "steps")):
        boot = mapping(step, "set")
        if "boot" in boot:
            yield at_key(
                boot,
                "boot",
                "the guest has booted by then: boot arguments belong to 'set' of the scenario",
            )


def _cpus(data: Map) -> Iterator[Flaw]:
    machine = mapping(data, "machine")
    cpus = number(machine, "cpus") or 2
    threads = number(machine, "threads") or 1
    if cpus % threads:
        yield at_value(
            machine, "threads", f"{cpus:g} CPUs can't be cores of {threads:g} threads each"
        )
    for holder in _holders(data):
        for key in ("cpu", "cpu_hotplug"):
            cpu = number(holder, key)
            if cpu is None:
                continue
            if cpu >= cpus:
                last = f"{cpus:g} CPUs, the last is {cpus - 1:g}"
                yield at_value(holder, key, f"no CPU {cpu:g}: the machine has {last}")
            elif cpu == 0 and key == "cpu_hotplug":
                yield at_value(holder, key, "CPU 0 can't be taken offline")


def _clock(data: Map) -> Iterator[Flaw]:
    """Find times in seconds on a machine where a second is a number of instructions."""
    if text(mapping(data, "machine"), "clock") != "instructions":
        return
    for holder in (data, *walk(sequence(data, "steps"))):
        expect = mapping(holder, "expect")
        if "time" in expect:
            yield at_key(
                expect, "time", "this machine's clock follows its instructions: leave 'clock' out"
            )


def _budget(data: Map) -> Iterator[Flaw]:
    if "budget_ms" not in data:
        return
    if not any("rust" in extension for extension in extensions(data).values()):
        yield at_key(data, "budget_ms", "'budget_ms' limits Rust programs, and there is none")
    for name in mapping(mapping(data, "set"), "sysctl"):
        if isinstance(name, str) and name.replace("/", ".") == BUDGET:
            yield at_key(
                data["set"]["sysctl"], name, "'budget_ms' already sets this: leave one of them out"
            )


def _holders(data: Any) -> Iterator[Map]:
    if isinstance(data, Map):
        yield data
        for key, value in data.items():
            if key not in _OPAQUE:
                yield from _holders(value)
    elif isinstance(data, Seq):
        for value in data:
            yield from _holders(value)


def _churned(data: Map) -> Iterator[Flaw]:
    known = extensions(data)
    for work in mapping(data, "background").values():
        name = text(work, "load_unload")
        if name is not None and name not in known:
            yield at_value(work, "load_unload", _no_extension(name, known))


def _no_extension(name: str, known: dict[str, Map]) -> str:
    if not known:
        return f"there is no extension '{name}': 'extensions' is missing"
    return f"there is no extension '{name}'{did_you_mean(name, known)}"


# Keys with which a load is expected to fail.
FAILURES = ("outcome", "program", "stage", "error")

# Verbs that may come at any place: they do not need anything loaded or started.
ANYWHERE = ("set", "shell", "console", "wait_for")


class _Flow:
    """Walk the steps as the runner would, and track what is loaded, attached and started."""

    def __init__(self, data: Map) -> None:
        self.data = data
        self.known = extensions(data)
        self.works = mapping(data, "background")
        self.loaded: dict[str, Mark] = {}
        self.unloaded: dict[str, Mark] = {}
        self.rejected: dict[str, Mark] = {}
        self.attached: dict[tuple[str, str, str], Mark] = {}
        self.running: dict[str, Mark] = {}
        self.assumed: set[str] = set()  # reported already as not loaded
        self.named: dict[str, Mark] = {}
        self.ever_loaded: set[str] = set()
        self.ever_started: set[str] = set()
        self.flaws: list[Flaw] = []
        # The order matters if a step has more than one verb, which is reported separately.
        self.verbs: Mapping[str, Callable[[Map], None]] = {
            "load": self._load,
            "attach": self._attach,
            "trigger": self._trigger,
            "read": self._read,
            "write": self._write,
            "pin": self._pin,
            "unload": self._unload,
            "start": self._start,
            "stop": self._stop,
            "repeat": self._repeat,
        }

    def run(self, steps: Seq) -> None:
        for step in steps:
            if not isinstance(step, Map):
                continue
            self._name(step)
            for verb, check in self.verbs.items():
                if verb in step:
                    check(step)

    def at_end(self) -> Iterator[Flaw]:
        expect = mapping(self.data, "expect")
        for name in self.known:
            churned = any(text(work, "load_unload") == name for work in self.works.values())
            if name not in self.ever_loaded and not churned:
                yield self._declared(name)
        for name in self.works:
            if name not in self.ever_started:
                yield at_key(self.works, name, f"no step starts '{name}': add '- start: {name}'")
        if expect.get("kernel", "alive") != "alive" or failed_load(self.data):
            return
        if expect.get("resources", "released") == "released":
            for name, mark in self.loaded.items():
                yield Flaw(
                    mark,
                    f"'{name}' is never unloaded, so its resources can't be released: "
                    f"add '- unload: {name}', or expect 'resources: kept'",
                )

    def _declared(self, name: str) -> Flaw:
        message = f"no step loads '{name}': add '- load: {name}'"
        if "extension" in self.data:
            return at_key(self.data, "extension", message)
        return at_key(self.data["extensions"], name, message)

    def _flaw(self, mark: Mark, message: str) -> None:
        self.flaws.append(Flaw(mark, message))

    def _name(self, step: Map) -> None:
        name = text(step, "as")
        if name is None:
            return
        mark = step.values_at["as"]
        if name in self.works:
            self._flaw(mark, f"'{name}' is background work already: choose another name")
        elif self.named.get(name, mark) != mark:
            self._flaw(
                mark, f"the name '{name}' is taken by the step in line {self.named[name].line}"
            )
        self.named.setdefault(name, mark)

    def _extension(self, name: Any, mark: Mark) -> Map | None:
        if not isinstance(name, str):
            return None
        if name not in self.known:
            self._flaw(mark, _no_extension(name, self.known))
            return None
        return self.known[name]

    def _usable(self, name: str, mark: Mark) -> bool:
        """Return whether the extension is loaded here, and add a flaw if not."""
        if name in self.loaded or name in self.assumed:
            return True
        if name in self.rejected:
            self._flaw(
                mark,
                f"'{name}' is not loaded: line {self.rejected[name].line} expects its load to fail",
            )
        elif name in self.unloaded:
            self._flaw(mark, f"'{name}' is unloaded in line {self.unloaded[name].line}")
        else:
            self._flaw(mark, f"'{name}' is not loaded yet: add '- load: {name}' before this step")
        # One such error is enough for all steps up to the next load.
        self.assumed.add(name)
        return False

    def _load(self, step: Map) -> None:
        name, mark = step["load"], step.values_at["load"]
        if self._extension(name, mark) is None:
            return
        if name in self.loaded:
            self._flaw(mark, f"'{name}' is loaded already, in line {self.loaded[name].line}")
        self.ever_loaded.add(name)
        self.assumed.discard(name)
        expect = mapping(step, "expect")
        alone = sum("load" in each for each in walk(sequence(self.data, "steps"))) == 1
        if any(key in expect for key in FAILURES) or (alone and failed_load(self.data)):
            self.rejected[name] = mark
        else:
            self.loaded[name] = mark
            self.unloaded.pop(name, None)
            self.rejected.pop(name, None)

    def _attach(self, step: Map) -> None:
        said, mark = step["attach"], step.values_at["attach"]
        program, target = text(said, "program") or ALL, text(said, "to") or ""
        name = said if isinstance(said, str) else text(said, "extension")
        place = said.values_at["extension"] if isinstance(said, Map) and name else mark
        extension = self._extension(name, place)
        if extension is None or name is None or not self._usable(name, place):
            return
        if "module" in extension:
            self._flaw(mark, f"'{name}' is a module: it has nothing to attach")
            return
        same = [key for key in self.attached if key[0] == name]
        for key in ((name, program, target), (name, ALL, "")):
            # A program may be attached to several targets, but to each only once.
            if key in same and (key[1] == program or not target):
                self._flaw(
                    mark,
                    f"'{name if program == ALL else f'{name}.{program}'}' "
                    f"is attached already, in line {self.attached[key].line}",
                )
                return
        if program == ALL and same:
            first = same[0]
            self._flaw(
                mark,
                f"'{name}.{first[1]}' is attached already, in line "
                f"{self.attached[first].line}: attach the other programs by name",
            )
            return
        if "error" not in mapping(step, "expect"):
            self.attached[(name, program, target)] = mark

    def _trigger(self, step: Map) -> None:
        trigger = mapping(step, "trigger")
        if "run" in trigger:
            self._used(trigger, "run")
        if trigger.get("background") is True and text(step, "as"):
            self.running[step["as"]] = step.values_at["as"]

    def _read(self, step: Map) -> None:
        self._used(mapping(step, "read"), "map")

    def _write(self, step: Map) -> None:
        self._used(mapping(step, "write"), "map")

    def _pin(self, step: Map) -> None:
        for key in ("map", "program"):
            self._used(mapping(step, "pin"), key)

    def _used(self, holder: Map, key: str) -> None:
        found = ref(holder.get(key), self.known)
        if found is not None and found.extension in self.known:
            self._usable(found.extension, holder.values_at[key])

    def _unload(self, step: Map) -> None:
        name, mark = step["unload"], step.values_at["unload"]
        if self._extension(name, mark) is None or not self._usable(name, mark):
            return
        self.loaded.pop(name, None)
        self.assumed.discard(name)
        self.unloaded[name] = mark
        for key in [key for key in self.attached if key[0] == name]:
            del self.attached[key]

    def _start(self, step: Map) -> None:
        name, mark = step["start"], step.values_at["start"]
        if not isinstance(name, str):
            return
        if name not in self.works:
            meant = did_you_mean(name, self.works)
            self._flaw(mark, f"there is no background work '{name}'{meant}")
            return
        if name in self.running:
            self._flaw(mark, f"'{name}' runs already, since line {self.running[name].line}")
        self.ever_started.add(name)
        self.running[name] = mark

    def _stop(self, step: Map) -> None:
        name, mark = step["stop"], step.values_at["stop"]
        if not isinstance(name, str):
            return
        if name in self.running:
            del self.running[name]
        elif name in self.works or name in self.named:
            self._flaw(mark, f"'{name}' does not run here: nothing has started it")
        else:
            known = [*self.works, *self.named]
            self._flaw(mark, f"there is nothing '{name}' to stop{did_you_mean(name, known)}")

    def _repeat(self, step: Map) -> None:
        repeat = mapping(step, "repeat")
        steps = sequence(repeat, "steps")
        self.run(steps)
        if (number(repeat, "times") or 1) > 1:
            before = len(self.flaws)
            self.run(steps)
            said = {flaw.mark for flaw in self.flaws[:before]}
            self.flaws[before:] = [
                Flaw(flaw.mark, f"{flaw.message} (when it is repeated)")
                for flaw in self.flaws[before:]
                if flaw.mark not in said
            ]
