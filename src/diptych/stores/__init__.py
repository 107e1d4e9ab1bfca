"""Stores: the only I/O to databases. Each is a sibling that knows none of the others."""

from diptych.stores.store import KeepsSnapshots, Migrates, Store, snapshots_at, store_at
from diptych.stores.urls import without_password

__all__ = ["KeepsSnapshots", "Migrates", "Store", "snapshots_at", "store_at", "without_password"]
