"""The contract of a read store as a pytest suite: what `diptych.read.ViewStore` promises, held against a store.

The test file of a store gives the fixture `store`, on an empty place, and has the whole suite:

    class TestSqliteViews(ViewStoreContract):
        @pytest.fixture
        def store(self, tmp_path: Path) -> Store:
            return SqliteStore(tmp_path / "log.db")

Needs pytest, pytest-asyncio and Hypothesis.
"""
# ruff: noqa: S101 - assert is what a test does

import asyncio
import itertools
import threading
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych.errors import Malformed, TooLarge
from diptych.log import BEGINNING
from diptych.messages import View
from diptych.read import (
    Checkpoint,
    Failure,
    Filter,
    NeverFilled,
    Scale,
    Selection,
    Snapshot,
    Superseded,
    Views,
    ViewShape,
    ViewStore,
    between,
    ge,
    gt,
    le,
    lt,
    one_of,
    prefix,
)
from diptych.stores import Store
from diptych.testing.view_generations import ViewGenerationsContract
from diptych.testing.view_in_step import ViewInStepContract
from diptych.testing.view_leases import ViewLeasesContract
from diptych.testing.view_letters import ViewLettersContract
from diptych.testing.view_pauses import ViewPausesContract
from diptych.testing.view_segments import ViewSegmentsContract
from diptych.testing.view_starts import ViewStartsContract
from diptych.testing.view_words import LOG, OTHER_LOG, SINCE, at, live, loaded, only, standing, until_reached

V = TypeVar("V", bound=View)

ODD_ZONE = timezone(timedelta(hours=5, minutes=45))
DATES = datetime(1, 1, 3, tzinfo=UTC), datetime(9999, 12, 29, tzinfo=UTC)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Size(Enum):
    SMALL = 1
    LARGE = 2


class Part(msgspec.Struct, frozen=True):
    name: str
    price: Decimal
    at: datetime | None = None


class Item(View, key="id", index=("group", "amount")):
    """What most tests write and read."""

    id: int
    group: str = "a"
    amount: Decimal | None = None


class Everything(View, key="id"):
    """A column of every kind, and the same again as an optional one."""

    id: str
    text: str = ""
    number: int = 0
    real: float = 0.0
    flag: bool = False
    cents: Annotated[Decimal, Scale(2)] = Decimal()
    exact: Decimal = Decimal()
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    day: date = date(2026, 1, 1)
    uuid: UUID = UUID(int=0)
    raw: bytes = b""
    colour: Colour = Colour.RED
    size: Size = Size.SMALL
    word: Literal["one", "two"] = "one"
    digit: Literal[1, 2] = 1
    mixed: Literal[1, "1"] = 1
    names: list[str] = []  # noqa: RUF012 - a Struct copies it
    parts: dict[str, Part] = {}  # noqa: RUF012 - a Struct copies it
    part: Part = Part("none", Decimal())
    maybe_text: str | None = None
    maybe_number: int | None = None
    maybe_real: float | None = None
    maybe_flag: bool | None = None
    maybe_cents: Annotated[Decimal, Scale(2)] | None = None
    maybe_at: datetime | None = None
    maybe_day: date | None = None
    maybe_uuid: UUID | None = None
    maybe_raw: bytes | None = None
    maybe_colour: Colour | None = None
    maybe_word: Literal["one", "two"] | None = None
    maybe_names: list[str] | None = None
    maybe_part: Part | None = None


class Loose(View, key="id"):
    """Columns whose JSON may be null."""

    id: str
    word_or_none: Literal["one", None] = "one"  # noqa: PYI061 - users write it, too
    anything: Any = 0


class Seat(View, key=("day", "row", "seat")):
    """A composite key."""

    seat: int
    row: str
    day: date
    holder: str = ""


ITEM = ViewShape(Item)
EVERYTHING = ViewShape(Everything)
SEAT = ViewShape(Seat)
LOOSE = ViewShape(Loose)


def by_key(shape: ViewShape[V], rows: Iterable[V]) -> dict[Any, V | None]:
    """Rows as a commit takes them."""
    return {shape.key_of(row): row for row in rows}


async def begin(store: ViewStore, shape: ViewShape[V], rows: Iterable[V] = ()) -> Checkpoint:
    """The live generation of the view, begun anew with these rows at position 1."""
    await live(store, shape, OTHER_LOG)
    return await store.commit(shape, by_key(shape, rows), only(await live(store, shape)), at(1))


def row_with(values: Mapping[str, Any]) -> Everything:
    """A row with these values, whether they fit or not."""
    fields: dict[str, Any] = {"id": "1", **values}
    return Everything(**fields)


