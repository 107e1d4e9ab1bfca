"""The tables of a PostgreSQL store are made by numbered migrations, and looked at before a store is used."""

import asyncio
import hashlib
import re
from importlib.resources import files

import asyncpg
import pytest

from diptych import NotAStore, View
from diptych.log import Anchor
from diptych.read import Pause, State, Superseded, ViewShape
from diptych.stores.postgres import PostgresStore, schema
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.projected import VIEW_FILES
from diptych.stores.postgres.rows import RowTable
from tests.faults.tools import new_append
from tests.postgres import Server
from tests.views import LOG

COLUMNS = """
SELECT table_name, column_name, ordinal_position, data_type, numeric_precision, is_nullable, column_default,
    collation_name
FROM information_schema.columns WHERE table_schema = $1 ORDER BY 1, 3
"""
INDEXES = "SELECT replace(indexdef, schemaname, '') FROM pg_indexes WHERE schemaname = $1 ORDER BY 1"
OPTIONS = """
SELECT relname, reloptions FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = $1 ORDER BY 1
"""

FUNCTIONS_OF = """
SELECT replace(pg_get_functiondef(pg_proc.oid), nspname, '')
FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace WHERE nspname = $1 ORDER BY 1
"""

AS_OF_OLD = """
INSERT INTO diptych.event (position, version, recorded_at, schema, stream, type, event_id, tags, data, metadata)
VALUES (1, 1, 1, 1, 'order-1', 'Happened', '\\x00', '[]', '{}', '{}');
DROP FUNCTION diptych.append_one, diptych.append_group, diptych.append_batch;
CREATE FUNCTION diptych.append_one(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION diptych.append_group(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION diptych.append_batch(text) RETURNS text LANGUAGE sql AS 'SELECT $1';
"""
"""An event, and functions with other arguments than today's."""

FUNCTIONS = {5: "255d296434a01684", 6: "814ee1dcefc74d26"}
"""The digests of functions.sql, each by the migration that came with it: whoever migrates gets the functions, too."""


async def shape(connection: "asyncpg.Connection[asyncpg.Record]", name: str) -> list[list[tuple[object, ...]]]:
    return [
        [tuple(row) for row in await connection.fetch(sql, name)] for sql in (COLUMNS, INDEXES, OPTIONS, FUNCTIONS_OF)
    ]


async def set_number(url: str, number: int) -> None:
    address = address_of(url)
    connection = await asyncpg.connect(address.dsn)
    await connection.execute(address.placed("DELETE FROM diptych.migration WHERE number > 1"))
    if number > 1:
        await connection.execute(address.placed("INSERT INTO diptych.migration VALUES ($1, 'other')"), number)
    await connection.close()


async def test_all_migrations_give_the_schema(postgres_url: str) -> None:
    migrated = address_of(postgres_url)
    written = migrated._replace(schema=f"{migrated.schema}_written")
    connection = await asyncpg.connect(migrated.dsn)
    await connection.execute(f"CREATE SCHEMA {written.schema}")
    await connection.execute(written.script("schema.sql"))
    await connection.execute(written.script("functions.sql"))
    for suffix in ("", "_views"):
        expected = await shape(connection, written.schema + suffix)
        assert await shape(connection, migrated.schema + suffix) == expected
    await connection.close()


def test_migrations_are_numbered_without_a_gap() -> None:
    assert [migration.number for migration in schema.MIGRATIONS] == list(range(1, schema.NEWEST + 1))


def test_a_function_that_was_changed_comes_with_a_migration() -> None:
    digest = hashlib.sha256(files("diptych.stores.postgres").joinpath("functions.sql").read_bytes()).hexdigest()[:16]
    newest = max(FUNCTIONS)
    assert FUNCTIONS[newest] == digest, (
        "functions.sql was changed, and stores that are there would keep the old functions: add a migration, which may "
        f"do nothing else, and here its number with {digest!r}"
    )
    assert newest in [migration.number for migration in schema.MIGRATIONS]
    assert len(set(FUNCTIONS.values())) == len(FUNCTIONS)


