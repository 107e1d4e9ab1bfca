"""Questions that a careless or hostile sender asks: refused by name, bounded in time and size, and never a write."""

import asyncio
import base64
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diptych import (
    App,
    BoundedContext,
    DiptychError,
    Forbidden,
    Malformed,
    NotFound,
    Page,
    Projection,
    Query,
    Scale,
    TimedOut,
    TooLarge,
    View,
    Views,
    between,
    ge,
    gt,
    le,
    lt,
    one_of,
    prefix,
)
from tests.app.shop import OrderPlaced, OrderSummary, order, orders, place_orders, summaries

Asking = Callable[[Views], Awaitable[Any]]

asked: dict[str, Asking] = {}
"""What the handler below does, by the name that the query carries: a test asks whatever it likes."""


class Ask(Query[object]):
    name: str


async def answer(query: Ask, views: Views) -> object:
    return await asked[query.name](views)


class Wide(View, key="order_id"):
    order_id: str
    number: int
    real: float
    flag: bool
    at: datetime
    day: date
    status: Literal["new", "old"]
    maybe: str | None
    price: Annotated[Decimal, Scale(2)]
    nested: list[int]


wide = Projection(Wide)


@wide.on
def wide_placed(row: Wide | None, event: OrderPlaced) -> Wide:
    number = int(event.order_id)
    return Wide(
        order_id=event.order_id,
        number=number,
        real=number / 2,
        flag=number % 2 == 0,
        at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=number),
        day=date(2026, 1, 1) + timedelta(days=number),
        status="new" if number < 5 else "old",
        maybe=None if number % 3 else f"m{number}",
        price=Decimal(number) / 4,
        nested=[number],
    )


asking = BoundedContext("asking", aggregates=[orders], projections=[summaries, wide], queries=[answer])


@pytest.fixture
async def app(url: str) -> AsyncIterator[App]:
    async with asking.open(url) as app:
        await app.caught_up(await place_orders(app, 10))
        yield app
    asked.clear()


@pytest.fixture
async def sqlite_app(sqlite_url: str) -> AsyncIterator[App]:
    async with asking.open(sqlite_url) as app:
        await app.caught_up(await place_orders(app, 10))
        yield app
    asked.clear()


async def ask(app: App, asking: Asking, timeout: timedelta = timedelta(seconds=20)) -> Any:
    name = str(id(asking))
    asked[name] = asking
    return await app.ask(Ask(name=name), timeout=timeout)


async def refused(app: App, kind: type[DiptychError], asking: Asking, words: str | None = None) -> None:
    with pytest.raises(kind, match=words):
        await ask(app, asking)
    assert await ask(app, lambda views: views[Wide].count()) == 10  # and all is well afterwards


# where, order_by, limit


async def test_an_unknown_field_is_not_found_and_the_nearest_is_named(app: App) -> None:
    words = "OrderSummary has no field 'custmer_id'; did you mean 'customer_id'"
    await refused(app, NotFound, lambda views: views[OrderSummary].where(custmer_id="c").count(), words)
    await refused(app, NotFound, lambda views: views[OrderSummary].order_by("custmer_id").count(), words)
    await refused(app, NotFound, lambda views: views[OrderSummary].order_by("-custmer_id").count(), words)
    await refused(app, NotFound, lambda views: views[OrderSummary].sum("custmer_id"), words)


@pytest.mark.parametrize("field", ["", "-", "--total", "total;", '"total"', "total DESC", "1", "rowid", "total\0"])
async def test_a_field_that_is_sql_is_not_found(app: App, field: str) -> None:
    await refused(app, NotFound, lambda views: views[OrderSummary].order_by(field).count())
    await refused(app, NotFound, lambda views: views[OrderSummary].where(**{field: 1}).count())
    await refused(app, NotFound, lambda views: views[OrderSummary].sum(field))


