import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diptych.cli.projection.looks import Look, Looks
from diptych.cli.projection.standing import NEEDS_SOMEBODY, Row, rows_of
from diptych.cli.projection.words import shown_worker, table, words
from diptych.log import Anchor
from diptych.read import Checkpoint, Failure, Generation, Pause, Standing, State
from diptych.read.standing import NO_LAG, Lag
from diptych.stores import store_at
from tests.app.shop import shop
from tests.cli.running import Diptych

NOW = "2026-01-31T12:00:00+00:00"


def test_a_view_that_has_everything_is_live(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "status")

    assert (ran.code, ran.err) == (0, "")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["View", "State", "Gen", "Position", "Lag", "Seconds", "Rate", "Letters"],
        ["OrderSummary", "live", "1", "3", "0", "0.0", "-", "0"],
        [],
        ["No", "worker", "projects", "OrderSummary."],
    ]


def test_one_view_is_shown_with_its_segments(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "status", "OrderSummary")

    assert ran.code == 0
    assert [line.split() for line in ran.out.splitlines()[2:5]] == [
        [],
        ["Segment", "Position", "Keys", "held", "back", "Worker"],
        ["0", "3", "0", "none"],
    ]


def test_a_view_behind_the_log_that_nobody_projects_needs_somebody(diptych: Diptych, store: str) -> None:
    diptych("event-store", "append", "order-1", '{"order_id": "1"}', "--type", "OrderShipped")
    ran = diptych("projection", "status", "OrderSummary", "--json")
    [[row]] = ran.lines()

    assert ran.code == 1
    assert (row["state"], row["position"], row["head"], row["lag_events"]) == ("lagging", 3, 4, 1)
    assert row["lag_seconds"] >= 0
    assert (row["reason"], row["rate"], row["dead_letters"], row["failure"]) == (None, None, 0, None)
    assert [segment["owner"] for segment in row["segments"]] == [None]


def test_a_view_that_stands_still_ends_with_1_and_why(diptych: Diptych, store: str, folder: Path) -> None:
    failure = msgspec.json.encode(Failure("store", 4, "the disk is full", NOW))
    diptych("event-store", "append", "order-7", '{"order_id": "7"}', "--type", "OrderShipped")
    with closing(sqlite3.connect(folder / "shop.views.db")) as views:
        views.execute("UPDATE diptych_segment SET failure = ?", (failure,))
        views.commit()
    ran = diptych("projection", "status")
    assert ran.code == 1
    assert "OrderSummary  stands still" in ran.out
    assert f"OrderSummary stands still at event 4 since {NOW} (store):\n  the disk is full\n" in ran.out
    [[row]] = diptych("projection", "status", "--json").lines()
    assert row["failure"] == {"category": "store", "position": 4, "reason": "the disk is full", "since": NOW}


def test_a_view_that_was_never_filled_says_so(diptych: Diptych, store: str, folder: Path) -> None:
    for file in folder.glob("shop.views.db*"):
        file.unlink()
    ran = diptych("projection", "status")
    assert ran.code == 1
    assert "OrderSummary  never filled    -" in ran.out
    assert "no worker has run on it yet. Start a worker:\n  diptych serve --role projector\n" in ran.out
    [[row]] = diptych("projection", "status", "--json").lines()
    assert (row["position"], row["generation"], row["segments"], row["others"]) == (0, None, [], [])


def test_a_view_that_holds_keys_back_is_parked_and_names_the_first_event(diptych: Diptych, store: str) -> None:
    for order in ("8", "9"):
        diptych("event-store", "append", f"order-{order}", f'{{"order_id": "{order}"}}', "--type", "OrderShipped")
    assert diptych("projection", "rebuild", "OrderSummary", "--with-letters").code == 0
    ran = diptych("projection", "status")
    assert ran.code == 1
    assert ran.out.splitlines()[1].split() == ["OrderSummary", "parked", "2", "5", "0", "0.0", "-", "2"]
    assert "OrderSummary holds back 2 keys since 20" in ran.out
    assert ", first by OrderShipped, event 4, for key 8:\n  LookupError: there is no OrderSummary row '8'" in ran.out
    assert "\n  diptych projection letters OrderSummary\n" in ran.out
    [[row]] = diptych("projection", "status", "--json").lines()
    assert (row["dead_letters"], row["parked_keys"]) == (2, 2)
    assert (row["first_letter"]["position"], row["first_letter"]["key"]) == (4, '"8"')


