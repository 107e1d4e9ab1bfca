"""A table projection that makes no sense does not build, and says what is wrong with it."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from diptych import ContextError, Projection, Recorded, TableProjection, Tables, View
from tests.tables.takings import INDEXES, TABLES, Sell, Sold, context_of, takings_of


class Other(View, key="till", name="SALES"):
    till: str


async def sound(tables: Tables, event: Sold) -> None: ...


async def sound_too(tables: Tables, event: Recorded[Sold]) -> None: ...


def plain(tables: Tables, event: Sold) -> None: ...


async def no_tables(row: int, event: Sold) -> None: ...


async def one_parameter(event: Sold) -> None: ...


async def no_event(tables: Tables, event: Sell) -> None: ...


async def gives_something(tables: Tables, event: Sold) -> int:
    return 1


async def says_nothing(tables: Tables, event: Sold):  # type: ignore[no-untyped-def]  # noqa: ANN201 - as untyped users do
    ...


def declared(
    *handlers: Callable[..., Any], name: str = "Takings", tables: Any = TABLES, indexes: Any = INDEXES, version: int = 1
) -> TableProjection:
    made: Any = TableProjection(name, tables=tables, indexes=indexes, version=version)
    for handler in handlers or (sound,):
        made.on(handler)
    found: TableProjection = made
    return found


def others() -> Projection[Any]:
    projection: Any = Projection(Other)

    def other(row: Other | None, event: Sold) -> Other | None:
        return row

    projection.on(other)
    found: Projection[Any] = projection
    return found


WRONG: list[tuple[list[Any], str]] = [
    ([declared(plain)], r"plain is not async"),
    ([declared(no_tables)], r"no_tables must take the Tables and the event"),
    ([declared(one_parameter)], r"one_parameter must take the Tables and the event"),
    ([declared(no_event)], r"no_event must take an event"),
    ([declared(gives_something)], r"gives_something must be annotated to give None"),
    ([declared(says_nothing)], r"says_nothing must be annotated to give None"),
    ([declared(sound, sound_too)], r"sound_too handles Sold for Takings, as .*sound does already"),
    ([TableProjection("Takings", tables=TABLES)], r"table projection Takings is one that handles no event"),
    ([declared(version=0)], r"Takings is one with version=0; versions are counted from 1"),
    ([declared(name="pg_takings")], r"table projection pg_takings has the name 'pg_takings'"),
    ([declared(tables={})], r"has no tables: say tables="),
    ([declared(tables={"a b": "CREATE TABLE {a b} (x TEXT)"}, indexes={})], r"has the name 'a b'"),
    (
        [declared(tables={"t" * 44: f"CREATE TABLE {{{'t' * 44}}} (x TEXT)"}, indexes={})],
        r"50 with the projection's own",
    ),
    ([declared(tables={"t": "CREATE TABLE {t} (x TEXT)", "T": "CREATE TABLE {T} (x TEXT)"}, indexes={})], r"'t' twice"),
    ([declared(tables={"t": "CREATE TABLE t (x TEXT)"}, indexes={})], r"say CREATE TABLE \{t\} \(\.\.\.\)"),
    ([declared(indexes={"i": "CREATE INDEX i ON takings (x)"})], r"say CREATE INDEX \{i\} ON"),
    ([declared(), others()], r"Other is a second view or projection by the name 'SALES'"),
    ([declared(), declared()], r"table projection Takings is a second view or projection by the name 'Takings'"),
]


@pytest.mark.parametrize(("projections", "words"), WRONG, ids=[words for _, words in WRONG])
def test_what_makes_no_sense_is_told_when_the_context_is_built(projections: list[Any], words: str) -> None:
    with pytest.raises(ContextError) as caught:
        context_of(*projections)
    assert [problem for problem in caught.value.problems if re.search(words, problem)], caught.value.problems


def test_a_change_of_tables_indexes_or_version_is_another_shape_and_nothing_else_is() -> None:
    def fingerprint(projection: TableProjection) -> str:
        (fold,) = context_of(projection).folds
        return fold.shape.fingerprint

    same = {fingerprint(declared()), fingerprint(takings_of())}
    changed = [
        declared(indexes={}),
        declared(version=2),
        declared(tables=TABLES | {"more": "CREATE TABLE {more} (x TEXT)"}),
    ]
    assert len(same) == 1
    assert len({fingerprint(projection) for projection in changed} - same) == 3
