# SPDX-License-Identifier: GPL-2.0-only
"""Read and check the description of an image, `images/<name>/image.yaml`."""

from __future__ import annotations

from pathlib import Path

import pydantic
import yaml

from lab.errors import UserError
from lab.workspace import IMAGE_FILE, Workspace


class _Part(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Program(_Part):
    """A program of a Debian package; `source` holds patterns for its possible paths."""

    package: str
    why: str
    source: tuple[str, ...] = pydantic.Field(alias="from")
    to: str
    static: bool = False


class DataFile(_Part):
    """A file of the image's folder."""

    source: str = pydantic.Field(alias="from")
    to: str
    mode: int = 0o644


class Directory(_Part):
    """An empty folder in the image."""

    path: str
    mode: int = 0o755


class Device(_Part):
    """A character device's node."""

    path: str
    major: int
    minor: int
    mode: int = 0o600


class Description(_Part):
    """The content of an `image.yaml`."""

    version: int
    max_bytes: int
    programs: tuple[Program, ...] = ()
    files: tuple[DataFile, ...] = ()
    directories: tuple[Directory, ...] = ()
    devices: tuple[Device, ...] = ()


def load(workspace: Workspace, name: str) -> tuple[Description, Path]:
    """Return the description of an image and the folder that contains it.

    Raises `UserError` for an image that does not exist or whose description
    is not valid.
    """
    path = workspace.find("image", name) / IMAGE_FILE
    try:
        return Description.model_validate(yaml.safe_load(path.read_text())), path.parent
    except (yaml.YAMLError, pydantic.ValidationError) as error:
        raise UserError(f"{path} is not a valid description", details=str(error)) from error
