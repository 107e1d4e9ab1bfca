"""Reads the environment: `DIPTYCH_SERVER_PORT=80`, or `DIPTYCH_STORE_FILE=/run/secrets/store` for a file's content.

All that begins with `DIPTYCH_` is meant for the settings, so what is none is an error. A variable that is empty says
nothing, as one that is not there.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from diptych.config.files import Unreadable, small_text
from diptych.config.given import Source, dotted
from diptych.config.model import ANY, PROJECTION, SETTINGS, KeyPath, Origin, Setting
from diptych.messages.words import did_you_mean

PREFIX = "DIPTYCH_"
IN_A_FILE = "_FILE"

VARIABLES = {setting.variable: setting for setting in (*SETTINGS.values(), *PROJECTION.values())}


def read_environment(environment: Mapping[str, str], source: Source) -> None:
    """Gives the source what the variables say, and everything that is wrong with them."""
    variables = {name: text for name, text in environment.items() if name.startswith(PREFIX) and text}
    for name, text in sorted(variables.items()):
        whole, in_a_file = name, False
        found = _setting(name)
        if found is None and name.endswith(IN_A_FILE):
            whole, in_a_file = name.removesuffix(IN_A_FILE), True
            found = _setting(whole)
        if found is None:
            source.refuse(dotted((name,)), f"there is no such setting{_nearest(whole)}")
        elif not in_a_file:
            source.take(*found, text, Origin("environment", name))
        elif whole in variables:
            source.refuse(name, f"{whole} is there, too; say it once")
        else:
            _take_file(found, name, Path(text), source)


def _setting(variable: str) -> tuple[KeyPath, Setting] | None:
    """The setting of a variable, and its path. A projection's name is what stands in the place of NAME."""
    if variable in VARIABLES:
        return VARIABLES[variable].path, VARIABLES[variable]
    for setting in PROJECTION.values():
        pattern = re.escape(setting.variable).replace(ANY, "(.+)")
        if match := re.fullmatch(pattern, variable):
            return (*setting.path[:-2], match[1], setting.path[-1]), setting
    return None


def _nearest(variable: str) -> str:
    """The end of the words about a variable that is none: the one that ends so, or the nearest."""
    ending = [known for known in VARIABLES if known.endswith(f"_{variable.removeprefix(PREFIX)}")]
    return f"; did you mean {ending[0]!r}?" if ending else did_you_mean(variable, VARIABLES)


def _take_file(found: tuple[KeyPath, Setting], variable: str, path: Path, source: Source) -> None:
    try:
        text = small_text(path).rstrip("\r\n")
    except FileNotFoundError:
        source.refuse(variable, f"{path} does not exist")
    except Unreadable as error:
        source.refuse(variable, f"{path} {error}")
    else:
        source.take(*found, text, Origin("environment", variable), quote=False)
