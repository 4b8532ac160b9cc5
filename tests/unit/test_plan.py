# SPDX-License-Identifier: GPL-2.0-only
"""Plans: what a guest gets."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from lab.cache import Cache
from lab.image.build import Image
from lab.kernel.artifact import Kernel
from lab.runner.plan import Planner
from lab.vm.accel import Accel

NOWHERE = Path("none")
KERNEL = Kernel("mine", "key", "6.12", NOWHERE, NOWHERE, NOWHERE, ())


@pytest.mark.parametrize(
    ("needed", "asked", "given"), [(0, 128, 128), (512, 256, 512), (512, 1024, 1024)]
)
def test_a_guest_has_no_less_memory_than_its_kernel_needs(
    tmp_path: Path, needed: int, asked: int, given: int
) -> None:
    planner = Planner(Cache(tmp_path), _accel=Accel("kvm", "host", "said so"))
    kernel = dataclasses.replace(KERNEL, memory=needed)
    spec = planner.guest_spec(kernel, Image(NOWHERE, "key", 1), memory=asked)
    assert spec.shape.memory == given
