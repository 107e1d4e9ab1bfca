"""Lays the sources over each other: the command line over the environment over the file over the defaults.

Every source is read whole and judged, also where another one has the last word.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from diptych.config.environment import read_environment
from diptych.config.files import Unreadable, small_text
from diptych.config.given import Given, Source
from diptych.config.model import FILE, PROJECTION, SETTINGS, Configuration, KeyPath, Origin
from diptych.errors import DiptychError
from diptych.read import ProjectionSettings


class ConfigurationError(DiptychError):
    """A configuration that cannot be right. `problems` lists everything that is wrong with it, each with its place."""

    code = "configuration"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("The configuration is wrong:\n" + "\n".join(f"  - {line}" for line in problems))
        self.problems = tuple(problems)


class Reading(NamedTuple):
    """What was found: a value that is wrong is left out of the configuration, and stands among the problems."""

    configuration: Configuration
    problems: Sequence[str]


def load(file: Path | None, environment: Mapping[str, str], options: Mapping[str, str | int | None]) -> Configuration:
    """The configuration.

    Without a `file` it is `diptych.yaml` in the working folder, if there is one. `options` go by the fields of
    Configuration; None stands for one that was not given. Raises ConfigurationError.
    """
    found = read(file, environment, options)
    if found.problems:
        raise ConfigurationError(found.problems)
    return found.configuration


def read(file: Path | None, environment: Mapping[str, str], options: Mapping[str, str | int | None]) -> Reading:
    """As `load`, for those who want to see what there is in spite of its problems."""
    source = Source()
    _read_file(file, source)
    read_environment(environment, source)
    for field, value in options.items():
        if value is not None:
            setting = SETTINGS[field]
            option = Origin("option", f"--{field.replace('_', '-')}")
            source.take(setting.path, setting, str(value), option)
    return Reading(_configuration(source.given), source.problems)


def _read_file(file: Path | None, source: Source) -> None:
    path = file or Path(FILE)
    try:
        text = small_text(path)
    except FileNotFoundError:
        if file is not None:
            source.refuse(str(path), "does not exist")
        return
    except Unreadable as error:
        source.refuse(str(path), str(error))
        return
    try:
        from diptych.config.document import read_document  # noqa: PLC0415 - PyYAML is imported where there is a file
    except ModuleNotFoundError as missing:
        source.refuse(str(path), f'{missing}. A file is read with PyYAML: pip install "pyyaml>=6.0.2"')
        return
    read_document(text, str(path), source)


def _configuration(given: Mapping[KeyPath, Given]) -> Configuration:
    fields: dict[str, Any] = {
        field: given[setting.path].value for field, setting in SETTINGS.items() if setting.path in given
    }
    origins = {path: one.origin for path, one in given.items()}
    return Configuration(**fields, projections=_projections(given), origins=origins)


def _projections(given: Mapping[KeyPath, Given]) -> dict[str, ProjectionSettings]:
    said: dict[str, dict[str, Any]] = {}
    for field, setting in PROJECTION.items():
        for path, one in given.items():
            if path[:-2] == setting.path[:-2] and path[-1] == field:
                said.setdefault(path[-2], {})[field] = one.value
    return {name: ProjectionSettings(**fields) for name, fields in said.items()}
