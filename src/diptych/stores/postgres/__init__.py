"""A store on PostgreSQL: the log and its views in one schema of a database, for any number of machines."""

from diptych.stores.postgres.store import PostgresStore

__all__ = ["PostgresStore"]
