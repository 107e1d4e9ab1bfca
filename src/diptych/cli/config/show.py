"""`diptych config show`: every setting, its value, and who said so."""

import os
import sys
from collections.abc import Sequence

import msgspec

from diptych.cli.options import ConfigFile, Json, Target
from diptych.cli.output import printable
from diptych.cli.words import DONE
from diptych.config import Shown, load


def show(target: Target = None, *, config: ConfigFile = None, json: Json = False) -> int:
    """Show every setting, its value, and where that comes from. Passwords are not shown.

    What a service would run with in production:

        diptych config show --config production.yaml
    """
    found = list(load(config, os.environ, {"target": target}).shown())
    if json:
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        sys.stdout.write("\n".join([*table(found), ""]))
    return DONE


def table(found: Sequence[Shown]) -> list[str]:
    """One line for each setting: its key, its value or a dash, its origin."""
    rows = [("Setting", "Value", "From")]
    rows += [(one.key, "-" if one.value is None else printable(one.value), printable(str(one.origin))) for one in found]
    key, value = (max(len(row[column]) for row in rows) for column in (0, 1))
    return [f"{row[0]:{key}}  {row[1]:{value}}  {row[2]}" for row in rows]
