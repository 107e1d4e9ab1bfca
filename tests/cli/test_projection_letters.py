"""What a view holds back is shown, retried and passed over from the command line, on either store."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from diptych import App
from tests.app.meters import AllLevels, ReadAll, broken, house, read_meters, unreadable
from tests.cli.running import Diptych

RETRY = ("projection", "retry", "Level")
SKIP = ("projection", "skip", "Level")
LETTERS = ("projection", "letters", "Level")


@pytest.fixture(autouse=True)
def nothing_broken() -> Iterator[None]:
    yield
    broken.clear()
    unreadable.clear()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty store, which the environment names, with the context."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{folder / 'house.db'}" if sqlite else request.getfixturevalue("postgres_url")
    monkeypatch.setenv("DIPTYCH_STORE", url)
    monkeypatch.setenv("DIPTYCH_TARGET", "tests.app.meters:house")
    return url


def during(url: str, act: Callable[[App], Any]) -> Any:
    """Has the context open with its projectors until every event is applied or parked."""

    async def work() -> Any:
        async with house.open(url) as app:
            done = await act(app)
            head = (await app.log.head()).position
            async with asyncio.timeout(10):
                while any(one.position < head for one in await app.standings()):  # noqa: ASYNC110 - others apply
                    await asyncio.sleep(0.01)
            return done

    return asyncio.run(work())


def levels(url: str) -> dict[str, list[int]]:
    async def ask() -> dict[str, list[int]]:
        async with house.open(url, projectors=False) as app:
            return await app.ask(AllLevels())

    return asyncio.run(ask())


@pytest.fixture
def parked(url: str) -> str:
    """Events 2, 3 and 5 wait for meter b, and event 4 for meter c; meter a has what it should."""
    broken.update("bc")
    during(url, lambda app: read_meters(app, ("a", 1), ("b", 1), ("b", 2), ("c", 7), ("b", 3)))
    return url


def test_what_is_held_back_is_shown_by_key_with_the_first_event_and_why(diptych: Diptych, parked: str) -> None:
    ran = diptych(*LETTERS)
    lines = ran.out.splitlines()

    assert (ran.code, ran.err) == (0, "")
    assert lines[0] == "2 keys are held back in generation 1 of Level."
    assert lines[2:4] == ["Key b: event 2, Measured, and 2 behind it", "  ValueError: meter b is broken"]
    assert lines[4].startswith("  tried once, last 20")
    assert lines[6:8] == ["Key c: event 4, Measured", "  ValueError: meter c is broken"]
    assert lines[-1] == "  diptych projection retry Level"


def test_one_keys_letters_are_shown_one_by_one_with_tracebacks_if_wanted(diptych: Diptych, parked: str) -> None:
    ran = diptych(*LETTERS, "--key", "b", "--tracebacks")

    assert ran.code == 0
    assert "Key b: 3 events\n  event 2, Measured, parked 20" in ran.out
    assert "Traceback (most recent call last):" in ran.out
    assert "  event 3, Measured, parked 20" in ran.out
    assert "Key c" not in ran.out
    assert "Traceback" not in diptych(*LETTERS, "--key", '"b"').out


def test_the_listing_is_bounded_and_says_what_it_leaves_out(diptych: Diptych, parked: str) -> None:
    ran = diptych(*LETTERS, "--limit", "1")
    assert "Key c" not in ran.out
    assert "… and 1 more, since later; --limit 2 shows all." in ran.out

    ran = diptych(*LETTERS, "--key", "b", "--limit", "2")
    assert "event 5" not in ran.out
    assert "  … and 1 more; --limit 3 shows all." in ran.out


def test_letters_as_json_have_everything(diptych: Diptych, parked: str) -> None:
    [said] = diptych(*LETTERS, "--json").lines()
    first, second = said["held"]
    [letter] = first["first"]

    assert (said["view"], said["generation"], said["keys"], said["skipped"]) == ("Level", 1, 2, [])
    assert (first["key"], first["stream"], first["letters"], second["letters"]) == ('"b"', "", 3, 1)
    assert (letter["position"], letter["type"], letter["attempts"]) == (2, "Measured", 1)
    assert letter["error"] == "ValueError: meter b is broken"
    assert letter["first"] == letter["last"]
    assert letter["traceback"] is None

    [said] = diptych(*LETTERS, "--json", "--key", "b", "--tracebacks").lines()
    [held] = said["held"]
    assert [(one["position"], one["error"] is None) for one in held["first"]] == [(2, False), (3, True), (5, True)]
    assert held["first"][0]["traceback"].startswith("Traceback")


def test_what_is_mended_is_applied_in_order_and_the_keys_go_on(diptych: Diptych, parked: str) -> None:
    broken.clear()
    ran = diptych(*RETRY)

    assert (ran.code, ran.out) == (0, "Level: 4 events applied; 2 of 2 keys joined the others again.\n")
    assert levels(parked) == {"a": [1], "b": [1, 2, 3], "c": [7]}
    during(parked, lambda app: read_meters(app, ("b", 4)))
    assert levels(parked)["b"] == [1, 2, 3, 4]
    assert diptych(*LETTERS).out == "Nothing is held back in generation 1 of Level.\n"
    assert (again := diptych(*RETRY)).code == 0
    assert again.out == "Nothing is held back in generation 1 of Level.\n"


def test_what_fails_again_ends_with_1_and_is_told_with_its_new_error(diptych: Diptych, parked: str) -> None:
    broken.remove("c")
    ran = diptych(*RETRY)
    assert ran.code == 1
    assert ran.out == (
        "Level: 1 event applied; 1 of 2 keys joined the others again.\n\n"
        "Event 2, Measured, fails again for key b:\n  ValueError: meter b is broken\n"
    )
    [said] = diptych(*LETTERS, "--json").lines()
    assert [one["first"][0]["attempts"] for one in said["held"]] == [2]

    ran = diptych(*RETRY, "--key", "b", "--json")
    [said] = ran.lines()
    left = {"position": 2, "type": "Measured", "error": "ValueError: meter b is broken"}
    assert (ran.code, said["applied"], said["left"]) == (1, 0, 1)
    assert said["keys"] == [{"key": '"b"', "stream": "", "applied": 0, "left": left}]
    assert "tried 3 times, first 20" in diptych(*LETTERS).out


def test_one_key_may_be_retried_alone(diptych: Diptych, parked: str) -> None:
    broken.clear()
    assert diptych(*RETRY, "--key", "c").out == "Level: 1 event applied; 1 of 1 key joined the others again.\n"
    assert levels(parked) == {"a": [1], "c": [7]}
    assert "Key b" in diptych(*LETTERS).out


def test_a_retry_that_many_keys_fail_names_the_first_of_them(diptych: Diptych, url: str) -> None:
    names = [f"m{number:02}" for number in range(25)]
    broken.update(names)
    during(url, lambda app: read_meters(app, *[(name, 1) for name in names]))
    ran = diptych(*RETRY)

    assert ran.code == 1
    assert "for key m19" in ran.out
    assert "m20" not in ran.out
    assert ran.out.endswith("… and 5 more: diptych projection letters Level\n")


def test_an_event_is_passed_over_for_good_and_what_waited_behind_it_applied(diptych: Diptych, parked: str) -> None:
    broken.remove("b")
    ran = diptych(*SKIP, "--position", "2", "--because", "a test")
    assert ran.code == 0
    assert ran.out == ("Event 2 of Level is passed over for key b; 2 events behind it applied.\n  because: a test\n")
    assert levels(parked) == {"a": [1], "b": [2, 3]}
    ran = diptych(*LETTERS, "--key", "c")
    assert "Passed over" not in ran.out
    assert "Passed over:\n  event 2 for key b, 20" in diptych(*LETTERS).out

    [said] = diptych(*SKIP, "--position", "4", "--key", "c", "--because", "two", "--json").lines()
    outcome = {"key": '"c"', "stream": "", "applied": 0, "left": None}
    assert said == {"view": "Level", "generation": 1, "position": 4, "because": "two", "keys": [outcome]}
    [said] = diptych(*LETTERS, "--json").lines()
    assert [(one["position"], one["because"]) for one in said["skipped"]] == [(2, "a test"), (4, "two")]


def test_what_fails_behind_an_event_that_is_passed_over_ends_with_1(diptych: Diptych, parked: str) -> None:
    ran = diptych(*SKIP, "--position", "2", "--because", "a test")

    assert ran.code == 1
    assert "Event 3, Measured, fails again for key b:\n  ValueError: meter b is broken\n" in ran.out


def test_an_event_that_holds_back_many_keys_is_passed_over_for_all(diptych: Diptych, url: str) -> None:
    broken.update("abc")
    during(url, lambda app: app.execute(ReadAll(meter="x", meters=["a", "b", "c", "d"])))
    assert levels(url) == {"d": [0]}
    ran = diptych(*SKIP, "--position", "1", "--because", "nobody needs it")

    assert ran.code == 0
    assert ran.out.startswith("Event 1 of Level is passed over for key a and 2 more.\n")


def test_events_that_cannot_be_read_hold_back_their_stream(diptych: Diptych, url: str) -> None:
    unreadable.add("x")

    async def act(app: App) -> None:
        await app.execute(ReadAll(meter="x", meters=["a", "b"]))
        await read_meters(app, ("x", 1), ("a", 1))

    during(url, act)
    assert levels(url) == {"a": [1]}
    assert "Stream meter-x: event 1, AllMeasured, and 1 behind it\n  KeyError: 'x'\n" in diptych(*LETTERS).out
    assert diptych(*RETRY, "--stream", "meter-x").code == 1
    ran = diptych(*SKIP, "--position", "1", "--stream", "meter-x", "--because", "no")
    assert ran.out.startswith("Event 1 of Level is passed over for stream meter-x; 1 event behind it applied.")
    assert levels(url) == {"a": [1], "x": [1]}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((*RETRY, "--key", "x"), 2, "Level holds back nothing of key x; see: diptych projection letters Level"),
        ((*LETTERS, "--stream", "s"), 2, "Level holds back nothing of stream s"),
        ((*RETRY, "--key", "b", "--stream", "s"), 2, "say --key or --stream"),
        (
            (*SKIP, "--position", "3", "--because", "x"),
            2,
            "anything back in Level; those that do are 2, 4",
        ),
        ((*SKIP, "--position", "3", "--because", "x", "--key", "b"), 2, 'holds back key "b" of Level; the first'),
        ((*SKIP, "--position", "2"), 2, "--because"),
        ((*LETTERS, "--generation", "9"), 1, "Level has no generation 9"),
        (("projection", "letters", "Levle"), 2, "did you mean 'Level'?"),
        ((*LETTERS, "--limit", "0"), 2, "--limit"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    diptych: Diptych, parked: str, words: tuple[str, ...], code: int, said: str
) -> None:
    ran = diptych(*words)

    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert len(diptych(*LETTERS, "--json").lines()[0]["held"]) == 2


@pytest.mark.parametrize("command", ["letters", "retry"])
def test_a_view_that_was_never_filled_holds_nothing_back(diptych: Diptych, url: str, command: str) -> None:
    async def make() -> None:
        async with house.open(url, projectors=False) as app:
            await read_meters(app, ("a", 1))

    asyncio.run(make())
    ran = diptych("projection", command, "Level")

    assert (ran.code, ran.out) == (1, "")
    assert "Level was never filled" in ran.err


def test_letters_are_mended_while_the_view_is_paused(diptych: Diptych, parked: str) -> None:
    broken.clear()
    diptych("projection", "pause", "Level")
    assert diptych(*RETRY).code == 0
    assert levels(parked)["b"] == [1, 2, 3]
    assert diptych("projection", "status").code == 1
    diptych("projection", "resume", "Level")
    assert diptych("projection", "status").code == 0


def test_another_generations_letters_are_shown_by_its_number(diptych: Diptych, parked: str) -> None:
    assert diptych(*LETTERS, "--generation", "1").out == diptych(*LETTERS).out


def test_nothing_is_passed_over_without_a_reason(diptych: Diptych, parked: str) -> None:
    ran = diptych(*SKIP, "--position", "2", "--because", "  ")
    assert (ran.code, ran.out) == (2, "")
    assert "--because is empty" in ran.err