@pytest.mark.parametrize(
    "condition",
    [
        {"order_id": 1},
        {"order_id": b"1"},
        {"order_id": ["1"]},
        {"order_id": "\ud800"},
        {"order_id": one_of("1", "\ud800")},
        {"order_id": gt(None)},
        {"order_id": between("1", 2)},
        {"order_id": prefix(b"1")},  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
        {"order_id": prefix("\ud800")},
        {"number": "1"},
        {"number": 1.5},
        {"number": True},
        {"number": one_of(1, "2")},
        {"number": prefix("1")},
        {"real": float("nan")},
        {"real": ge(float("nan"))},
        {"real": "1"},
        {"flag": 1},
        {"flag": "true"},
        {"at": "yesterday"},
        {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - the point
        {"at": date(2026, 1, 1)},
        {"day": "2026-13-01"},
        {"status": "middle"},
        {"status": one_of("new", "middle")},
        {"status": gt(1)},
        {"maybe": 1},
        {"price": Decimal("NaN")},
        {"price": Decimal("sNaN")},
        {"price": ge(Decimal("Infinity"))},
        {"price": Decimal("1E+999999")},
        {"price": "cheap"},
        {"price": between(Decimal(1), None)},
        {"nested": [1]},
    ],
    ids=repr,
)
async def test_a_value_that_is_not_of_the_fields_type_is_malformed(app: App, condition: dict[str, Any]) -> None:
    await refused(app, Malformed, lambda views: views[Wide].where(**condition).count())
    await refused(app, Malformed, lambda views: views[Wide].where(**condition))


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"order_id": one_of()}, 0),
        ({"order_id": prefix("")}, 10),
        ({"order_id": "' OR 1=1 --"}, 0),
        ({"order_id": "1\0"}, 0),
        ({"order_id": prefix("%")}, 0),
        ({"order_id": prefix("\U0010ffff")}, 0),
        ({"order_id": prefix("\ud7ff")}, 0),
        ({"number": gt(2**62)}, 0),
        ({"number": lt(2**63 - 1)}, 10),
        ({"number": between(3, 1)}, 0),
        ({"real": float("inf")}, 0),
        ({"real": le(float("inf"))}, 10),
        ({"real": gt(-0.0)}, 9),
        ({"price": Decimal("-0")}, 1),
        ({"price": Decimal("0E+20")}, 1),
        ({"maybe": None}, 6),
        ({"flag": True}, 5),
        ({"at": ge(datetime.fromisoformat("2026-01-01T19:00:00+14:00"))}, 5),
        ({"status": one_of("new", "old")}, 10),
    ],
    ids=repr,
)
async def test_a_value_that_is_of_the_fields_type_is_compared_whatever_it_is(
    app: App, condition: dict[str, Any], fits: int
) -> None:
    assert await ask(app, lambda views: views[Wide].where(**condition).count()) == fits
    assert len(await ask(app, lambda views: rows(views, condition))) == fits


@pytest.mark.parametrize(
    ("condition", "fits"),
    [
        ({"number": gt(10**30)}, 0),
        ({"number": lt(10**30)}, 10),
        ({"price": ge(Decimal("0.005"))}, 9),
        ({"price": lt(Decimal("1E+20"))}, 10),
        ({"price": Decimal("0.251")}, 0),
    ],
    ids=repr,
)
async def test_a_value_that_the_column_could_not_hold_is_malformed_or_rightly_compared(
    app: App, condition: dict[str, Any], fits: int
) -> None:
    try:
        assert await ask(app, lambda views: views[Wide].where(**condition).count()) == fits
    except Malformed as error:
        assert next(iter(condition)) in error.path  # noqa: PT017 - one of two good ends


async def rows(views: Views, condition: dict[str, Any]) -> list[Wide]:
    return await views[Wide].where(**condition)


async def test_a_field_of_nested_values_has_neither_order_nor_sum(app: App) -> None:
    await refused(app, Malformed, lambda views: views[Wide].order_by("nested").count(), "nested has no order")
    for field in ("nested", "order_id", "at", "flag"):
        await refused(app, Malformed, lambda views, field=field: views[Wide].sum(field), f"{field} is not a number")  # type: ignore[misc]


