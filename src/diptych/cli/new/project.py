"""Writes a project: all of it or nothing. It is built in a folder beside its place, which is then renamed."""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath

from diptych.cli.words import NO, WRONG_USE, Stop

SUFFIX = ".in"
"""Of a file of the scaffold: no tool of this repository takes it for one of its own."""


def scaffold() -> Traversable:
    """The folder of the scaffold. In its files, NAME stands for the context's name, REQUIREMENT for Diptych."""
    return files("diptych.cli.new") / "scaffold"


def make_project(parent: Path, name: str, requirement: str) -> list[str]:
    """Makes the folder; gives the files in it. Raises Stop where something is in the way, or nothing can be written."""
    place = parent / name
    check_free(place)
    try:
        building = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=parent))
    except OSError as error:
        raise unwritten(place, error) from None
    try:
        made = [write(building, path, text) for path, text in project(name, requirement)]
        building.chmod(0o777 & ~umask())  # a temporary folder is its owner's alone
        building.rename(place)
    except OSError as error:
        check_free(place)  # somebody else may have been faster
        raise unwritten(place, error) from None
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return sorted(made)


def check_free(place: Path) -> None:
    """Raises Stop where something is in the way. An empty folder is not."""
    if place.is_symlink() or (place.exists() and not (place.is_dir() and not any(place.iterdir()))):
        raise Stop(f"{place} exists already, and nothing in it is touched; take another name or folder", WRONG_USE)


def unwritten(place: Path, error: OSError) -> Stop:
    return Stop(f"{place} cannot be made: {error.strerror or error}. Nothing was left behind", NO)


def project(name: str, requirement: str) -> Iterator[tuple[PurePosixPath, str]]:
    """Every file of the project: where it belongs, and its text."""
    for path, text in walk(scaffold(), PurePosixPath()):
        yield (
            PurePosixPath(str(path).removesuffix(SUFFIX).replace("NAME", name)),
            text.replace("REQUIREMENT", json.dumps(requirement)).replace("NAME", name),
        )


def walk(folder: Traversable, path: PurePosixPath) -> Iterator[tuple[PurePosixPath, str]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from walk(entry, path / entry.name)
        else:
            yield path / entry.name, entry.read_text("utf-8")


def write(folder: Path, path: PurePosixPath, text: str) -> str:
    file = folder / path
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return str(path)


def umask() -> int:
    """The umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
