"""A context with snapshots on each store: made in the background, read by the next load, done without if they fail."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from diptych import Aggregate, BoundedContext, Command, ContextError, Event, Rejected, Unavailable, every, never
from diptych.stores import store_at
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.connection import connect
from diptych.write import AggregateRules


class Add(Command):
    list_id: str
    item: str


class Added(Event):
    list_id: str
    item: str


@dataclass(frozen=True, slots=True)
class Items:
    names: tuple[str, ...] = ()


lists = Aggregate("list", id="list_id", initial=Items(), snapshots=every(3))


@lists.decide
def add(items: Items, command: Add) -> Iterator[Added]:
    if command.item in items.names:
        raise Rejected("is-there", f"It is there, with {len(items.names)} in all.")
    yield Added(list_id=command.list_id, item=command.item)


@lists.evolve
def added(items: Items, event: Added) -> Items:
    return replace(items, names=(*items.names, event.item))


shopping = BoundedContext("shopping", aggregates=[lists])


async def filled(url: str, first: int, last: int, **options: Any) -> None:
    async with shopping.open(url, projectors=False, **options) as app:
        for number in range(first, last):
            await app.execute(Add(list_id="1", item=f"{number}"))


async def length(url: str, **options: Any) -> int:
    """How many items the aggregate has, by its own word."""
    async with shopping.open(url, projectors=False, **options) as app:
        with pytest.raises(Rejected) as refusal:
            await app.execute(Add(list_id="1", item="0"))
        return int(refusal.value.detail.split()[4])


async def kept(url: str) -> int:
    """The version of the snapshot in the store; 0 for none. It may have events that came in after it was due."""
    [rules] = shopping.aggregates
    assert rules.state_shape is not None
    store = store_at(url)
    async with store.log() as log, store.snapshots(log) as snapshots:
        snapshot, _, _ = await snapshots.restore("list-1", rules.state_shape.fingerprint)
        return 0 if snapshot is None else snapshot.version


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["sqlite", "postgres"])
def lasting_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


async def test_snapshots_are_kept_in_the_store_and_the_next_process_begins_there(lasting_url: str) -> None:
    await filled(lasting_url, 0, 4)
    assert await kept(lasting_url) in (3, 4)
    assert await length(lasting_url) == 4
    await filled(lasting_url, 4, 8)
    assert await kept(lasting_url) in (6, 7, 8)
    assert await length(lasting_url) == 8


async def test_snapshots_are_kept_elsewhere_if_one_says_so(lasting_url: str, tmp_path: Path) -> None:
    elsewhere = f"file://{tmp_path}/snapshots"
    await filled(lasting_url, 0, 4, snapshots=elsewhere)
    assert await kept(lasting_url) == 0
    assert [path.parent.name for path in files_in(tmp_path / "snapshots")] == ["list"]
    assert await length(lasting_url, snapshots=elsewhere) == 4


async def test_a_load_with_a_snapshot_reads_the_events_after_it_alone(lasting_url: str) -> None:
    await filled(lasting_url, 0, 3)
    await filled(lasting_url, 3, 5)
    store, [rules] = store_at(lasting_url), shopping.aggregates
    assert rules.state_shape is not None
    async with store.log() as log, store.snapshots(log) as snapshots:
        restored = await snapshots.restore("list-1", rules.state_shape.fingerprint)
    assert (restored.snapshot is not None, len(restored.events), restored.version) == (True, 2, 5)


async def test_a_load_on_postgres_is_one_round_trip_with_a_snapshot_too(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diptych.stores.postgres.connection import Pool  # noqa: PLC0415 - what is counted here alone

    await filled(postgres_url, 0, 5)
    trips: list[object] = []
    run = Pool.run

    async def counted(self: Pool, work: Any) -> Any:
        trips.append(work)
        return await run(self, work)

    [rules] = shopping.aggregates
    assert rules.state_shape is not None
    store = store_at(postgres_url)
    async with store.log() as log, store.snapshots(log) as snapshots:
        monkeypatch.setattr(Pool, "run", counted)
        await snapshots.restore("list-1", rules.state_shape.fingerprint)
    assert len(trips) == 1


async def test_no_file_is_made_before_there_is_a_snapshot(sqlite_url: str, tmp_path: Path) -> None:
    await filled(sqlite_url, 0, 2)
    assert not (tmp_path / "shop.snapshots.db").exists()
    await filled(sqlite_url, 2, 3)
    assert (tmp_path / "shop.snapshots.db").exists()


@pytest.mark.parametrize("content", [b"", b"no database" * 1000])
async def test_a_file_of_snapshots_that_is_none_is_done_without(
    sqlite_url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    await filled(sqlite_url, 0, 2)
    (tmp_path / "shop.snapshots.db").write_bytes(content)
    assert await length(sqlite_url) == 2
    assert "Snapshots are passed over" in caplog.text
    await filled(sqlite_url, 2, 6)
    assert await length(sqlite_url) == 6


async def test_a_log_that_lost_its_end_is_not_believed_to_have_what_a_snapshot_has(
    sqlite_url: str, tmp_path: Path
) -> None:
    await filled(sqlite_url, 0, 6)
    with closing(sqlite3.connect(tmp_path / "shop.db")) as log, log:
        log.execute("DELETE FROM event WHERE position > 4")
        log.execute("DELETE FROM ledger WHERE position > 4")
    assert await length(sqlite_url) == 4
    await filled(sqlite_url, 10, 13)
    assert await length(sqlite_url) == 7


async def test_a_damaged_snapshot_is_passed_over_and_made_anew(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    await filled(postgres_url, 0, 4)
    address = address_of(postgres_url)
    connection = await connect(address, "test")
    await connection.execute(address.placed("UPDATE diptych.snapshot SET data = overlay(data PLACING 'x' FROM 20)"))
    await connection.close()
    assert await length(postgres_url) == 4
    assert "The snapshot of list-1 is damaged" in caplog.text
    await filled(postgres_url, 4, 5)
    caplog.clear()
    assert await length(postgres_url) == 5
    assert caplog.text == ""


async def test_an_app_that_closes_has_its_last_snapshot_made(lasting_url: str) -> None:
    async with shopping.open(lasting_url, projectors=False) as app:
        for number in range(3):
            await app.execute(Add(list_id="1", item=f"{number}"))
    with pytest.raises(Unavailable):
        await app.execute(Add(list_id="1", item="x"))
    assert await kept(lasting_url) == 3


async def test_commands_of_many_processes_at_once_are_decided_on_what_is_there(lasting_url: str) -> None:
    async def one(number: int) -> None:
        async with shopping.open(lasting_url, projectors=False) as app:
            for step in range(10):
                await app.execute(Add(list_id="1", item=f"{number}/{step}"))

    await asyncio.gather(*map(one, range(4)))
    await filled(lasting_url, 0, 1)
    assert await length(lasting_url) == 41


# What is declared


class Opaque:
    pass


def declared(state: type[Any], initial: object, **options: Any) -> Aggregate[Any]:
    aggregate: Aggregate[Any] = Aggregate("thing", id="list_id", initial=initial, **options)

    def decider(state: Any, command: Add) -> Iterator[Added]:
        yield Added(list_id=command.list_id, item=command.item)

    def evolver(state: Any, event: Added) -> Any:
        return state

    decider.__annotations__["state"] = evolver.__annotations__["state"] = evolver.__annotations__["return"] = state
    aggregate.decide(decider)
    aggregate.evolve(evolver)
    return aggregate


@pytest.mark.parametrize("policy", [every(10), lambda events, state: True], ids=["every", "function"])
@pytest.mark.parametrize(
    ("state", "initial", "why"),
    [
        (Opaque, Opaque(), "its state cannot be kept: Opaque has no JSON form"),
        (Any, 0, "its state cannot be kept: no annotation says its type"),
    ],
)
def test_a_state_that_cannot_be_kept_is_wrong_where_snapshots_were_asked_for(
    state: Any, initial: object, why: str, policy: Any
) -> None:
    with pytest.raises(ContextError) as error:
        BoundedContext("things", aggregates=[declared(state, initial, snapshots=policy)])
    advice = "make the state of types that JSON gives back, or say snapshots=never"
    assert error.value.problems == (f"aggregate 'thing' has no snapshots, since {why}; {advice}",)


@pytest.mark.parametrize("options", [{}, {"snapshots": never}], ids=["by default", "never"])
def test_such_a_state_has_no_snapshots_where_nobody_asked(options: dict[str, Any]) -> None:
    problems: list[str] = []
    rules = AggregateRules(declared(Opaque, Opaque(), **options), problems)
    assert problems == []
    assert rules.state_shape is None
    assert rules.unkept


def test_an_aggregate_with_a_boundary_has_no_snapshots() -> None:
    class Tagged(Event, tags="list_id"):
        list_id: str

    def boundary(**options: Any) -> BoundedContext:
        aggregate = Aggregate("seen", id="list_id", initial=0, boundary="list_id", **options)

        @aggregate.decide
        def see(state: int, command: Add) -> list[Tagged]:
            return [Tagged(list_id=command.list_id)]

        @aggregate.evolve
        def seen(state: int, event: Tagged) -> int:
            return state + 1

        return BoundedContext("seen", aggregates=[aggregate])

    [rules] = boundary().aggregates
    assert rules.state_shape is None
    with pytest.raises(ContextError, match="it decides over a boundary"):
        boundary(snapshots=every(10))


def test_versions_are_counted_from_1() -> None:
    with pytest.raises(ContextError, match="aggregate 'thing' has version=0; versions are counted from 1"):
        BoundedContext("things", aggregates=[declared(int, 0, version=0)])