async def test_limits_that_make_no_sense_are_malformed(app: App) -> None:
    async def limited(views: Views, limit: int) -> list[Wide]:
        return await views[Wide].limit(limit)

    for limit in (-1, -(2**70)):
        await refused(app, Malformed, lambda views, limit=limit: limited(views, limit), "limit of 0 or more")  # type: ignore[misc]
    assert await ask(app, lambda views: limited(views, 0)) == []
    assert len(await ask(app, lambda views: limited(views, 10**6))) == 10
    for size in (0, -1):
        await refused(app, Malformed, lambda views, size=size: views[Wide].page(size), "page of 1 row or more")  # type: ignore[misc]


@pytest.mark.parametrize("number", [2**63 - 1, 2**63, 2**64, 10**30])
async def test_a_limit_beyond_all_bounds_is_a_limit_or_refused(app: App, number: int) -> None:
    async def limited(views: Views) -> list[Wide]:
        return await views[Wide].limit(number)

    async def paged(views: Views) -> list[Wide]:
        return (await views[Wide].page(number)).items

    for way in (limited, paged):
        try:
            assert len(await ask(app, way)) == 10
        except (Malformed, TooLarge):
            continue


async def test_one_of_takes_a_thousand_values_and_not_one_more(sqlite_app: App) -> None:
    values = [str(number) for number in range(1001)]
    assert await ask(sqlite_app, lambda views: views[Wide].where(order_id=one_of(*values[:1000])).count()) == 10
    await refused(
        sqlite_app, TooLarge, lambda views: views[Wide].where(order_id=one_of(*values)).count(), "1000 values"
    )


@pytest.mark.parametrize("key", [1, None, b"1", ("1",), ("1", "2"), ["1"], "\ud800", 2**70], ids=repr)
async def test_a_key_that_is_not_of_the_views_type_is_malformed(app: App, key: Any) -> None:
    await refused(app, Malformed, lambda views: views[Wide].get(key))
    await refused(app, Malformed, lambda views: views[Wide].get_many(["1", key]))


async def test_many_keys_are_looked_up_at_once(app: App) -> None:
    keys = [str(number) for number in range(3000)]
    found: list[Wide] = await ask(app, lambda views: views[Wide].get_many(keys))
    assert [row.order_id for row in found] == keys[:10]


# Cursors


async def page_after(views: Views, cursor: str | None) -> Page[Wide]:
    return await views[Wide].order_by("-price", "at").page(3, cursor)


