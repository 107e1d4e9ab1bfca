"""`diptych config check`: everything that is wrong with the settings, at once."""

import os
import sys
from collections.abc import Iterator

import msgspec

from diptych import BoundedContext, ContextError, DiptychError
from diptych.cli.options import ConfigFile, Json, Target
from diptych.cli.target import context_at
from diptych.cli.words import DONE, NO, Stop, say
from diptych.config import Configuration, read
from diptych.config.model import SETTINGS
from diptych.stores import snapshots_at, store_at, without_password


def check(target: Target = None, *, config: ConfigFile = None, json: Json = False) -> int:
    """Say whether the settings can be right: the file, the environment, and what they name.

    If a target is set, its context must build and have the projections that are named. No store is opened.

    Before a service is started with a new file:

        diptych config check shop:shop --config production.yaml
    """
    configuration, wrong = read(config, os.environ, {"target": target})
    problems = [*wrong, *problems_beyond(configuration)]
    if json:
        sys.stdout.write(msgspec.json.encode({"problems": problems}).decode() + "\n")
        return NO if problems else DONE
    if problems:
        return say("the configuration is wrong:", NO, problems)
    said = len(configuration.origins)
    sys.stdout.write(f"The configuration is right: {said} setting{'' if said == 1 else 's'}, the rest by default.\n")
    return DONE


def problems_beyond(configuration: Configuration) -> Iterator[str]:
    """What is wrong with settings that are well written: what they name is not there."""
    origins = configuration.origins
    for field, place_at in (("store", store_at), ("storage", snapshots_at)):
        if (url := getattr(configuration, field)) is not None:
            setting = SETTINGS[field]
            try:
                place_at(url)
            except DiptychError as error:
                yield f"{origins[setting.path]}: {setting.key}: {str(error).replace(url, without_password(url))}"
    if configuration.target is not None:
        try:
            context = context_at(configuration.target)
        except Stop as stop:
            yield f"{origins['target',]}: target: {' '.join([str(stop), *stop.details])}"
        except ContextError as error:
            yield from (f"{origins['target',]}: target: {problem}" for problem in error.problems)
        else:
            yield from unknown_projections(configuration, context)


def unknown_projections(configuration: Configuration, context: BoundedContext) -> Iterator[str]:
    for path, origin in configuration.origins.items():
        if path[:-2] == ("cqrs", "query_side", "projections"):
            yield from (f"{origin}: {words}" for words in context.unknown_projections([path[-2]]))
