import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from diptych import NotCaughtUp
from tests.app.shop import OrderCount, order, shop
from tests.cli.running import Diptych


def test_a_paused_view_stays_as_it_is_until_it_is_resumed(diptych: Diptych, store: str) -> None:
    paused = diptych("projection", "pause", "OrderSummary")
    assert (paused.code, paused.err) == (0, "")
    assert paused.out == "OrderSummary is paused. Go on with: diptych projection resume OrderSummary\n"

    async def ask_in_vain() -> None:
        async with shop.open(store) as app:
            receipt = await app.execute(order("3"))
            with pytest.raises(NotCaughtUp, match="it is paused since 20"):
                await app.ask(OrderCount(), after=receipt.token)
            assert await app.ask(OrderCount()) == 2

    asyncio.run(ask_in_vain())
    looked = diptych("projection", "status")
    assert looked.code == 1
    assert looked.out.splitlines()[1].split()[:5] == ["OrderSummary", "paused", "1", "3", "1"]
    assert ": an operator has paused it\n  diptych projection resume OrderSummary\n" in looked.out

    assert diptych("projection", "resume", "OrderSummary").out.startswith(
        "OrderSummary goes on; it was paused since 20"
    )

    async def ask() -> int:
        async with shop.open(store) as app:
            return await app.ask(OrderCount(), after=await app.token())

    assert asyncio.run(ask()) == 3


def test_pausing_and_resuming_twice_is_done_and_said(diptych: Diptych, store: str) -> None:
    diptych("projection", "pause", "OrderSummary")
    again = diptych("projection", "pause", "OrderSummary")
    assert again.code == 0
    assert again.out.startswith("OrderSummary is paused already, since 20")

    diptych("projection", "resume", "OrderSummary")
    again = diptych("projection", "resume", "OrderSummary")
    assert (again.code, again.out) == (0, "OrderSummary is not paused.\n")


def test_as_json_they_say_since_when_and_why(diptych: Diptych, store: str) -> None:
    def run(verb: str, *more: str) -> dict[str, str]:
        [line] = diptych("projection", verb, "OrderSummary", *more, "--json").lines()
        assert isinstance(line, dict)
        return line

    first = run("pause", "--because", "the disk is full")
    since = first["paused_since"]
    assert datetime.now(UTC) - datetime.fromisoformat(since) < timedelta(minutes=1)
    pause = {"view": "OrderSummary", "paused_since": since, "because": "the disk is full"}
    assert first == pause | {"was_paused": False}
    assert run("pause", "--because", "another reason") == pause | {"was_paused": True}
    [[row]] = diptych("projection", "status", "--json").lines()
    assert (row["state"], row["pause"]) == ("paused", {"since": since, "reason": "the disk is full"})
    assert run("resume") == pause
    assert run("resume") == {"view": "OrderSummary", "paused_since": None, "because": None}


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_an_unknown_view_ends_with_2_and_the_nearest_one(diptych: Diptych, store: str, verb: str) -> None:
    ran = diptych("projection", verb, "OrderSumary")

    assert (ran.code, ran.out) == (2, "")
    assert "context 'shop' has no view 'OrderSumary'; did you mean 'OrderSummary'?" in ran.err


def test_a_rebuild_that_a_pause_refuses_leaves_nothing_behind(diptych: Diptych, store: str) -> None:
    assert diptych("projection", "pause", "OrderSummary").code == 0
    assert diptych("projection", "rebuild", "OrderSummary").code == 1
    assert diptych("projection", "resume", "OrderSummary").code == 0
    assert "unfinished" not in diptych("projection", "status").out


def test_a_reason_does_nothing_to_a_terminal(diptych: Diptych, store: str) -> None:
    diptych("projection", "pause", "OrderSummary", "--because", "one\n\x1b[2Jtwo")
    for ran in (diptych("projection", "pause", "OrderSummary"), diptych("projection", "resume", "OrderSummary")):
        assert ran.out.endswith(r": one\n\x1b[2Jtwo." + "\n")