def test_a_cursor_edited_by_hand_is_malformed_or_says_the_same(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("cursors")
    for url in (f"sqlite:///{folder}/shop.db", "memory://"):
        with asyncio.Runner() as runner:
            try_cursors(runner, url)


def try_cursors(runner: asyncio.Runner, url: str) -> None:
    context = asking.open(url)
    app = runner.run(enter(context))

    def page(cursor: str | None) -> Page[Wide]:
        found: Page[Wide] = runner.run(ask(app, lambda views: page_after(views, cursor)))
        return found

    first = page(None)
    assert first.cursor is not None
    good = first.cursor
    second = page(good)
    assert [row.order_id for row in first.items + second.items] == ["9", "8", "7", "6", "5", "4"]

    @settings(max_examples=200)
    @given(
        st.text(max_size=80)
        | st.integers(0, len(good) - 1).flatmap(
            lambda at: st.sampled_from("AZaz09-_=. é\0\ud800").map(lambda letter: good[:at] + letter + good[at + 1 :])
        )
        | st.integers(0, len(good)).map(lambda at: good[:at])
        | st.text(max_size=5).map(lambda more: good + more)
        | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    )
    def tried(cursor: str) -> None:
        try:
            found = page(cursor)
        except Malformed:
            return
        assert found == second  # the last letter of base64 has bits to spare

    try:
        tried()
    finally:
        runner.run(leave(context))


async def enter(context: Any) -> App:
    app: App = await context.__aenter__()
    await app.caught_up(await place_orders(app, 10))
    return app


async def leave(context: Any) -> None:
    await context.__aexit__(None, None, None)


async def test_a_cursor_of_another_question_is_malformed(app: App) -> None:
    first: Page[Wide] = await ask(app, lambda views: page_after(views, None))
    others: list[Asking] = [
        lambda views: views[Wide].page(3, first.cursor),
        lambda views: views[Wide].order_by("price", "at").page(3, first.cursor),
        lambda views: views[Wide].where(flag=True).order_by("-price", "at").page(3, first.cursor),
        lambda views: views[OrderSummary].page(3, first.cursor),
        lambda views: views[Wide].page(3, ""),
        lambda views: views[Wide].page(3, "?"),
    ]
    for other in others:
        await refused(app, Malformed, other, "not given for this question")


async def test_pages_over_every_order_show_every_row_once(app: App) -> None:
    async def walk(views: Views, *fields: str) -> list[str]:
        selection = views[Wide].order_by(*fields)
        everything = [row.order_id for row in await selection]
        seen: list[str] = []
        cursor: str | None = None
        while True:
            page = await selection.page(3, cursor)
            seen += [row.order_id for row in page.items]
            cursor = page.cursor
            if cursor is None:
                return seen if seen == everything else ["pages and rows differ"]

    columns = [name for name in Wide.__struct_fields__ if name != "nested"]
    for name in columns:
        for fields in ((name,), (f"-{name}",), (name, "-number"), ("-maybe", name), ("flag", f"-{name}")):
            seen = await ask(app, lambda views, fields=fields: walk(views, *fields))  # type: ignore[misc]
            assert sorted(seen) == [str(number) for number in range(10)], fields


async def test_pages_walk_past_infinite_numbers(url: str) -> None:
    class Extreme(View, key="order_id"):
        order_id: str
        real: float

    extreme = Projection(Extreme)

    @extreme.on
    def extreme_placed(row: Extreme | None, event: OrderPlaced) -> Extreme:
        return Extreme(order_id=event.order_id, real=float({"0": "-inf", "4": "inf"}.get(event.order_id, "0.1")))

    async def walk(views: Views) -> list[str]:
        seen: list[str] = []
        page = await views[Extreme].order_by("-real").page(1)
        while len(seen) < 10:
            seen += [row.order_id for row in page.items]
            if page.cursor is None:
                break
            page = await views[Extreme].order_by("-real").page(1, page.cursor)
        return seen

    context = BoundedContext("asking", aggregates=[orders], projections=[extreme], queries=[answer])
    async with context.open(url) as app:
        await app.caught_up(await place_orders(app, 5))
        assert await ask(app, walk) == ["4", "1", "2", "3", "0"]


# Size


async def test_more_rows_than_a_selection_without_a_limit_may_give_are_too_large(url: str) -> None:
    class Many(View, key="number"):
        number: int

    many = Projection(Many)

    def numbers(event: OrderPlaced) -> range:
        return range(int(event.customer_id))

    @many.on(keys=numbers)
    def many_placed(row: Many | None, event: OrderPlaced, key: int) -> Many:
        return Many(number=key)

    async def everything(views: Views) -> int:
        return len(await views[Many])

    async def a_few(views: Views) -> int:
        return len(await views[Many].limit(20)) + len((await views[Many].page(20)).items)

    async def by_sql(views: Views) -> int:
        return len(await views.sql("SELECT * FROM Many"))

    context = BoundedContext("asking", aggregates=[orders], projections=[many], queries=[answer])
    async with context.open(url) as app:
        receipt = await app.execute(order("1", customer_id="10000"))
        await app.caught_up(receipt.token)
        assert await ask(app, everything) == 10_000
        receipt = await app.execute(order("2", customer_id="10001"))
        await app.caught_up(receipt.token)
        with pytest.raises(TooLarge, match=r"limit\(\) or page\(\)"):
            await ask(app, everything)
        assert await ask(app, a_few) == 40
        if url.startswith("sqlite"):
            with pytest.raises(TooLarge, match="LIMIT"):
                await ask(app, by_sql)
        assert await ask(app, lambda views: views[Many].count()) == 10_001


# SQL


def contents(file: Path) -> list[tuple[Any, ...]]:
    with sqlite3.connect(file) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found = [(name, *row) for name in sorted(tables) for row in connection.execute(f'SELECT * FROM "{name}"')]
    connection.close()
    return found


WRITES = [
    "INSERT INTO view (name) VALUES ('x')",
    "DELETE FROM OrderSummary__1",
    'DELETE FROM "Wide__1"',
    "UPDATE view SET position = 0",
    "DROP TABLE view",
    "CREATE TABLE x (y)",
    "CREATE TEMP TABLE x (y)",
    "PRAGMA query_only = 0",
    "PRAGMA query_only = OFF; DELETE FROM view",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA writable_schema = 1",
    "ATTACH 'other.db' AS other",
    "ATTACH ':memory:' AS other",
    "DETACH main",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "ROLLBACK",
    "ROLLBACK /* snapshot */",
    "END",
    "SAVEPOINT a",
    "VACUUM",
    "VACUUM INTO 'other.db'",
    "REINDEX",
    "ANALYZE",
    "WITH gone AS (SELECT 1) DELETE FROM view",
    "WITH x AS (SELECT 1) INSERT INTO view (name) SELECT 'x'",
    "WITH x AS (SELECT 1) UPDATE view SET position = 0",
    "REPLACE INTO view (name) VALUES ('x')",
    "SELECT load_extension('/tmp/evil.so')",
    "SELECT 1; DELETE FROM view",
    "SELECT 1; SELECT 2",
    "SELECT 1; COMMIT",
    "SELECT * FROM pragma_query_only",
    "SELECT * FROM pragma_database_list",
    "/* harmless */ DELETE FROM view",
    "-- harmless\nDELETE FROM view",
    ";DELETE FROM view",
    "\ufeffDELETE FROM view",
    "EXPLAIN DELETE FROM view",
    "SELECT writefile('x', 'y')",
    "SELECT readfile('/etc/passwd')",
    "SELECT edit('x')",
    "SELECT fts3_tokenizer('simple', x'00')",
]


@pytest.mark.parametrize("statement", WRITES)
async def test_a_write_through_sql_is_refused_and_changes_nothing(
    sqlite_app: App, tmp_path: Path, statement: str
) -> None:
    before = contents(tmp_path / "shop.views.db"), contents(tmp_path / "shop.db")

    with pytest.raises((Forbidden, Malformed)):
        await ask(sqlite_app, lambda views: views.sql(statement))

    assert (contents(tmp_path / "shop.views.db"), contents(tmp_path / "shop.db")) == before
    assert await ask(sqlite_app, lambda views: views[Wide].count()) == 10
    receipt = await sqlite_app.execute(order("10"))  # the projectors and the log go on
    await sqlite_app.caught_up(receipt.token)
    assert {file.name.split(".db")[0] for file in list(tmp_path.iterdir())} == {"shop", "shop.views"}  # noqa: ASYNC240


NONSENSE: list[tuple[str, dict[str, Any]]] = [
    ("SELECT", {}),
    ("SELECT FROM", {}),
    ("SELECT * FROM nowhere", {}),
    ("SELECT nothing FROM OrderSummary", {}),
    ("SELECT :x", {}),
    ("SELECT ?", {}),
    ("SELECT ?, :x", {"x": 1}),
    ("SELECT 1\0", {}),
    ("SELECT '\ud800'", {}),
    ("SELECT :x", {"x": "\ud800"}),
    ("SELECT :x", {"x": 2**63}),
    ("SELECT :x", {"x": -(2**70)}),
    ("SELECT :x", {"x": Decimal(1)}),
    ("SELECT :x", {"x": [1]}),
    ("SELECT :x", {"x": object()}),
    ("SELECT CAST(x'ff' AS TEXT)", {}),
    ("SELECT decimal('a', 2)", {}),
    ("SELECT decimal(1)", {}),
    ("SELECT abs(-9223372036854775808)", {}),
    ("SELECT " + "(" * 2000 + "1" + ")" * 2000, {}),
    ("SELECT " + ", ".join(["1"] * 5000), {}),
    ("SELECT zeroblob(2000000000)", {}),
]


@pytest.mark.parametrize(("statement", "binds"), NONSENSE, ids=lambda value: ascii(value)[:60].split(" at 0x")[0])
async def test_sql_that_does_not_run_is_malformed(sqlite_app: App, statement: str, binds: dict[str, Any]) -> None:
    await refused(sqlite_app, (Malformed, TooLarge), lambda views: views.sql(statement, **binds))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT count(*) AS n FROM Wide",
        "select count(*) as n from wide",
        "  \n SELECT count(*) AS n FROM Wide;",
        "WITH w AS (SELECT * FROM Wide) SELECT count(*) AS n FROM w",
        "-- how many\nSELECT count(*) AS n FROM Wide",
        "/* how many */ SELECT count(*) AS n FROM Wide",
        "SELECT count(*) AS n FROM Wide JOIN OrderSummary USING (order_id)",
        "VALUES (10)",
        "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10) SELECT max(n) AS n FROM c",
        "SELECT count(*) AS n FROM Wide WHERE decimal(price, 2) GLOB '*.*'",
    ],
)
async def test_one_select_of_any_form_runs_also_as_the_first_thing_that_is_asked(
    sqlite_url: str, statement: str
) -> None:
    async with asking.open(sqlite_url) as app:
        await app.caught_up(await place_orders(app, 10))
    async with asking.open(sqlite_url) as app:
        for _ in range(3):
            (row,) = await ask(app, lambda views: views.sql(statement))
            assert list(row.values()) == [10]


