# SPDX-License-Identifier: GPL-2.0-only
"""Steps, which an item runs one after the other."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, Field, model_validator

from lab.config.part import Abbreviated, Int, OneOf, Part, Text, flaw, kinds_of
from lab.scenario.model.base import (
    BPF_PATH,
    SYSCTL,
    Cpu,
    MapKey,
    MapRef,
    MapValue,
    Name,
    ProgramRef,
    Ref,
    Regex,
    Scalar,
    Seconds,
)
from lab.scenario.model.expect import (
    AttachExpect,
    LoadExpect,
    ReadExpect,
    ShellExpect,
    StepExpect,
    TriggerExpect,
)
from lab.scenario.model.extensions import Target
from lab.scenario.model.triggers import Trigger
from lab.words import ReportKind


class BaseStep(Part):
    """The common part of all steps: the `verb`, which is also the key, and an optional name."""

    verb: ClassVar[str]

    name: Name | None = Field(default=None, alias="as")

    @property
    def label(self) -> str:
        """A short description of the step, for progress and reports."""
        return self.name or f"{self.verb} {self._object()}".rstrip()

    def _object(self) -> str:
        return str(getattr(self, self.verb))


class LoadStep(BaseStep):
    """Load an extension: an object through the loader, a module by insmod."""

    verb = "load"
    load: Name
    expect: LoadExpect | None = None


class AttachSpec(Abbreviated):
    """The programs to attach: an extension's whole attach list, or one `program` of it."""

    lone = "extension"

    extension: Name
    program: Text | None = None
    to: Target | None = None
    cpu: Cpu | None = None

    @model_validator(mode="after")
    def _whose(self) -> Self:
        if self.program is None and (self.to is not None or self.cpu is not None):
            raise flaw("'to' and 'cpu' need a program: 'program' is missing")
        return self


class AttachStep(BaseStep):
    """Attach the programs of a loaded extension."""

    verb = "attach"
    attach: AttachSpec
    expect: AttachExpect | None = None

    def _object(self) -> str:
        spec = self.attach
        return f"{spec.extension}.{spec.program}" if spec.program else spec.extension


class TriggerStep(BaseStep):
    """Make the extension run."""

    verb = "trigger"
    trigger: Trigger
    expect: TriggerExpect | None = None

    def _object(self) -> str:
        return f"{self.trigger.kind} {getattr(self.trigger, self.trigger.kind)}"


class StartStep(BaseStep):
    """Start background work."""

    verb = "start"
    start: Name
    expect: StepExpect | None = None


class StopStep(BaseStep):
    """Stop background work, or wait for the end of a trigger in the background."""

    verb = "stop"
    stop: Name
    expect: StepExpect | None = None


class MapEntry(Part):
    """A map, and one key of it; without `key` the map's first entry.

    Reading a queue, a stack or a ring buffer removes its first entry.
    """

    map: MapRef
    key: MapKey | None = None


class ReadStep(BaseStep):
    """Read a value from a map."""

    verb = "read"
    read: MapEntry
    expect: ReadExpect | None = None

    def _object(self) -> str:
        return f"{self.read.map}" + ("" if self.read.key is None else f"[{self.read.key}]")


class MapWrite(Part):
    """A map, its key and the value to write; queues and stacks have no keys."""

    map: MapRef
    key: MapKey | None = None
    value: MapValue


class WriteStep(BaseStep):
    """Write a value into a map."""

    verb = "write"
    write: MapWrite
    expect: StepExpect | None = None

    def _object(self) -> str:
        place = "" if self.write.key is None else f"[{self.write.key}]"
        return f"{self.write.map}{place} = {self.write.value}"


def _below(path: str) -> str:
    if path.startswith("/") or ".." in path.split("/"):
        raise flaw("expected a path below /sys/kernel/debug, without a leading '/'")
    return path


SysctlName = Annotated[str, Field(pattern=SYSCTL)]
DebugPath = Annotated[Text, AfterValidator(_below)]


class Settings(Part):
    """Sysctls, and files below /sys/kernel/debug; the lab restores their values at the end."""

    sysctl: dict[SysctlName, Scalar] = Field(default_factory=dict)
    debug: dict[DebugPath, Scalar] = Field(default_factory=dict)

    @property
    def empty(self) -> bool:
        return not (self.sysctl or self.debug)

    def _words(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in (self.sysctl | self.debug).items())


class SetStep(BaseStep):
    """Set sysctls and debug knobs."""

    verb = "set"
    set: Settings
    expect: StepExpect | None = None

    def _object(self) -> str:
        return self.set._words()


class UnloadStep(BaseStep):
    """Detach and unload an extension."""

    verb = "unload"
    unload: Name
    expect: StepExpect | None = None


class ShellLine(Abbreviated):
    """A line for the guest's shell, with its deadline in seconds."""

    lone = "command"

    command: Text
    timeout: Seconds | None = None
    cpu: Cpu | None = None


class ShellStep(BaseStep):
    """Run a line in the guest's shell. It must exit with 0 unless `expect` gives another status."""

    verb = "shell"
    shell: ShellLine
    expect: ShellExpect | None = None

    def _object(self) -> str:
        return self.shell.command


class Talk(Part):
    """One line of a dialog with the console: text to send, or a pattern to wait for."""

    send: str | None = None
    expect: Regex | None = None
    timeout: Seconds | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.send is None) == (self.expect is None):
            raise flaw("give either send or expect")
        return self


class ConsoleStep(BaseStep):
    """Send text to the guest's serial console, and wait for its answers."""

    verb = "console"
    console: Annotated[tuple[Talk, ...], Field(min_length=1)]
    expect: StepExpect | None = None

    def _object(self) -> str:
        return "talk"


class PinSpec(Part):
    """A map or a program, and its path in the BPF file system."""

    map: MapRef | None = None
    program: ProgramRef | None = None
    path: Annotated[str, Field(pattern=BPF_PATH)]

    @property
    def ref(self) -> Ref:
        found = self.map or self.program
        assert found is not None
        return found

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.map is None) == (self.program is None):
            raise flaw("give either map or program")
        return self


class PinStep(BaseStep):
    """Pin a map or a program into the BPF file system."""

    verb = "pin"
    pin: PinSpec
    expect: AttachExpect | None = None

    def _object(self) -> str:
        return f"{self.pin.ref} {self.pin.path}"


class WaitFor(Part):
    """A kind of report on the console, and the seconds to wait for it."""

    report: ReportKind
    timeout: Seconds | None = None


class WaitForStep(BaseStep):
    """Wait until the console shows a report."""

    verb = "wait_for"
    wait_for: WaitFor
    expect: StepExpect | None = None

    def _object(self) -> str:
        return self.wait_for.report


class Repeat(Part):
    """Steps, and the number of times to run them."""

    times: Annotated[Int, Field(ge=1, le=1_000_000)]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


class RepeatStep(BaseStep):
    """Run steps several times."""

    verb = "repeat"
    repeat: Repeat
    expect: StepExpect | None = None

    def _object(self) -> str:
        return f"{self.repeat.times} times"


_Any = (
    LoadStep
    | AttachStep
    | TriggerStep
    | StartStep
    | StopStep
    | ReadStep
    | WriteStep
    | SetStep
    | UnloadStep
    | RepeatStep
    | ShellStep
    | ConsoleStep
    | PinStep
    | WaitForStep
)
STEPS = kinds_of(_Any, "verb")
Step = Annotated[_Any, OneOf("step", STEPS)]

Repeat.model_rebuild()
RepeatStep.model_rebuild()
