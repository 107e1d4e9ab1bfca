"""`diptych new`: from a name to a folder in which `make test` passes, and to words about what comes next."""

import sys
from pathlib import Path

import msgspec

from diptych.cli.new.names import check_name
from diptych.cli.new.project import make_project
from diptych.cli.new.requirement import requirement
from diptych.cli.options import Json
from diptych.cli.words import DONE


class Made(msgspec.Struct, frozen=True):
    """What was made. `files` are relative to the folder; `requirement` is how the project gets Diptych."""

    name: str
    folder: str
    target: str
    requirement: str
    files: list[str]


def new(name: str, /, *, json: Json = False) -> int:
    """Make a folder with a bounded context to start from: typed, tested, ready to serve.

    A bakery, its tests, and a server for it:

        diptych new bakery && cd bakery && make test serve

    Parameters
    ----------
    name:
        The context's name, in lower case, such as bakery. The folder and the module have it too.
    """
    check_name(name)
    needed = requirement()
    files = make_project(Path.cwd(), name, needed)
    made = Made(name, str(Path.cwd() / name), f"{name}:{name}", needed, files)
    sys.stdout.write(msgspec.json.encode(made).decode() + "\n" if json else told(made))
    return DONE


def told(made: Made) -> str:
    """What is there now, and what to type next."""
    lines = [
        f"Made {made.name}, a bounded context to start from:",
        "",
        *(f"  {made.name}/{file}" for file in made.files),
        "",
        "Next:",
        "",
        f"  cd {made.name}",
        "  make test     # style, types and tests, in an environment of its own",
        "  make serve    # then open http://127.0.0.1:8000/docs",
        "",
    ]
    return "\n".join(lines)