async def test_more_different_statements_than_a_connection_remembers_leave_it_usable(sqlite_app: App) -> None:
    async def many(views: Views) -> int:
        return sum([(await views.sql(f"SELECT {number} AS n"))[0]["n"] for number in range(600)])

    for _ in range(3):
        assert await ask(sqlite_app, many) == sum(range(600))
        assert await ask(sqlite_app, lambda views: views[Wide].count()) == 10


async def test_views_in_memory_have_no_sql(url: str) -> None:
    async with asking.open("memory://") as app:
        with pytest.raises(Forbidden, match="no SQL"):
            await ask(app, lambda views: views.sql("SELECT 1"))


async def test_all_reads_of_a_query_see_one_moment(url: str) -> None:
    async with asking.open(url) as app:
        first = await app.execute(order("0"))
        await app.caught_up(first.token)

        async def look_twice(views: Views) -> tuple[int, int, int]:
            before = await views[Wide].count()
            receipt = await app.execute(order("1"))
            await app.caught_up(receipt.token)
            return before, await views[Wide].count(), await views[OrderSummary].count()

        assert await ask(app, look_twice) == (1, 1, 1)
        assert await ask(app, lambda views: views[Wide].count()) == 2


# Time

ENDLESS = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT count(*) FROM c"
CROSS = "SELECT count(*) FROM " + ", ".join(f"Wide AS w{number}" for number in range(30))


