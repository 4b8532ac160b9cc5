# SPDX-License-Identifier: GPL-2.0-only
"""Read and check the description of an image, `images/<name>/image.yaml`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from lab.config.format import Format
from lab.config.part import Bool, Int, Part, Text, flaw
from lab.config.reader import read
from lab.workspace import IMAGE_FILE, Workspace


def _permissions(mode: int) -> int:
    if not 0 <= mode <= 0o7777:
        raise flaw(f"expected permissions from 0o0 to 0o7777, not {mode:#o}")
    return mode


# With the bits for set-user-ID, set-group-ID and sticky.
Mode = Annotated[Int, AfterValidator(_permissions)]
# A device's number, as the kernel's cpio format holds it.
Number = Annotated[Int, Field(ge=0, le=0xFFFF_FFFF)]


class Program(Part):
    """A program of a Debian package; `source` holds patterns for its possible paths."""

    package: Text
    why: Text
    source: tuple[Text, ...] = Field(alias="from")
    to: Text
    static: Bool = False


class DataFile(Part):
    """A file of the image's folder."""

    source: Text = Field(alias="from")
    to: Text
    mode: Mode = 0o644


class Directory(Part):
    """An empty folder in the image."""

    path: Text
    mode: Mode = 0o755


class Device(Part):
    """A character device's node."""

    path: Text
    major: Number
    minor: Number
    mode: Mode = 0o600


class Description(Part):
    """The content of an `image.yaml`."""

    version: Int
    max_bytes: Annotated[Int, Field(ge=1)]
    programs: tuple[Program, ...] = ()
    files: tuple[DataFile, ...] = ()
    directories: tuple[Directory, ...] = ()
    devices: tuple[Device, ...] = ()


FORMAT = Format(noun="image", model=Description)


def load(workspace: Workspace, name: str) -> tuple[Description, Path]:
    """Return the description of an image and the folder that contains it.

    Raises `UserError` for an image that does not exist or whose description
    is not valid.
    """
    path = workspace.find("image", name) / IMAGE_FILE
    return read(path, FORMAT), path.parent
