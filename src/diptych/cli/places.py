"""From `--store` to a store: which one is meant, and whether there is one to look into."""

from diptych import Unavailable
from diptych.cli.words import UNREACHABLE, WRONG_USE, Stop
from diptych.stores import Store, store_at, without_password


def store_url(url: str | None) -> str:
    """The URL that was given. Raises Stop where none was."""
    if not url:
        raise Stop("which store? Say --store sqlite:///shop.db, or set DIPTYCH_STORE", WRONG_USE)
    return url


def existing_store(url: str | None) -> Store:
    """The store, for those who look into it: nothing is made by looking. Raises Stop, Malformed."""
    url = store_url(url)
    store = store_at(url)
    try:
        store.must_exist()
    except Unavailable as error:
        hint = "Check --store; a store is made when a context is first opened on it."
        raise Stop(f"no store to look into at {without_password(url)}: {error} {hint}", UNREACHABLE) from None
    return store
