"""From `--store` to a store: which one is meant, and whether there is one to look into."""

import os
import sys

from diptych import Unavailable
from diptych.cli.words import UNREACHABLE, WRONG_USE, Stop
from diptych.config import load
from diptych.stores import KeepsSnapshots, Store, snapshots_at, store_at, without_password


def store_url(url: str | None) -> str:
    """The URL that was given, or, where None was, what the environment or `diptych.yaml` says.

    Raises Stop where there is none, ConfigurationError.
    """
    url = load(None, os.environ, {}).store if url is None else url
    if not url:
        told = "which store? Say --store sqlite:///shop.db, set DIPTYCH_STORE, or say store: in diptych.yaml"
        raise Stop(told, WRONG_USE)
    return url


def existing_store(url: str | None) -> Store:
    """The store, for those who look into it: nothing is made by looking. Raises Stop, Malformed."""
    url = store_url(url)
    store = store_at(url)
    try:
        store.must_exist()
    except Unavailable as error:
        hint = "Check the store's URL; a store is made when a context is first opened on it."
        raise Stop(f"no store to look into at {without_password(url)}: {error} {hint}", UNREACHABLE) from None
    return store


def snapshots_beside(store: Store, url: str | None) -> KeepsSnapshots:
    """Where the snapshots of this store are: at the URL that was given, or where a setting says, or in the store.

    Raises Malformed, Unavailable, ConfigurationError.
    """
    url = load(None, os.environ, {}).storage if url is None else url
    return store if url is None else snapshots_at(url)


def store_if_there(url: str | None) -> tuple[str, Store] | None:
    """For those who can do without: None where no store is named, or where `diptych.yaml` names one yet to be made.

    Raises Stop for one that is named otherwise and is not there, ConfigurationError, Malformed.
    """
    if url is None:
        found = load(None, os.environ, {})
        if found.store is None:
            return None
        url, origin = found.store, found.origins["store",]
        if origin.kind == "file" and not is_made(url):
            sys.stderr.write(f"There is no store yet at {without_password(url)}.\n")
            return None
    return url, existing_store(url)


def is_made(url: str) -> bool:
    try:
        store_at(url).must_exist()
    except Unavailable:
        return False
    return True
