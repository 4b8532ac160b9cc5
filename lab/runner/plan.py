# SPDX-License-Identifier: GPL-2.0-only
"""Plans: every artifact that an item needs, built or taken from the cache, before it boots."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lab import events
from lab.cache import Cache
from lab.errors import LabError, NotCompiled, UserError
from lab.extension.c import build_c
from lab.extension.loader_build import build_loader
from lab.extension.module import build_module
from lab.extension.rust.build import build_rust
from lab.guest.guest import GuestSpec
from lab.host.tsc import frequency_khz
from lab.image.build import DEFAULT_IMAGE, Image, build_image
from lab.kernel.artifact import Kernel
from lab.kernel.build import build_kernel
from lab.kernel.flavor import load_flavor
from lab.runner import residue
from lab.runner.extensions import Artifact
from lab.scenario.items import Item
from lab.scenario.model.expect import TextExpect
from lab.scenario.model.extensions import CExtension, ModuleExtension, RustExtension
from lab.scenario.model.scenario import Machine as MachineModel
from lab.scenario.model.scenario import Scenario
from lab.scenario.model.steps import ConsoleStep, LoadStep
from lab.vm.accel import Accel, choose
from lab.vm.argv import Shape
from lab.workspace import Workspace

# A boot argument: the image's init then offers a shell on the console.
CONSOLE_SHELL = "lab.console=shell"
# With `icount` the emulator's counter counts nanoseconds of the guest's time.
ICOUNT_KHZ = 1_000_000
# `clock: instructions` of a scenario: each takes 2^6 = 64 ns. With more of them, the time of
# what a guest has to do before its detectors matter grows faster than their time shrinks.
CLOCK_SHIFT = 6
# The option that a kernel needs for native programs.
REX = "CONFIG_BPF_REX"
# Each console line then shows whether the kernel wrote it or a program did,
# through /dev/kmsg: the lab can distinguish a forged report from a real one.
MARKED_CONSOLE = "console_msg_format=syslog"


@dataclass(frozen=True)
class Plan:
    """All that is needed to run one item."""

    item: Item
    kernel: Kernel
    image: Image
    guest: GuestSpec
    artifacts: dict[str, Artifact]


@dataclass
class Planner:
    """Make plans from a workspace, and build once what items share.

    The workspace is part of each memo's key: in another one a name is another source.
    """

    workspace: Workspace
    cache: Cache
    accel: str = "auto"
    emit: events.Emit = events.ignore
    _kernels: dict[tuple[Workspace, str], Kernel] = field(default_factory=dict)
    _failed: dict[tuple[Workspace, str], LabError] = field(default_factory=dict)
    _images: dict[tuple[Workspace, str, str], Image] = field(default_factory=dict)
    _artifacts: dict[tuple[Workspace, str, str, str], Artifact | NotCompiled] = field(
        default_factory=dict
    )
    _accel: Accel | None = None

    def plan(self, item: Item, *, gdb: bool = False) -> Plan:
        """Return the plan of an item. Raises `UserError` for errors that the user has to fix."""
        scenario = item.scenario
        kernel = self.kernel(item.flavor)
        image = self.image(kernel)
        artifacts = {name: self._artifact(scenario, name, kernel) for name in scenario.extensions}
        console = any(isinstance(step, ConsoleStep) for step in scenario.all_steps())
        modules = any(isinstance(one, ModuleExtension) for one in scenario.extensions.values())
        extra = (
            *(residue.arguments(kernel, scenario.machine.boot) if modules else ()),
            *scenario.machine.boot,
            *((CONSOLE_SHELL,) if console else ()),
        )
        machine = scenario.machine
        spec = self.guest_spec(
            kernel,
            image,
            cpus=machine.cpus,
            threads=machine.threads,
            memory=machine.memory,
            extra=extra,
            machine=machine.type if "type" in machine.model_fields_set else None,
            gdb=gdb,
            icount=self._icount(machine),
        )
        return Plan(item, kernel, image, spec, artifacts)

    def has(self, flavor: str) -> bool:
        """Return whether a flavor's kernel is resolved already."""
        return (self.workspace, flavor) in self._kernels

    def kernel(self, flavor: str) -> Kernel:
        """Return the kernel of a flavor; build it if necessary."""
        key = (self.workspace, flavor)
        if key in self._failed:
            raise self._failed[key]
        if key not in self._kernels:
            try:
                found = load_flavor(self.workspace, flavor)
                self._kernels[key] = build_kernel(found, self.cache, self.emit)
            except LabError as error:
                # Minutes of building it would end the same for the next item.
                self._failed[key] = error
                raise
        return self._kernels[key]

    def image(self, kernel: Kernel, name: str = DEFAULT_IMAGE) -> Image:
        """Return the image for a kernel, with the modules that the kernel needs."""
        key = (self.workspace, name, kernel.key)
        if key not in self._images:
            self._images[key] = build_image(
                self.workspace,
                name,
                self.cache,
                kernel_modules=kernel.modules,
                loader=build_loader(self.workspace, self.cache, self.emit),
                emit=self.emit,
            )
        return self._images[key]

    def guest_spec(
        self,
        kernel: Kernel,
        image: Image,
        *,
        cpus: int = 2,
        threads: int = 1,
        memory: int = 256,
        extra: tuple[str, ...] = (),
        machine: str | None = None,
        gdb: bool = False,
        icount: int | None = None,
    ) -> GuestSpec:
        """Return the specification of a guest; `icount` is that of `Shape`."""
        accel = self.chosen_accel()
        shape = Shape(
            machine=machine or kernel.machine,
            cpus=cpus,
            threads=threads,
            memory=max(memory, kernel.memory),
            accel=accel.name,
            cpu=accel.cpu_model,
            icount=icount,
        )
        arguments = (*kernel.boot_args, MARKED_CONSOLE, *self._clock_args(shape), *extra)
        return GuestSpec(kernel.boot, image.path, arguments, shape, kernel.vmlinux, gdb)

    def _icount(self, machine: MachineModel) -> int | None:
        """Return the `icount` of a scenario's machine; under KVM time is always the host's."""
        counted = machine.clock == "instructions" and self.chosen_accel().name == "tcg"
        return CLOCK_SHIFT if counted else None

    def _clock_args(self, shape: Shape) -> tuple[str, ...]:
        """Tells an emulated guest how fast its time-stamp counter runs, as KVM's clock does."""
        khz = frequency_khz(self.cache) if shape.accel == "tcg" else None
        if shape.icount is not None:
            khz = ICOUNT_KHZ
        return (f"tsc_early_khz={khz}",) if khz else ()

    def chosen_accel(self) -> Accel:
        """Return the accelerator; it is chosen once."""
        if self._accel is None:
            self._accel = choose(self.accel, self.emit)
        return self._accel

    def _artifact(self, scenario: Scenario, name: str, kernel: Kernel) -> Artifact:
        extension = scenario.extensions[name]
        key = (self.workspace, extension.kind, extension.source, kernel.key)
        if key not in self._artifacts:
            try:
                self._artifacts[key] = self._build(scenario, name, kernel)
            except NotCompiled as error:
                self._artifacts[key] = error
        built = self._artifacts[key]
        return refused(scenario, name, built) if isinstance(built, NotCompiled) else built

    def _build(self, scenario: Scenario, name: str, kernel: Kernel) -> Artifact:
        extension = scenario.extensions[name]
        workspace, source = self.workspace, extension.source
        if isinstance(extension, CExtension):
            return Artifact(build_c(workspace, source, kernel, self.cache, self.emit).path)
        if isinstance(extension, ModuleExtension):
            return Artifact(build_module(workspace, source, kernel, self.cache, self.emit))
        assert isinstance(extension, RustExtension)
        need_rex(scenario, extension, kernel)
        image = build_rust(workspace, source, self.cache, self.emit)
        return Artifact(image.path, debug=image.debug)