@pytest.mark.parametrize("older", schema.MIGRATIONS[:-1], ids=str)
async def test_an_older_store_comes_to_the_same_schema_and_keeps_its_events(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, older: schema.Migration
) -> None:
    new, old = [PostgresStore(postgres.url(f"{name}_{older.number}")) for name in ("new", "old")]
    await new.migrate()
    with monkeypatch.context() as patch:
        patch.setattr(schema, "NEWEST", older.number)
        patch.setattr(schema, "MIGRATIONS", [one for one in schema.MIGRATIONS if one.number <= older.number])
        await old.migrate()
    connection = await asyncpg.connect(old.address.dsn)
    await connection.execute(old.address.placed(AS_OF_OLD))
    await connection.close()
    assert await old.migrate() == [f"{one.number:04} {one.name}" for one in schema.MIGRATIONS if one > older]
    async with old.log(context="shop") as log:
        await log.append(new_append("order-1"))
        assert [event.stream for event in (await log.read(0)).events] == ["order-1", "order-1"]
    connection = await asyncpg.connect(new.address.dsn)
    for suffix in ("", "_views"):
        expected = await shape(connection, new.address.schema + suffix)
        assert await shape(connection, old.address.schema + suffix) == expected
    await connection.close()


def test_each_file_of_sql_names_no_schema_but_the_default_one() -> None:
    folder = files("diptych.stores.postgres")
    names = ["schema.sql", "functions.sql", *VIEW_FILES, *[migration.file for migration in schema.MIGRATIONS]]
    for name in names:
        text = re.sub(r"--.*|'[^']*'", "", folder.joinpath(name).read_text("utf-8"))
        for table in re.findall(r"(?:TABLE|INTO|FROM|JOIN) (\w+\.\w+)", text):
            assert table.split(".")[0] in ("diptych", "information_schema"), f"{name}: {table}"


async def test_a_store_is_migrated_once_and_then_stays_as_it_is(postgres: Server) -> None:
    store = PostgresStore(postgres.url("migrated_once"))
    assert await store.migrate() == [f"{migration.number:04} {migration.name}" for migration in schema.MIGRATIONS]
    async with store.log() as log:
        id = log.log_id
    assert await store.migrate() == []
    async with store.log() as log:
        assert log.log_id == id


class Item(View, key="id"):
    id: int


ITEM, NEXT_ITEM, OTHER = ViewShape(Item), ViewShape(Item, 2), ViewShape(Item, 3)

BEFORE_SEGMENTS = f"""
INSERT INTO diptych.generation (name, epoch, fingerprint, log_id, position, event_id, live, paused, failure)
VALUES ('Item', 4, '{ITEM.fingerprint}', '{LOG}', 7, decode(repeat('07', 16), 'hex'), true, true, '{{}}'),
    ('Item', 6, '{NEXT_ITEM.fingerprint}', '{LOG}', 3, decode(repeat('03', 16), 'hex'), false, true, NULL);
INSERT INTO diptych.pause (name, since) VALUES ('Item', '2026-01-31T12:00:00+00:00'), ('Never', '2026-02-01');
"""


