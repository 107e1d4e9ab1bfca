"""The SQLite store: the log in one file, the views in a disposable one beside it."""

from diptych.stores.sqlite.store import SqliteStore

__all__ = ["SqliteStore"]