def need_rex(scenario: Scenario, extension: RustExtension, kernel: Kernel) -> None:
    """Raise `UserError` if a kernel can't run a Rust extension, before anything is built for it."""
    if not kernel.has(REX):
        raise UserError(
            f"{scenario.path}: kernel {kernel.flavor} can't run the Rust extension "
            f"{extension.source}: it has no {REX}",
            hint=f"run it on the flavor {RustExtension.flavor}: leave 'kernels' out, "
            f"or give --kernel {RustExtension.flavor}",
        )


def refused(scenario: Scenario, name: str, error: NotCompiled) -> Artifact:
    """Return the artifact of an extension that a scenario expects not to compile.

    Raises `UserError` if it does not expect that, or expects another message: then the
    compiler's error is the user's mistake, and no kernel is to blame.
    """
    wanted = _expected_log(scenario, name)
    if wanted is None:
        raise error
    wrong = wanted.failures(error.log)
    if not wrong and not error.missing:
        return Artifact(None, error.log)
    hint = "the scenario expects it not to compile, but for a reason in its code"
    if wrong:
        hint = f"the scenario expects another compiler_log: this one {'; it '.join(wrong)}"
    raise UserError(error.message, details=error.details, hint=hint)


def _expected_log(scenario: Scenario, name: str) -> TextExpect | None:
    """Return the expected compiler's log of an extension; None if it must compile."""
    for step in scenario.all_steps():
        if isinstance(step, LoadStep) and step.load == name and step.expect is not None:
            expect = step.expect
            if expect.outcome == "not_compiled":
                return expect.compiler_log or scenario.expect.compiler_log
    return None


def pushed_files(plan: Plan) -> dict[str, Path | bytes]:
    """Return the files to copy into the guest before the first step, by path in the guest."""
    return {
        artifact.in_guest: artifact.path
        for artifact in plan.artifacts.values()
        if artifact.path is not None
    }
