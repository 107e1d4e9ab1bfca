"""The store in memory: the model that the others are held against, and a store for tests and trials."""

from diptych.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
