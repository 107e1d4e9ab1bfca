"""Which names a context, its module and its folder can have together. Whoever is refused is told a name that goes."""

import ast
import keyword
import re
import sys
import unicodedata
from functools import cache
from importlib.metadata import distributions, packages_distributions

from diptych.cli.new.project import scaffold
from diptych.cli.words import WRONG_USE, Stop

LONGEST = 40
"""Characters: longer names would break the lines of the module that is made."""

WELL_FORMED = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
OF_THE_PROJECT = {"conftest", "diptych", "mypy", "pytest", "ruff", "setup", "setuptools", "tests"}
"""Modules that the made project has beside its own, installed here or not."""


NOT_LISTED = {"test", "sitecustomize", "usercustomize"}
"""Python's own as well, and not among the modules that it names."""


def check_name(name: str) -> None:
    """Raises Stop with the reason and with a name that goes."""
    if reason := objection(name):
        raise Stop(f"{name!r} cannot be the name: {reason}. Say, for one: diptych new {alternative(name)}", WRONG_USE)


def objection(name: str) -> str | None:
    """Why the name does not go, or None where it does."""
    if not WELL_FORMED.fullmatch(name):
        return "a name is lower-case letters, digits and single underscores, and begins with a letter"
    if len(name) > LONGEST:
        return f"a name has at most {LONGEST} characters"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python"
    if name in sys.stdlib_module_names or name in NOT_LISTED:
        return "a module of this name would hide Python's own"
    if name in OF_THE_PROJECT:
        return "the project uses it already"
    if name in installed():
        return "a module of this name would hide one that is installed"
    if name in words_of_the_module():
        return "the module that is made uses the word for something else"
    return None


def alternative(name: str) -> str:
    """The nearest name that goes."""
    plain = unicodedata.normalize("NFKD", name.rstrip("/").rpartition("/")[2]).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    words = re.findall(r"[a-z0-9]+", spaced.lower())
    near = "_".join(words).lstrip("0123456789_")[: LONGEST - len("_service")].rstrip("_") or "bakery"
    return near if objection(near) is None else f"{near}_service"


@cache
def installed() -> set[str]:
    """Modules and distributions of this environment, of which those that the project needs are a part."""
    return {*packages_distributions(), *(re.sub(r"[-.]+", "_", found.name).lower() for found in distributions())}


@cache
def words_of_the_module() -> set[str]:
    """What the module defines, imports and calls: a context of that name would get into its way."""
    tree = ast.parse(scaffold().joinpath("NAME.py.in").read_text("utf-8"))
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    imported = {node.name for node in ast.walk(tree) if isinstance(node, ast.alias)}
    return names | defined | imported | {"context"}