async def test_views_that_were_filled_before_there_were_segments_stay_filled(postgres: Server) -> None:
    store = PostgresStore(postgres.url("unsegmented"))
    tables = [RowTable(shape, number, "unsegmented_views") for shape, number in ((ITEM, 4), (NEXT_ITEM, 6))]
    connection = await asyncpg.connect(store.address.dsn)
    await connection.execute("CREATE SCHEMA unsegmented")
    for migration in schema.MIGRATIONS[:2]:
        await connection.execute(store.address.script(migration.file))
    await connection.execute("INSERT INTO unsegmented.migration (number, name) VALUES (1, 'log'), (2, 'views')")
    await connection.execute(store.address.placed(BEFORE_SEGMENTS))
    for table in tables:
        await connection.execute(table.create())
        await connection.execute(f"INSERT INTO {table.table} VALUES (1), (2)")
    await connection.execute(f"CREATE VIEW unsegmented_views.item AS SELECT * FROM {tables[0].table}")
    await connection.close()

    assert (await store.migrate())[0] == "0003 segments"

    async with store.views() as views:
        live, filling = await views.generations(ITEM)
        assert (live.number, live.fingerprint, live.state, live.position) == (4, ITEM.fingerprint, State.LIVE, 7)
        assert live.pause == Pause("2026-01-31T12:00:00+00:00", "an operator has paused it")
        assert (filling.number, filling.state, filling.position) == (6, State.FILLING, 3)
        assert await views.prepare(ITEM, LOG) == live
        assert await views.prepare(NEXT_ITEM, LOG) == filling
        assert set(await views.load(ITEM, [1, 2, 3], live.checkpoints[0])) == {1, 2}
        with pytest.raises(Superseded):
            await views.commit(ITEM, {}, live.checkpoints[0], Anchor(8, bytes(16)))
        await views.resume(ITEM)
        await views.commit(ITEM, {3: Item(id=3)}, live.checkpoints[0], Anchor(8, bytes(16)))
        async with views.snapshot() as snapshot:
            assert len(await snapshot.sql("SELECT * FROM item", {})) == 3
        assert (await views.begin(OTHER, LOG)).number == 7


async def test_of_many_who_migrate_at_once_one_does_it(postgres: Server) -> None:
    answers = await asyncio.gather(*[PostgresStore(postgres.url("raced")).migrate() for _ in range(6)])
    assert sorted(map(len, answers)) == [0, 0, 0, 0, 0, len(schema.MIGRATIONS)]


async def test_a_schema_that_is_not_there_names_the_command_that_makes_it(postgres: Server) -> None:
    store = PostgresStore(postgres.url("nothing_here"))
    for opening in (store.log(), store.views()):
        with pytest.raises(NotAStore, match=r"no store in schema 'nothing_here'.*diptych store migrate --store"):
            async with opening:
                pass


async def test_an_older_schema_names_the_command_that_brings_it_up_to_date(postgres_url: str) -> None:
    await set_number(postgres_url, 1)
    with pytest.raises(NotAStore, match=rf"at migration 1, .* needs {schema.NEWEST}; .*diptych store migrate"):
        async with PostgresStore(postgres_url).log():
            pass


async def test_a_newer_schema_is_left_alone(postgres_url: str) -> None:
    await set_number(postgres_url, 99)
    with pytest.raises(NotAStore, match="at migration 99, which is newer"):
        async with PostgresStore(postgres_url).log():
            pass
    with pytest.raises(NotAStore, match="at migration 99, which is newer"):
        await PostgresStore(postgres_url).migrate()


async def test_a_schema_that_holds_something_else_is_left_alone(postgres: Server) -> None:
    connection = await asyncpg.connect(postgres.url())
    await connection.execute("CREATE SCHEMA taken; CREATE TABLE taken.event (id integer)")
    with pytest.raises(NotAStore, match=r"holds something else.*\?schema="):
        await PostgresStore(postgres.url("taken")).migrate()
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname LIKE 'taken%'")
    assert [row[0] for row in tables] == ["event"]
    await connection.close()


async def test_a_database_of_another_encoding_is_refused(postgres: Server) -> None:
    connection = await asyncpg.connect(postgres.url())
    await connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    await connection.close()
    with pytest.raises(NotAStore, match="UTF8"):
        await PostgresStore(postgres.url().replace("/postgres?", "/latin?")).migrate()


async def test_stores_in_one_database_do_not_disturb_each_other(postgres: Server) -> None:
    stores = [PostgresStore(postgres.url(name)) for name in ("shop_one", "shop_two")]
    for store in stores:
        await store.migrate()
    async with stores[0].log() as one, stores[1].log() as two:
        assert one.log_id != two.log_id
        await one.append(new_append("order-1"))
        assert (await one.head()).position == 1
        assert (await two.head()).position == 0
