"""What a client is told of rows that dead letters hold back, and what a monitor is."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from httpx import AsyncClient

from diptych.http import Gateway
from tests.app.meters import broken, house
from tests.http.asking import check_problem
from tests.http.conftest import client_of

READ = "/house/commands/Read"
LEVEL_OF = "/house/queries/LevelOf"
ALL_LEVELS = "/house/queries/AllLevels"


@pytest.fixture(autouse=True)
def a_broken_meter() -> Iterator[None]:
    broken.add("b")
    yield
    broken.clear()


@pytest.fixture(params=["sqlite", "memory", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path}/house.db" if request.param == "sqlite" else "memory://"


@pytest.fixture
async def client(url: str) -> AsyncIterator[AsyncClient]:
    async with client_of(Gateway(house, url)) as client:
        yield client


async def measured(client: AsyncClient, meter: str, value: int) -> str:
    """The token of a reading that every view has applied or parked."""
    token = (await client.post(READ, json={"meter": meter, "value": value})).headers["diptych-token"]
    await client.get(LEVEL_OF, params={"meter": "none"}, headers={"Diptych-After": token})
    return token


async def test_an_answer_from_a_view_that_holds_keys_back_says_how_many(client: AsyncClient) -> None:
    await measured(client, "a", 1)
    assert "diptych-parked" not in (await client.get(ALL_LEVELS)).headers
    await measured(client, "b", 1)
    answer = await client.get(ALL_LEVELS)

    assert (answer.json(), answer.headers["diptych-parked"]) == ({"a": [1]}, "1")
    assert "diptych-stale" not in answer.headers
    assert answer.headers["diptych-lag"] == "0"


async def test_a_query_for_a_key_that_is_held_back_is_refused_with_its_name(client: AsyncClient) -> None:
    token = await measured(client, "b", 1)
    for address, meter in ((LEVEL_OF, {"meter": "b"}), (ALL_LEVELS, {})):
        response = await client.get(address, params=meter, headers={"Diptych-After": token})
        said = check_problem(response, 503, "not-caught-up")
        assert (said["view"], said["position"], said["wanted"], said["held"]) == ("Level", 0, 1, 'key "b"')
        assert said["detail"].endswith('not yet at 1: a dead letter holds back its key "b".')
    lenient = {"Diptych-After": token, "Prefer": "handling=lenient, wait=0"}
    answer = await client.get(ALL_LEVELS, headers=lenient)
    assert (answer.json(), answer.headers["diptych-stale"], answer.headers["diptych-parked"]) == ({}, "true", "1")
    other = await client.get(LEVEL_OF, params={"meter": "a"}, headers={"Diptych-After": token})
    assert (other.status_code, other.headers["diptych-parked"]) == (200, "1")


async def test_a_commands_status_names_no_view_that_has_parked_its_event(client: AsyncClient) -> None:
    for key, meter in (("one", "b"), ("two", "a")):
        await client.post(READ, json={"meter": meter, "value": 1}, headers={"Idempotency-Key": key})
    await measured(client, "a", 2)
    parked, applied = [(await client.get(f"/house/commands/{key}")).json() for key in ("one", "two")]

    assert (parked["state"], parked["views"]) == ("published", {"Level": False})
    assert (applied["state"], applied["views"]) == ("projected", {"Level": True})


async def test_a_view_that_holds_keys_back_is_ready_and_measured(client: AsyncClient) -> None:
    await measured(client, "b", 1)
    await measured(client, "b", 2)
    ready = await client.get("/readyz")
    figures = (await client.get("/metrics")).text

    level = ready.json()["views"]["Level"]
    assert (ready.status_code, level["parked"], level["dead_letters"], level["generation"]) == (200, 1, 2, 1)
    for name, value in (("parked_keys", 1), ("dead_letters", 2), ("generation", 1), ("segments_without_owner", 0)):
        assert f'projection_{name}{{view="Level"}} {value}.0' in figures


async def test_a_worker_logs_what_it_parks_once_a_key_and_quotes_no_event(
    client: AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await measured(client, "b", 1)
    await measured(client, "b", 2)
    [record] = [record for record in caplog.records if "cannot apply" in record.message]

    facts = vars(record)["facts"]
    assert facts == {
        "view": "Level",
        "generation": 1,
        "segment": 0,
        "position": 1,
        "type": "Measured",
        "error": "ValueError",
    }
    assert "meter b" not in json.dumps([record.message, facts])
