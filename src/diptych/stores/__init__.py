"""Stores: the only I/O to databases. Each is a sibling that knows none of the others."""

from diptych.stores.store import Migrates, Store, store_at
from diptych.stores.urls import without_password

__all__ = ["Migrates", "Store", "store_at", "without_password"]
