"""The face of each package is its `__all__`: complete, in order, and everything in it says what it is."""

import inspect
import pkgutil
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest

import diptych

PACKAGES = [
    "diptych",
    *(
        module.name
        for module in pkgutil.walk_packages(diptych.__path__, "diptych.")
        if module.ispkg and not module.name.startswith("diptych.demo.")
    ),
]


def exported(package: ModuleType) -> list[str]:
    names: list[str] = package.__all__
    return names


def kind_and_name(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by alphabet: the order in which names are imported here."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_says_what_it_is_for(name: str) -> None:
    assert import_module(name).__doc__


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_exports_each_name_once_and_in_order(name: str) -> None:
    names = exported(import_module(name))

    assert names == sorted(set(names), key=kind_and_name)


@pytest.mark.parametrize("name", sorted({*PACKAGES} - {"diptych.demo"}))  # the demo gathers its parts to build a shop
def test_a_package_exports_every_class_and_function_that_it_gathers(name: str) -> None:
    package = import_module(name)
    gathered = {
        member
        for member, value in vars(package).items()
        if not member.startswith("_")
        and (inspect.isclass(value) or inspect.isroutine(value))
        and value.__module__.startswith("diptych")
    }

    assert gathered <= {*exported(package)}


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_that_a_package_exports_is_there(name: str) -> None:
    package = import_module(name)

    assert all(hasattr(package, member) for member in exported(package))


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_exported_has_a_docstring_of_its_own(name: str) -> None:
    package = import_module(name)
    silent = [
        member
        for member in exported(package)
        if (inspect.isclass(value := getattr(package, member)) or inspect.isroutine(value)) and not documented(value)
    ]

    assert not silent


def documented(value: Any) -> bool:
    """Whether a person wrote its docstring: dataclasses and named tuples make up one that repeats the signature."""
    own = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
    return bool(own) and not str(own).startswith(f"{value.__name__}(")


def test_the_version_is_the_one_that_was_installed() -> None:
    from importlib.metadata import version  # noqa: PLC0415 - only this test needs it

    assert diptych.__version__ == version("diptych")
