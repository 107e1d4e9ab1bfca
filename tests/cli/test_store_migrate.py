import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from diptych import Malformed
from diptych.stores.postgres import PostgresStore
from diptych.stores.postgres.address import address_of
from diptych.stores.postgres.schema import MIGRATIONS
from tests.cli.conftest import SHOP
from tests.cli.running import Diptych
from tests.postgres import Server

ALL = [f"{migration.number:04} {migration.name}" for migration in MIGRATIONS]


def test_a_new_store_is_made_and_one_that_is_up_to_date_stays_as_it_is(diptych: Diptych, postgres: Server) -> None:
    url = postgres.url("migrated_by_command")
    before = diptych("event-store", "stream", "--store", url)
    assert (before.code, before.out) == (3, "")
    assert f"diptych store migrate --store '{address_of(url).shown}'" in before.err

    applied = [*[f"Applied {migration}" for migration in ALL], "The store is up to date.", ""]
    assert diptych("store", "migrate", "--store", url).out == "\n".join(applied)
    assert diptych("store", "migrate", "--store", url).out == "The store is up to date.\n"
    assert diptych("store", "migrate", "--json", "--store", url).lines() == [{"migrations": []}]
    assert diptych("event-store", "stream", "--store", url).code == 0


def test_what_was_done_is_told_as_json(diptych: Diptych, postgres: Server) -> None:
    ran = diptych("store", "migrate", "--json", "--store", postgres.url("migrated_as_json"))

    assert (ran.code, ran.lines()) == (0, [{"migrations": ALL}])


@pytest.mark.parametrize("url", ["sqlite:///shop.db", "memory://"])
def test_other_kinds_of_stores_have_nothing_to_migrate(diptych: Diptych, url: str) -> None:
    ran = diptych("store", "migrate", "--store", url)

    assert ran.code == 0
    assert "nothing to migrate" in ran.out


def test_a_server_that_is_not_there_ends_with_3_and_keeps_the_password(diptych: Diptych) -> None:
    ran = diptych("store", "migrate", "--store", "postgresql://ann:secret@127.0.0.1:1/shop")

    assert (ran.code, ran.out) == (3, "")
    assert "ann:***@127.0.0.1:1" in ran.err
    assert "secret" not in ran.err


PARTS = ("TopSecret", "12345", "hunter", "Ωmega℀", "%zz9", "sslmode=Hidden", "[brackets]", "[::9]")
"""What passwords are put together of: also what a parser takes for ports, parameters, hosts, and nothing at all."""

PASSWORDS = st.lists(st.sampled_from(PARTS), min_size=2, max_size=3).flatmap(
    lambda parts: st.lists(st.sampled_from("/?#@:"), min_size=len(parts), max_size=len(parts)).map(
        lambda marks: "".join(part + mark for part, mark in zip(parts, marks, strict=True))
    )
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(PASSWORDS, st.sampled_from([("store", "migrate"), ("serve", SHOP, "--port", "0"), ("event-store", "stream")]))
def test_no_part_of_a_password_is_printed_whatever_is_in_it(
    diptych: Diptych, password: str, command: tuple[str, ...]
) -> None:
    url = f"postgresql://u:{password}x@localhost:1/x"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIPTYCH_STORE", url)
        runs = [diptych(*command), diptych(*command, "--store", url)]
    for ran in runs:
        assert ran.code in (2, 3)
        assert "Traceback" not in ran.err
        for at in range(len(password) - 4):  # fewer letters than five are in any words
            assert password[at : at + 5] not in ran.out + ran.err


def test_a_password_that_is_not_encoded_is_told_to_be(diptych: Diptych) -> None:
    for mark in "/?#@":
        ran = diptych("store", "migrate", "--store", f"postgresql://u:TopSecret{mark}x@localhost/x")
        assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
        assert "? has to be %3F" in ran.err


@pytest.mark.parametrize("command", [("store", "migrate"), ("event-store", "stream"), ("check", SHOP), ("serve", SHOP)])
@pytest.mark.parametrize("place", ["1.2.3.4:99999/x", "1.2.3.4:0/x", "one:5432,two:70000/x", "/x?host=one&port=99999"])
def test_a_port_out_of_range_is_told_before_anything_is_tried(
    diptych: Diptych, command: tuple[str, ...], place: str
) -> None:
    ran = diptych(*command, "--store", f"postgresql://u@{place}".replace("@/", "@localhost/"))
    assert (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)
    assert "no number from 1 to 65535" in ran.err


@pytest.mark.parametrize("place", ["1.2.3.4:65535", "[::1]:1", "[::1]", "one:5432,two", "%2Frun%2Fpostgres:5432", ""])
def test_other_ports_are_taken(place: str) -> None:
    assert address_of(f"postgresql://u@{place}/x").schema == "diptych"


async def test_a_port_of_the_environment_that_is_out_of_range_is_malformed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "99999")
    with pytest.raises(Malformed, match="port"):
        await PostgresStore("postgresql://u@127.0.0.1/x").migrate()


def test_a_fact_is_recorded_and_looked_at_on_postgres_as_elsewhere(diptych: Diptych, postgres_url: str) -> None:
    where = ("--target", SHOP, "--store", postgres_url)
    event = '{"order_id": "1", "customer_id": "c", "total": "15.00"}'
    ran = diptych("event-store", "append", "order-1", event, "--type", "OrderPlaced", *where)
    assert ran.code == 0, ran.err
    assert diptych("event-store", "replay", "order-1", *where).code == 0
    assert "no worker has run" in diptych("projection", "status", *where).out
    assert "It can read every event" in diptych("check", *where).out