def rows_of(snapshot: Snapshot, shape: ViewShape[V]) -> Selection[V]:
    """A query handler's view of the rows."""
    return Views(snapshot, {shape.view: shape}, 0)[shape.view]


async def ids(store: ViewStore, **conditions: Filter | object) -> list[int]:
    """The ids of the items that fit, in order of id."""
    async with store.snapshot() as snapshot:
        selection = rows_of(snapshot, ITEM).where(**conditions)
        rows = await selection
        assert await selection.count() == len(rows)
        return [row.id for row in rows]


async def contents(store: ViewStore, shape: ViewShape[V]) -> list[V]:
    """All rows, by key."""
    async with store.snapshot() as snapshot:
        return await rows_of(snapshot, shape)


def in_order(rows: Iterable[Any], fields: Iterable[str]) -> list[Any]:
    """Rows sorted as `order_by` promises: None before every value, ties by what comes later."""
    ordered = list(rows)
    for field in reversed(list(fields)):
        name = field.removeprefix("-")
        ordered.sort(key=lambda row: _rank(getattr(row, name)), reverse=field.startswith("-"))
    return ordered


def _rank(value: Any) -> Any:
    return (False, 0) if value is None else (True, value.value if isinstance(value, Enum) else value)


AMOUNTS = st.none() | st.sampled_from([Decimal(n) / 4 for n in range(-4, 5)])
ITEMS = st.lists(
    st.builds(Item, id=st.integers(0, 50), group=st.sampled_from(["", "a", "A", "b", "é", "🙂"]), amount=AMOUNTS),
    unique_by=lambda row: row.id,
    max_size=30,
)
ORDERS = st.permutations(["id", "group", "amount"]).flatmap(
    lambda names: st.lists(st.booleans(), max_size=3).map(
        lambda signs: ["-" * sign + name for sign, name in zip(signs, names, strict=False)]
    )
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PARTS = st.builds(
    Part,
    TEXTS,
    st.decimals(-1000, 1000, places=9),
    st.none() | st.datetimes(timezones=st.just(ODD_ZONE)),
)
LONG = st.integers(-(2**63) + 1, 2**63 - 1)
TIMES = st.datetimes(
    DATES[0].replace(tzinfo=None),
    DATES[1].replace(tzinfo=None),
    timezones=st.sampled_from([UTC, ODD_ZONE, timezone(timedelta(hours=-7))]),
)
CENTS = st.decimals(-(10**15), 10**15, places=2)
REALS = st.floats(allow_nan=False)
ALL_KINDS = st.builds(
    Everything,
    id=TEXTS,
    text=TEXTS,
    number=LONG,
    real=REALS,
    flag=st.booleans(),
    cents=CENTS,
    exact=st.decimals(-(10**12), 10**12, places=6),
    at=TIMES,
    day=st.dates(),
    uuid=st.uuids(),
    raw=st.binary(),
    colour=st.sampled_from(Colour),
    size=st.sampled_from(Size),
    word=st.sampled_from(["one", "two"]),
    digit=st.sampled_from([1, 2]),
    mixed=st.sampled_from([1, "1"]),
    names=st.lists(TEXTS, max_size=3),
    parts=st.dictionaries(TEXTS, PARTS, max_size=2),
    part=PARTS,
    maybe_text=st.none() | TEXTS,
    maybe_number=st.none() | LONG,
    maybe_real=st.none() | REALS,
    maybe_flag=st.none() | st.booleans(),
    maybe_cents=st.none() | CENTS,
    maybe_at=st.none() | TIMES,
    maybe_day=st.none() | st.dates(),
    maybe_uuid=st.none() | st.uuids(),
    maybe_raw=st.none() | st.binary(),
    maybe_colour=st.none() | st.sampled_from(Colour),
    maybe_word=st.none() | st.sampled_from(["one", "two"]),
    maybe_names=st.none() | st.lists(TEXTS, max_size=3),
    maybe_part=st.none() | PARTS,
)
EXAMPLES = settings(
    max_examples=60,
    deadline=None,
    # Every example begins its view anew, and every store that inherits a test runs it for itself.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
)


class ViewStoreContract(
    ViewGenerationsContract,
    ViewStartsContract,
    ViewPausesContract,
    ViewSegmentsContract,
    ViewLeasesContract,
    ViewLettersContract,
    ViewInStepContract,
):
    """Subclass it with a fixture `store`."""

    # Checkpoints

    async def test_a_new_view_stands_before_the_first_event_and_is_empty(self, views: ViewStore) -> None:
        checkpoint = only(await live(views, ITEM))
        assert (checkpoint.log_id, checkpoint.anchor) == (LOG, BEGINNING)
        assert (checkpoint.failure, checkpoint.owner, checkpoint.parked) == (None, None, 0)
        assert await loaded(views, ITEM, [1, 2]) == {}
        assert await contents(views, ITEM) == []
        assert only(await views.prepare(ITEM, LOG)) == checkpoint

    async def test_a_view_that_was_never_prepared_is_unavailable(self, views: ViewStore) -> None:
        async with views.snapshot() as snapshot:
            with pytest.raises(NeverFilled):
                await snapshot.generation(ITEM)

    async def test_a_commit_keeps_rows_and_checkpoint_together(self, views: ViewStore) -> None:
        start = only(await live(views, ITEM))
        first = await views.commit(ITEM, by_key(ITEM, [Item(id=1), Item(id=2)]), start, at(5))
        assert first == start._replace(anchor=at(5))
        second = await views.commit(ITEM, {2: Item(id=2, group="b"), 1: None, 9: None}, first, at(9))
        assert second.position == 9
        assert only(await standing(views, ITEM)) == second
        assert await contents(views, ITEM) == [Item(id=2, group="b")]
        assert await loaded(views, ITEM, [1, 2, 9]) == {2: Item(id=2, group="b")}

    async def test_a_checkpoint_moves_without_rows(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=1)])
        moved = await views.commit(ITEM, {}, checkpoint, at(50_000))
        assert only(await views.prepare(ITEM, LOG)) == moved == checkpoint._replace(anchor=at(50_000))
        assert await contents(views, ITEM) == [Item(id=1)]

    async def test_of_two_projectors_at_one_checkpoint_the_second_is_superseded(
        self, store: Store, views: ViewStore
    ) -> None:
        start = only(await live(views, ITEM))
        async with store.views() as other:
            assert only(await other.prepare(ITEM, LOG)) == start
            kept = await views.commit(ITEM, by_key(ITEM, [Item(id=1, group="first")]), start, at(3))
            with pytest.raises(Superseded):
                await other.commit(ITEM, by_key(ITEM, [Item(id=1, group="second"), Item(id=2)]), start, at(4))
            assert only(await other.prepare(ITEM, LOG)) == kept
        assert await contents(views, ITEM) == [Item(id=1, group="first")]

    async def test_of_racing_projectors_one_is_kept_in_each_round(self, store: Store, views: ViewStore) -> None:
        racers, rounds = 4, 25
        checkpoint = only(await live(views, ITEM))
        start = threading.Barrier(racers, timeout=10)

        async def race(racer: int) -> list[bool]:
            won: list[bool] = []
            async with store.views() as own:
                for number in range(rounds):
                    here = checkpoint._replace(anchor=at(number) if number else BEGINNING)
                    start.wait()
                    try:
                        await own.commit(ITEM, {number: Item(id=number, group=f"{racer}")}, here, at(number + 1))
                    except Superseded:
                        won.append(False)
                    else:
                        won.append(True)
            return won

        answers = await asyncio.gather(*[asyncio.to_thread(asyncio.run, race(racer)) for racer in range(racers)])
        winners = [[racer for racer in range(racers) if answers[racer][number]] for number in range(rounds)]
        assert [len(round) for round in winners] == [1] * rounds
        assert [int(row.group) for row in await contents(views, ITEM)] == [round[0] for round in winners]

    async def test_a_failure_is_kept_until_the_next_commit(self, store: Store, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=1)])
        failure = Failure("event", 2, "ValueError: it's 🙂", SINCE)
        failed = await views.record_failure(ITEM, checkpoint, failure)
        assert failed == checkpoint._replace(failure=failure)
        async with store.views() as other, other.snapshot() as snapshot:
            assert only(await snapshot.generation(ITEM)) == failed
            assert only(await views.prepare(ITEM, LOG)) == failed
        assert await contents(views, ITEM) == [Item(id=1)]
        assert (await views.commit(ITEM, {}, failed, at(2))).failure is None
        assert only(await views.prepare(ITEM, LOG)).failure is None

    async def test_a_superseded_projector_records_no_failure(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM)
        moved = await views.commit(ITEM, {}, checkpoint, at(2))
        with pytest.raises(Superseded):
            await views.record_failure(ITEM, checkpoint, Failure("store", 2, "late", SINCE))
        assert only(await views.prepare(ITEM, LOG)) == moved

    async def test_rows_that_do_not_fit_leave_nothing_behind(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=1), Item(id=3)])
        changes: Mapping[Any, Item | None] = {
            1: Item(id=1, group="changed"),
            2: Item(id=2, amount=Decimal("1e-7")),
            3: None,
        }
        with pytest.raises(ValueError, match="digits"):
            await views.commit(ITEM, changes, checkpoint, at(2))
        assert only(await views.prepare(ITEM, LOG)) == checkpoint
        assert await contents(views, ITEM) == [Item(id=1), Item(id=3)]

    @pytest.mark.parametrize("change", ["log", "version", "fields"])
    async def test_a_view_of_another_log_or_shape_is_filled_anew(self, views: ViewStore, change: str) -> None:
        class Changed(View, key="id", name="Item"):
            id: int
            title: str = "new"

        shapes: dict[str, ViewShape[Any]] = {"log": ITEM, "version": ViewShape(Item, 2), "fields": ViewShape(Changed)}
        shape = shapes[change]
        old = await begin(views, ITEM, [Item(id=1)])
        new = only(await live(views, shape, OTHER_LOG if change == "log" else LOG))
        assert (new.anchor, new.failure) == (BEGINNING, None)
        assert new.generation != old.generation
        assert await loaded(views, shape, [1]) == {}
        assert await contents(views, shape) == []
        row = shape.view(id=7)
        await views.commit(shape, {7: row}, new, at(1))
        assert await contents(views, shape) == [row]
        if shape is ITEM:
            for late in (old, old._replace(anchor=at(1))):
                with pytest.raises(Superseded):
                    await views.commit(ITEM, {1: Item(id=1)}, late, at(2))
        else:
            assert await contents(views, ITEM) == [Item(id=1)]

    async def test_views_do_not_touch_each_other(self, views: ViewStore) -> None:
        await begin(views, ITEM, [Item(id=1)])
        seat = Seat(day=date(2026, 1, 1), row="a", seat=1)
        checkpoint = await begin(views, SEAT, [seat])
        await views.commit(SEAT, {(seat.day, "a", 1): None}, checkpoint, at(8))
        assert await contents(views, ITEM) == [Item(id=1)]
        assert only(await views.prepare(ITEM, LOG)).position == 1

    async def test_rows_and_checkpoint_are_there_when_the_views_are_opened_again(self, store: Store) -> None:
        async with store.views() as views:
            checkpoint = await begin(views, ITEM, [Item(id=1)])
        async with store.views() as views:
            assert only(await views.prepare(ITEM, LOG)) == checkpoint
            assert await loaded(views, ITEM, [1]) == {1: Item(id=1)}

    # Snapshots

    async def test_a_snapshot_does_not_see_later_commits(self, store: Store, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=1), Item(id=2, amount=Decimal(5))])
        async with store.views() as reader, reader.snapshot() as snapshot:
            rows = rows_of(snapshot, ITEM)
            assert await rows.count() == 2
            changes = {1: None, 2: Item(id=2, group="later"), 3: Item(id=3)}
            await views.commit(ITEM, changes, checkpoint, at(2))
            assert [row.id for row in await rows] == [1, 2]
            assert await snapshot.get_many(ITEM, [1, 2, 3]) == {1: Item(id=1), 2: Item(id=2, amount=Decimal(5))}
            assert only(await snapshot.generation(ITEM)) == checkpoint
            assert (await rows.count(), await rows.sum("amount")) == (2, Decimal(5))
        assert [row.id for row in await contents(views, ITEM)] == [2, 3]

    async def test_a_snapshot_that_is_held_holds_up_no_commit(self, store: Store, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM)
        async with store.views() as reader, reader.snapshot() as held:
            assert await rows_of(held, ITEM) == []
            for number in range(20):
                checkpoint = await views.commit(ITEM, {number: Item(id=number)}, checkpoint, at(2 + number))
                assert len(await contents(views, ITEM)) == number + 1
            assert await rows_of(held, ITEM) == []

    # Rows by key

    async def test_rows_are_found_by_composite_keys(self, views: ViewStore) -> None:
        days = [date(2026, 1, day) for day in (1, 2, 31)]
        rows = [
            Seat(day=day, row=row, seat=n, holder=f"{day}{row}{n}") for day in days for row in "aAé" for n in (1, 2)
        ]
        checkpoint = await begin(views, SEAT, rows)
        keys = [(row.day, row.row, row.seat) for row in rows]
        missing = [(days[0], "b", 1), (days[0], "a", 3), (date(2026, 1, 3), "a", 1)]
        assert await loaded(views, SEAT, [*keys, *missing]) == dict(zip(keys, rows, strict=True))
        async with views.snapshot() as snapshot:
            await snapshot.generation(SEAT)
            assert await snapshot.get_many(SEAT, [*keys[3:5], *missing]) == dict(zip(keys[3:5], rows[3:5], strict=True))
            assert await rows_of(snapshot, SEAT) == in_order(rows, ["day", "row", "seat"])
        await views.commit(SEAT, dict.fromkeys(keys[1:]), checkpoint, at(2))
        assert await contents(views, SEAT) == rows[:1]

    @pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 65, 513, 5000])
    async def test_any_number_of_keys_is_loaded_in_one_call(self, views: ViewStore, count: int) -> None:
        await begin(views, ITEM, [Item(id=number) for number in range(0, count, 2)])
        expected = {number: Item(id=number) for number in range(0, count, 2)}
        assert await loaded(views, ITEM, list(range(count))) == expected
        assert await loaded(views, ITEM, set(expected)) == expected
        async with views.snapshot() as snapshot:
            await snapshot.generation(ITEM)
            assert await snapshot.get_many(ITEM, list(range(count))) == expected
            assert await snapshot.get_many(ITEM, []) == {}

    @pytest.mark.parametrize("key", [2**63, -(2**70)])
    async def test_a_key_that_cannot_be_is_not_found(self, views: ViewStore, key: int) -> None:
        await begin(views, ITEM, [Item(id=1)])
        async with views.snapshot() as snapshot:
            await snapshot.generation(ITEM)
            try:
                assert await snapshot.get_many(ITEM, [key, 1]) == {1: Item(id=1)}
            except Malformed:  # a store may say so
                return

    @given(rows=st.lists(ALL_KINDS, max_size=4, unique_by=lambda row: row.id))
    @EXAMPLES
    async def test_every_value_comes_back_as_it_was(self, views: ViewStore, rows: list[Everything]) -> None:
        await begin(views, EVERYTHING, rows)
        expected = by_key(EVERYTHING, rows)
        found = await loaded(views, EVERYTHING, list(expected))
        assert found == expected
        assert await contents(views, EVERYTHING) == in_order(rows, ["id"])
        for row in found.values():
            assert row.at.utcoffset() is not None
            assert [type(value) for value in msgspec.structs.astuple(row)] == [
                type(value)
                for value in msgspec.structs.astuple(expected[row.id])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            ]

    @pytest.mark.parametrize(
        "value",
        [
            {"real": float("inf")},
            {"real": float("-inf")},
            {"real": 2**60},
            {"text": "\0", "id": "a\0b"},
            {"at": DATES[0]},
            {"at": DATES[1] + timedelta(days=2, microseconds=-1)},
            {"day": date.max},
            {"day": date.min},
            {"exact": Decimal("-0.000001")},
            {"exact": Decimal("1E+3")},
            {"number": 2**63 - 1},
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_a_value_at_the_edge_comes_back_too(self, views: ViewStore, value: dict[str, Any]) -> None:
        row = row_with(value)
        await begin(views, EVERYTHING, [row])
        assert await loaded(views, EVERYTHING, [row.id]) == {row.id: row}

    @pytest.mark.parametrize("word", ["one", None])
    @pytest.mark.parametrize("anything", [None, 0, "x", {"a": [1, "x", None, 1.5]}], ids=str)
    async def test_none_is_a_value_where_the_type_says_so(
        self, views: ViewStore, word: Literal["one"] | None, anything: object
    ) -> None:
        row = Loose(id="1", word_or_none=word, anything=anything)
        await begin(views, LOOSE, [row])
        assert await loaded(views, LOOSE, ["1"]) == {"1": row}

    @pytest.mark.parametrize(
        "value",
        [
            {"cents": Decimal("0.001")},
            {"cents": Decimal("1E+20")},
            {"cents": Decimal("1E+999999")},
            {"cents": Decimal("-92233720368547758.08") - Decimal("0.01")},
            {"cents": Decimal("NaN")},
            {"cents": Decimal("Infinity")},
            {"exact": Decimal("0.0000001")},
            {"number": 2**63},
            {"number": -(2**63) - 1},
            {"real": float("nan")},
            {"real": 10**400},
            {"at": datetime(2026, 1, 1)},  # noqa: DTZ001 - that is the point
            {"at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1)))},
            {"at": datetime.min.replace(tzinfo=timezone(timedelta(hours=1)))},
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_a_value_that_does_not_fit_is_a_value_error(self, views: ViewStore, value: dict[str, Any]) -> None:
        await self._refused(views, row_with(value))

    @pytest.mark.parametrize(
        "value",
        [
            {"text": 1},
            {"text": None},
            {"number": "1"},
            {"number": 1.5},
            {"real": "1"},
            {"cents": 1.5},
            {"at": "2026-01-01"},
            {"day": datetime(2026, 1, 1, tzinfo=UTC)},
            {"uuid": "x"},
            {"raw": "x"},
            {"colour": "red"},
            {"maybe_number": "1"},
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_a_value_of_another_type_is_a_value_error(self, views: ViewStore, value: dict[str, Any]) -> None:
        await self._refused(views, row_with(value))

    @pytest.mark.parametrize(
        "value",
        [
            {"names": [1]},
            {"names": ["\ud800"]},
            {"part": Part("x", Decimal("NaN"))},
            {"part": {"name": 1}},
            {"part": Part("x", Decimal(), datetime(2026, 1, 1))},  # noqa: DTZ001 - that is the point
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_a_nested_value_without_a_json_form_of_its_own_is_a_value_error_and_not_a_row_that_none_can_read(
        self, views: ViewStore, value: dict[str, Any]
    ) -> None:
        await self._refused(views, row_with(value))

    @pytest.mark.parametrize(
        "value",
        [object(), [float("nan")], {1: 2}],
        ids=["object", "nan", "key"],
    )
    async def test_what_json_cannot_say_is_a_value_error(self, views: ViewStore, value: object) -> None:
        checkpoint = await begin(views, LOOSE)
        with pytest.raises(ValueError):  # noqa: PT011 - each store has its own words
            await views.commit(LOOSE, {"1": Loose(id="1", anything=value)}, checkpoint, at(2))
        assert await contents(views, LOOSE) == []

    async def _refused(self, views: ViewStore, row: Everything) -> None:
        """It is refused as a whole, or it is kept as it is."""
        checkpoint = await begin(views, EVERYTHING)
        try:
            await views.commit(EVERYTHING, {"0": Everything(id="0"), "1": row}, checkpoint, at(2))
        except ValueError:
            assert only(await views.prepare(EVERYTHING, LOG)) == checkpoint
            assert await contents(views, EVERYTHING) == []
        else:
            pytest.fail(f"it was kept, as {await contents(views, EVERYTHING)}")

    # Selections

    @pytest.mark.parametrize(
        ("conditions", "found"),
        [
            ({}, [1, 2, 3, 4, 5, 6]),
            ({"id": 2}, [2]),
            ({"group": "a"}, [1, 2]),
            ({"group": "A"}, [3]),
            ({"group": "x' OR '1'='1"}, []),
            ({"group": prefix("a")}, [1, 2, 4]),
            ({"group": prefix("")}, [1, 2, 3, 4, 5, 6]),
            ({"group": prefix("a%")}, [4]),
            ({"group": prefix("🙂")}, [6]),
            ({"group": prefix("\U0010ffff")}, []),
            ({"amount": None}, [3]),
            ({"amount": Decimal("1.0")}, [1]),
            ({"amount": gt(Decimal(1))}, [4, 5]),
            ({"amount": ge(Decimal(1))}, [1, 4, 5]),
            ({"amount": lt(Decimal(1))}, [2, 6]),
            ({"amount": le(Decimal(1))}, [1, 2, 6]),
            ({"amount": between(Decimal("-0.5"), Decimal("1.5"))}, [1, 2, 4]),
            ({"amount": between(Decimal(5), Decimal(1))}, []),
            ({"amount": one_of(Decimal(1), Decimal(-100))}, [1, 6]),
            ({"amount": one_of()}, []),
            ({"group": one_of("a", "b", "no", "a")}, [1, 2, 5]),
            ({"group": "a", "amount": lt(Decimal(1))}, [2]),
            ({"group": ge("a"), "id": gt(1)}, [2, 4, 5, 6]),
        ],
        ids=lambda value: str(value)[:60],
    )
    async def test_where_finds_the_rows_that_fit(
        self, views: ViewStore, conditions: dict[str, object], found: list[int]
    ) -> None:
        rows = [
            Item(id=1, group="a", amount=Decimal(1)),
            Item(id=2, group="a", amount=Decimal("-0.5")),
            Item(id=3, group="A"),
            Item(id=4, group="a%", amount=Decimal("1.5")),
            Item(id=5, group="b", amount=Decimal(10)),
            Item(id=6, group="🙂", amount=Decimal(-100)),
        ]
        await begin(views, ITEM, rows)
        assert await ids(views, **conditions) == found

    @pytest.mark.parametrize(
        "field", ["text", "number", "real", "flag", "cents", "at", "day", "uuid", "raw", "colour", "size", "word"]
    )
    async def test_a_column_of_any_plain_kind_is_filtered_and_ordered(self, views: ViewStore, field: str) -> None:
        values: dict[str, list[Any]] = {
            "text": ["", "B", "a", "é", "\uffff", "🙂"],
            "number": [-(2**60), -1, 0, 3, 10, 2**60],
            "real": [float("-inf"), -1.5, 0.0, 0.1, 1e300, float("inf")],
            "flag": [False, True],
            "cents": [Decimal("-10.5"), Decimal(-1), Decimal(0), Decimal("0.01"), Decimal(2), Decimal(10**14)],
            "at": [
                datetime(1, 1, 2, tzinfo=UTC),
                datetime(2026, 1, 1, 3, tzinfo=ODD_ZONE),
                datetime(2026, 1, 1, tzinfo=UTC),
            ],
            "day": [date.min, date(999, 12, 31), date(2026, 1, 1)],
            "uuid": [UUID(int=0), UUID(int=9), UUID(int=10), UUID(int=2**127)],
            "raw": [b"", b"\0", b"a", b"ab", b"\xff"],
            "colour": [Colour.BLUE, Colour.RED],
            "size": [Size.SMALL, Size.LARGE],
            "word": ["one", "two"],
        }
        ordered = values[field]
        rows = [row_with({"id": f"{number}", field: value}) for number, value in enumerate(ordered)]
        await begin(views, EVERYTHING, rows)
        async with views.snapshot() as snapshot:
            everything = rows_of(snapshot, EVERYTHING)
            assert await everything.order_by(field) == rows
            assert await everything.order_by("-" + field) == rows[::-1]
            for number, value in enumerate(ordered):
                assert await everything.where(**{field: value}) == [rows[number]]
                assert await everything.where(**{field: one_of(value)}) == [rows[number]]
                assert await everything.where(**{field: lt(value)}) == rows[:number]
                assert await everything.where(**{field: ge(value)}) == rows[number:]
                assert await everything.where(**{field: between(value, ordered[-1])}) == rows[number:]
            seen: list[Everything] = []
            cursor: str | None = None
            for _ in rows:
                page = await everything.order_by("-" + field).page(1, cursor)
                seen += page.items
                cursor = page.cursor
            assert (seen, cursor) == (rows[::-1], None)

    @given(rows=ITEMS, order=ORDERS, limit=st.none() | st.integers(0, 40))
    @EXAMPLES
    async def test_rows_come_in_the_asked_order_none_first_and_ties_by_key(
        self, views: ViewStore, rows: list[Item], order: list[str], limit: int | None
    ) -> None:
        await begin(views, ITEM, rows)
        async with views.snapshot() as snapshot:
            selection = rows_of(snapshot, ITEM).order_by(*order)
            found = await (selection if limit is None else selection.limit(limit))
        assert found == in_order(rows, [*order, "id"])[:limit]

    @given(rows=ITEMS, order=ORDERS, size=st.integers(1, 9), only=st.none() | st.sampled_from(["a", "b"]))
    @EXAMPLES
    async def test_pages_together_are_the_sorted_whole(
        self, views: ViewStore, rows: list[Item], order: list[str], size: int, only: str | None
    ) -> None:
        await begin(views, ITEM, rows)
        fitting = [row for row in rows if only in (None, row.group)]
        seen: list[Item] = []
        async with views.snapshot() as snapshot:
            selection = rows_of(snapshot, ITEM).order_by(*order)
            if only is not None:
                selection = selection.where(group=only)
            cursor: str | None = None
            for number in itertools.count(1):
                page = await selection.page(size, cursor)
                seen += page.items
                cursor = page.cursor
                assert len(page.items) == size or cursor is None
                if cursor is None:
                    break
                assert number <= len(rows), "the pages do not end"
        assert seen == in_order(fitting, [*order, "id"])

    async def test_a_page_goes_on_after_its_last_row_though_rows_came_and_went(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=number) for number in range(10)])
        async with views.snapshot() as snapshot:
            first = await rows_of(snapshot, ITEM).page(4)
        await views.commit(ITEM, {3: None, 0: None, 4: None, -1: Item(id=-1), 99: Item(id=99)}, checkpoint, at(2))
        async with views.snapshot() as snapshot:
            second = await rows_of(snapshot, ITEM).page(10, first.cursor)
        assert [row.id for row in second.items] == [5, 6, 7, 8, 9, 99]

    async def test_more_rows_than_a_selection_gives_are_too_large_and_never_cut_off(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM, [Item(id=number) for number in range(10_000)])
        assert len(await contents(views, ITEM)) == 10_000
        await views.commit(ITEM, {10_000: Item(id=10_000)}, checkpoint, at(2))
        async with views.snapshot() as snapshot:
            rows = rows_of(snapshot, ITEM)
            with pytest.raises(TooLarge):
                await rows
            assert await rows.count() == 10_001
            assert len(await rows.limit(10_001)) == 10_001

    # Sums

    @given(amounts=st.lists(st.none() | st.decimals(-(10**12), 10**12, places=6), max_size=20))
    @EXAMPLES
    async def test_a_sum_of_decimals_is_exact(self, views: ViewStore, amounts: list[Decimal | None]) -> None:
        rows = [Item(id=id, amount=amount, group="ab"[id % 2]) for id, amount in enumerate(amounts)]
        await begin(views, ITEM, rows)
        async with views.snapshot() as snapshot:
            selection = rows_of(snapshot, ITEM)
            total = await selection.sum("amount")
            some = await selection.where(group="a").sum("amount")
        assert isinstance(total, Decimal)
        assert total == sum([amount for amount in amounts if amount is not None], Decimal())
        assert some == sum([amount for amount in amounts[::2] if amount is not None], Decimal())

    @pytest.mark.parametrize("sign", [1, -1])
    async def test_a_sum_goes_past_64_bits(self, views: ViewStore, sign: int) -> None:
        largest = Decimal(2**63 - 1).scaleb(-2)
        rows = [Everything(id=str(id), cents=sign * largest, number=sign * (2**63 - 1)) for id in range(50)]
        rows += [Everything(id="odd", cents=Decimal("-0.01"), number=-1)]
        await begin(views, EVERYTHING, rows)
        async with views.snapshot() as snapshot:
            selection = rows_of(snapshot, EVERYTHING)
            assert await selection.sum("cents") == sign * 50 * largest - Decimal("0.01")
            assert await selection.sum("number") == sign * 50 * (2**63 - 1) - 1

    async def test_a_sum_over_nothing_is_zero_in_the_fields_type(self, views: ViewStore) -> None:
        await begin(views, EVERYTHING)
        async with views.snapshot() as snapshot:
            selection = rows_of(snapshot, EVERYTHING)
            sums = [await selection.sum(field) for field in ("cents", "number", "real", "maybe_number")]
        assert sums == [0, 0, 0, 0]
        assert [type(value) for value in sums] == [Decimal, int, float, int]

    async def test_a_sum_of_reals_passes_over_none(self, views: ViewStore) -> None:
        values = [0.1, None, -2.5, 1e10, None]
        await begin(views, EVERYTHING, [Everything(id=str(id), maybe_real=value) for id, value in enumerate(values)])
        async with views.snapshot() as snapshot:
            total = await rows_of(snapshot, EVERYTHING).sum("maybe_real")
        assert total == pytest.approx(0.1 - 2.5 + 1e10)

    # Waking

    async def test_waiting_for_a_position_ends_with_the_time(self, views: ViewStore) -> None:
        await begin(views, ITEM)
        assert await views.reached(ITEM, 1, timedelta(0))
        begun = time.monotonic()
        assert not await views.reached(ITEM, 2, timedelta(milliseconds=50))
        assert time.monotonic() - begun < 5

    @pytest.mark.parametrize("where", ["the same opening", "another opening", "another thread"])
    async def test_a_waiting_query_is_woken_by_a_commit(self, store: Store, views: ViewStore, where: str) -> None:
        checkpoint = await begin(views, ITEM)

        async def commit(to: ViewStore) -> float:
            await asyncio.sleep(0.05)
            await to.commit(ITEM, {1: Item(id=1)}, checkpoint, at(2))
            return time.monotonic()

        async def commit_elsewhere() -> float:
            async with store.views() as other:
                return await commit(other)

        async def commit_in_thread() -> float:
            return await asyncio.to_thread(asyncio.run, commit_elsewhere())

        works = {"another opening": commit_elsewhere, "another thread": commit_in_thread}
        work = works[where]() if where in works else commit(views)
        woken, committed = await asyncio.gather(until_reached(views, ITEM, 2), work)
        assert woken - committed < 1
        assert [row.id for row in await contents(views, ITEM)] == [1]

    async def test_a_failure_wakes_who_waits(self, views: ViewStore) -> None:
        checkpoint = await begin(views, ITEM)
        waiting = asyncio.create_task(until_reached(views, ITEM, 100))
        await asyncio.sleep(0.05)
        await views.record_failure(ITEM, checkpoint, Failure("log", 2, "the log has lost its end", SINCE))
        failed = time.monotonic()
        assert await waiting - failed < 1
