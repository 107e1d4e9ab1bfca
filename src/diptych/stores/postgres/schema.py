"""The store's tables: numbered migrations, and the check that they are the ones that this version knows."""

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import NamedTuple

import asyncpg

from diptych.errors import NotAStore
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import Connection, close, connect, errors_of

_PACKAGE = "diptych.stores.postgres"
_TAKEN = (
    asyncpg.exceptions.DuplicateTableError,
    asyncpg.exceptions.DuplicateObjectError,
    asyncpg.exceptions.DuplicateSchemaError,
)
_VIEWS_SINCE = 2
"""The migration that makes the schema of the views."""

_NAME = re.compile(r"(\d{4})_(\w+)\.sql")


class Migration(NamedTuple):
    """One step of the schema: its number, counted from 1, and its file."""

    number: int
    name: str
    file: str


def _found() -> list[Migration]:
    names = [_NAME.fullmatch(file.name) for file in files(_PACKAGE).joinpath("migrations").iterdir()]
    return sorted([Migration(int(name[1]), name[2], f"migrations/{name[0]}") for name in names if name is not None])


MIGRATIONS: Sequence[Migration] = tuple(_found())

NEWEST = MIGRATIONS[-1].number
"""The number that a store's schema must have to be opened."""


async def check_schema(connection: Connection, address: Address) -> None:
    """Raises NotAStore, with the command to run, for a schema that is missing, older or newer."""
    number = await applied(connection, address)
    if number == NEWEST:
        return
    command = f"`diptych store migrate --store '{address.shown}'`"
    if number == 0:
        raise NotAStore(f"{address.shown} has no store in schema {address.schema!r}; make it with {command}.")
    if number < NEWEST:
        raise NotAStore(
            f"The schema {address.schema!r} of {address.shown} is at migration {number}, and this version of Diptych "
            f"needs {NEWEST}; bring it there with {command}."
        )
    raise NotAStore(
        f"The schema {address.schema!r} of {address.shown} is at migration {number}, which is newer than this version "
        f"of Diptych knows ({NEWEST}); install the version that made it."
    )


async def applied(connection: Connection, address: Address) -> int:
    """The number of the last migration that was applied; 0 for none."""
    try:
        number = await connection.fetchval(address.placed("SELECT max(number) FROM diptych.migration"))
    except asyncpg.exceptions.UndefinedTableError:
        return 0
    return int(number or 0)


async def migrate(address: Address) -> list[Migration]:
    """Brings the schema to the newest migration, all or nothing, and says which ones that took. Others may try, too.

    Raises Unavailable, and NotAStore where the schema holds other things, or is newer than this version.
    """
    connection = await connect(address, "migrate")
    try:
        with errors_of(address):
            return await _migrate(connection, address)
    finally:
        await close(connection)


async def _migrate(connection: Connection, address: Address) -> list[Migration]:
    if await connection.fetchval("SHOW server_encoding") != "UTF8":
        raise NotAStore(f"{address.shown} does not have the encoding UTF8; make the database with `createdb -E UTF8`.")
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock(1146115161, hashtext($1))", address.schema)
        if not await connection.fetchval("SELECT to_regnamespace($1) IS NOT NULL", f'"{address.schema}"'):
            await connection.execute(f'CREATE SCHEMA "{address.schema}"')
        at = 0
        if await connection.fetchval("SELECT to_regclass($1) IS NOT NULL", f'"{address.schema}".migration'):
            at = await applied(connection, address)
        if at > NEWEST:
            await check_schema(connection, address)
        if at >= _VIEWS_SINCE:
            await _make_views_schema(connection, address)
        if at == NEWEST:
            return []
        due = [migration for migration in MIGRATIONS if migration.number > at]
        try:
            for migration in due:
                await connection.execute(address.script(migration.file))
                await connection.execute(
                    address.placed("INSERT INTO diptych.migration (number, name) VALUES ($1, $2)"),
                    migration.number,
                    migration.name,
                )
        except _TAKEN as error:
            raise NotAStore(
                f"The schema {address.schema!r} of {address.shown} holds something else ({error}); "
                "choose another one with ?schema= in the URL."
            ) from error
        await connection.execute(address.script("functions.sql"))
    return due


async def _make_views_schema(connection: Connection, address: Address) -> None:
    """Makes the schema of the views where a log was restored without it. Their generations went with their rows."""
    if await connection.fetchval("SELECT to_regnamespace($1) IS NULL", f'"{address.views_schema}"'):
        await connection.execute(f'CREATE SCHEMA "{address.views_schema}"')
        await connection.execute(address.placed("DELETE FROM diptych.generation"))