async def ticks(of: Awaitable[Any]) -> tuple[Any, float]:
    """What it gives, and the longest time for which it held up the event loop, in seconds."""
    longest = 0.0
    task = asyncio.ensure_future(of)
    last = time.perf_counter()
    while not task.done():
        await asyncio.sleep(0.005)
        now = time.perf_counter()
        longest = max(longest, now - last)
        last = now
    return (task.exception() or task.result()), longest


async def test_a_handler_that_never_ends_is_timed_out(app: App) -> None:
    async def sleep(views: Views) -> None:
        await asyncio.sleep(3600)

    for _ in range(10):  # more than there are places in the pool
        with pytest.raises(TimedOut, match="Ask took longer"):
            await ask(app, sleep, timedelta(milliseconds=20))
    assert await ask(app, lambda views: views[Wide].count()) == 10


@pytest.mark.parametrize("statement", [ENDLESS, CROSS])
async def test_a_statement_that_never_ends_is_interrupted_and_leaves_the_pool_usable(
    sqlite_app: App, statement: str
) -> None:
    for _ in range(10):
        start = time.perf_counter()
        result, longest = await ticks(ask(sqlite_app, lambda views: views.sql(statement), timedelta(milliseconds=50)))
        assert isinstance(result, TimedOut)
        assert time.perf_counter() - start < 2
        assert longest < 1  # loosely: the event loop is never held up for as long as the statement runs
    assert await ask(sqlite_app, lambda views: views[Wide].count()) == 10
    receipt = await sqlite_app.execute(order("10"))
    await sqlite_app.caught_up(receipt.token)


