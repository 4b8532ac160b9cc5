# SPDX-License-Identifier: GPL-2.0-only
"""Find the shared libraries that a program needs: by reading it, not by running it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from lab.errors import UserError

_LD_CONF = Path("/etc/ld.so.conf.d")
_DEFAULT_FOLDERS = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64")


@dataclass(frozen=True)
class Needs:
    """The requirements in a program's dynamic section; both are empty for a static program."""

    interpreter: str
    libraries: tuple[str, ...]


def is_elf(path: Path) -> bool:
    """Return whether the file exists and starts as an ELF file does."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"\x7fELF"
    except OSError:
        return False


def needs(path: Path) -> Needs:
    """Return the interpreter and the libraries that one ELF file names itself.

    Raises `UserError` if the file is not an x86-64 ELF file.
    """
    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            if elf.get_machine_arch() != "x64":
                raise UserError(f"{path} is a program for {elf.get_machine_arch()}, not x86-64")
            interpreter = ""
            for segment in elf.iter_segments():
                if isinstance(segment, InterpSegment):
                    interpreter = segment.get_interp_name()
            libraries: list[str] = []
            for section in elf.iter_sections():
                if isinstance(section, DynamicSection):
                    # pyelftools gives each tag an attribute that is named after its kind.
                    libraries = [str(vars(tag)["needed"]) for tag in section.iter_tags("DT_NEEDED")]
    except (ELFError, OSError) as error:
        raise UserError(f"{path} can't be read as a program: {error}") from error
    return Needs(interpreter, tuple(libraries))


def library_folders(roots: Iterable[Path] = ()) -> list[Path]:
    """Return the library folders in search order: below each root, then on the host."""
    names = list(_DEFAULT_FOLDERS)
    for conf in sorted(_LD_CONF.glob("*.conf")):
        names += [line for line in conf.read_text().split("\n") if line.startswith("/")]
    bases = [*roots, Path("/")]
    return [base / name.lstrip("/") for base in bases for name in dict.fromkeys(names)]


def closure(program: Path, folders: Sequence[Path]) -> dict[str, Path]:
    """Return all libraries that the program needs, directly or not, by path in the guest.

    The values are the files on the host. The interpreter is included. Raises
    `UserError` for a library that is in none of the folders.
    """
    found: dict[str, Path] = {}
    seen: set[str] = set()
    queue = [program]
    while queue:
        file = queue.pop()
        wanted = needs(file)
        if wanted.interpreter:
            interpreter = _find(Path(wanted.interpreter).name, folders, file)
            found[wanted.interpreter] = interpreter
            seen.add(Path(wanted.interpreter).name)
        for name in wanted.libraries:
            if name not in seen:
                seen.add(name)
                library = _find(name, folders, file)
                found[f"/lib/x86_64-linux-gnu/{name}"] = library
                queue.append(library)
    return found


def _find(name: str, folders: Sequence[Path], user: Path) -> Path:
    for folder in folders:
        candidate = folder / name
        if is_elf(candidate):
            return candidate.resolve()
    raise UserError(
        f"{user} needs the library {name}, which is in none of the library folders",
        hint="install the Debian package that holds it; `lab doctor` lists what the lab needs",
    )