def test_other_generations_are_named_with_what_may_be_done(diptych: Diptych, store: str) -> None:
    shape = shop.folds[0].shape

    async def begin() -> None:
        async with store_at(store).log() as log, store_at(store).views() as views:
            await views.begin(shape, log.log_id)

    assert diptych("projection", "rebuild", "OrderSummary", "--keep").code == 0
    asyncio.run(begin())
    ran = diptych("projection", "status")

    assert ran.code == 0
    assert "OrderSummary has kept generation 1, at event 3:\n  diptych projection drop OrderSummary --generation 1" in (
        ran.out
    )
    assert "OrderSummary has an unfinished rebuild, generation 3, at event 0; go on with it, or give it up:" in ran.out
    [[row]] = diptych("projection", "status", "--json").lines()
    assert [(one["generation"], one["state"], one["this_version"]) for one in row["others"]] == [
        (1, "kept", True),
        (3, "filling", True),
    ]


def test_an_unknown_view_ends_with_2_and_the_nearest_one(diptych: Diptych, store: str) -> None:
    ran = diptych("projection", "status", "OrderSumary")

    assert (ran.code, ran.out) == (2, "")
    assert "context 'shop' has no view 'OrderSumary'; did you mean 'OrderSummary'?" in ran.err


# Made-up looks

VIEW = "OrderSummary"
OURS, THEIRS = "host/1/2:7:aa", "host/1/2:8:bb"


def generation(*owners: str | None, position: int = 9, **more: Any) -> Generation:
    at = Anchor(position, b"")
    checkpoints = [Checkpoint("log", 1, number, len(owners), 3, at, owner) for number, owner in enumerate(owners)]
    return Generation(1, "ours", "log", State.LIVE, checkpoints)._replace(**more)


def look(one: Generation | None, clock: float = 0, beats: dict[str, int] | None = None, lag: Lag = NO_LAG) -> Look:
    position = 0 if one is None else one.position
    standing = Standing(VIEW, position, lag, None if one else "nobody", one)
    return Look([standing], {VIEW: [one] if one else []}, {}, beats or {}, frozenset(), {}, 9, clock)


def seen(first: Look, last: Look | None = None) -> Row:
    [row] = rows_of(Looks(first, last or first))
    return row


def test_a_rate_is_measured_between_two_looks() -> None:
    beats = {OURS: 1}, {OURS: 2}
    row = seen(look(generation(OURS, position=4), 10.0, beats[0]), look(generation(OURS), 12.0, beats[1]))

    assert (row.rate, row.needs_somebody) == (2.5, False)


def test_a_worker_whose_beat_stands_still_is_silent_and_its_view_needs_somebody_if_it_lags() -> None:
    first = look(generation(OURS, THEIRS), 10.0, {OURS: 4, THEIRS: 4})
    last = look(generation(OURS, THEIRS), 12.0, {OURS: 5, THEIRS: 4}, Lag(1, NO_LAG.time))
    row = seen(first, last)

    assert [segment.silent for segment in row.segments] == [False, True]
    assert (row.state, row.needs_somebody) == ("lagging", True)
    assert words(row)[-1] == "No worker projects 1 of the 2 segments of OrderSummary; host:8 gives no sign of life."


@pytest.mark.parametrize(
    ("one", "lag", "state"),
    [
        (None, NO_LAG, "never filled"),
        (generation(OURS), NO_LAG, "live"),
        (generation(OURS), Lag(3, NO_LAG.time), "lagging"),
        (generation(OURS, state=State.FILLING), Lag(3, NO_LAG.time), "filling"),
        (generation(OURS, pause=Pause(NOW, "why")), Lag(3, NO_LAG.time), "paused"),
    ],
)
def test_a_view_is_in_the_state_that_matters_most(one: Generation | None, lag: Lag, state: str) -> None:
    row = seen(look(one, 1, {OURS: 1}, lag), look(one, 2, {OURS: 2}, lag))

    assert row.state == state
    assert row.needs_somebody == (state in NEEDS_SOMEBODY)


def test_a_view_that_only_another_version_fills_says_so() -> None:
    theirs = generation(THEIRS, fingerprint="theirs")
    row = seen(look(None)._replace(generations={VIEW: [theirs]}))

    assert row.state == "never filled"
    assert words(row)[-1] == "OrderSummary is live for another version of the code: generation 1, at event 9."


def test_a_table_is_as_wide_as_a_terminal_and_names_are_what_is_cut() -> None:
    many = generation(OURS, position=123_456_789)
    long = {"view": "OrderSummaryOfAllCustomers", "rate": 12345.6, "state": "stands still"}
    lines = table([msgspec.structs.replace(seen(look(many)), **long), seen(look(None))], 80)

    assert max(map(len, lines)) == 80 == len(lines[0])
    assert lines[1].startswith("OrderSumm")
    assert "…" in lines[1]
    assert "12,346/s" in lines[1]


def test_a_worker_is_shown_by_its_machine_and_process() -> None:
    assert shown_worker(OURS) == "host:7"
    assert shown_worker("made up") == "made up"