SLOW = ENDLESS.replace("FROM c)", "FROM c WHERE n < 20000000)")
"""Takes some seconds, and ends by itself: a test that fails does not hang."""


@pytest.mark.parametrize("cancels", [1, 2, 3])
async def test_a_client_that_goes_away_and_says_so_again_and_again_leaves_the_pool_usable(
    sqlite_app: App, cancels: int
) -> None:
    began = time.perf_counter()
    for _ in range(10):
        tasks = [asyncio.create_task(ask(sqlite_app, lambda views: views.sql(SLOW))) for _ in range(4)]
        await asyncio.sleep(0.02)
        for task in tasks:
            for _ in range(cancels):
                task.cancel()
                await asyncio.sleep(0)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}
        everyone = [ask(sqlite_app, lambda views: views.sql("SELECT 1 AS n")) for _ in range(20)]
        assert await asyncio.gather(*everyone) == [[{"n": 1}]] * 20
    # None of the statements runs on: every thread there is has time for something else.
    await asyncio.gather(*[asyncio.to_thread(time.sleep, 0.01) for _ in range(32)])
    assert time.perf_counter() - began < 5


async def test_more_slow_queries_than_there_are_places_wait_for_each_other_and_hold_up_no_command(
    sqlite_app: App,
) -> None:
    async def slow(views: Views) -> int:
        count = await views[Wide].count()
        await asyncio.sleep(0.1)
        await views.sql(ENDLESS.replace("FROM c)", "FROM c WHERE n < 300000)"))
        return count

    queries = [asyncio.create_task(ask(sqlite_app, slow)) for _ in range(24)]
    _, longest = await ticks(asyncio.gather(*[sqlite_app.execute(order(str(100 + number))) for number in range(50)]))
    assert longest < 1
    assert await asyncio.wait_for(asyncio.gather(*queries), 30) >= [10] * 24


async def test_queries_that_wait_for_a_place_are_timed_out_as_well(sqlite_app: App) -> None:
    gate = asyncio.Event()

    async def held(views: Views) -> str:
        await views[Wide].count()
        await gate.wait()
        return "held"

    holders = [asyncio.create_task(ask(sqlite_app, held)) for _ in range(8)]
    await asyncio.sleep(0.05)
    with pytest.raises(TimedOut):
        await ask(sqlite_app, lambda views: views[Wide].count(), timedelta(milliseconds=100))
    gate.set()
    assert await asyncio.gather(*holders) == ["held"] * 8
    assert await ask(sqlite_app, lambda views: views[Wide].count()) == 10


async def test_a_handler_that_raises_is_the_callers_error_and_leaves_the_pool_usable(app: App) -> None:
    async def broken(views: Views) -> None:
        await views[Wide].count()
        raise ZeroDivisionError("a bug in the handler")

    for _ in range(20):
        with pytest.raises(ZeroDivisionError, match="a bug in the handler"):
            await ask(app, broken)
    assert await ask(app, lambda views: views[Wide].count()) == 10


async def test_a_query_that_asks_another_one_does_not_starve_itself(sqlite_app: App) -> None:
    async def outer(views: Views) -> int:
        await views[Wide].count()
        inner: int = await ask(sqlite_app, lambda views: views[Wide].count(), timedelta(seconds=1))
        return inner

    results = await asyncio.gather(
        *[ask(sqlite_app, outer, timedelta(seconds=2)) for _ in range(8)], return_exceptions=True
    )
    assert {type(result) for result in results} <= {int, TimedOut}  # explicit, never a hang
    assert await ask(sqlite_app, lambda views: views[Wide].count()) == 10
