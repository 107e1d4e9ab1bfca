"""What a change of an event's shape means for the events that are stored already."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

import pytest

from diptych import Event, Meta
from diptych.app.shapes import changes, renewed, shapes_of


@dataclass(frozen=True)
class Line:
    sku: str
    price: Decimal


@dataclass(frozen=True)
class LineWithNote:
    sku: str
    price: Decimal
    note: str = ""


@dataclass(frozen=True)
class LineWithTax:
    sku: str
    price: Decimal
    tax: Decimal


@dataclass(frozen=True)
class Tree:
    name: str
    parts: "list[Tree]"


def event(schema: int = 1, tags: tuple[str, ...] = (), /, **fields: Any) -> type[Event]:
    namespace = {"__annotations__": fields, "__module__": __name__}
    kind: Any = type(Event)
    made: type[Event] = kind("Placed", (Event,), namespace, schema=schema, tags=tags)
    return made


BEFORE: dict[str, Any] = {"order_id": str, "total": Decimal, "lines": list[Line], "note": str | None}


def compared(after: type[Event], before: type[Event] | None = None) -> list[tuple[str, bool]]:
    recorded = shapes_of([before or event(**BEFORE)])
    return [(change.what, change.breaking) for change in changes(recorded, shapes_of([after]), ())]


def test_the_same_shape_is_no_change_whatever_its_words_are() -> None:
    documented = event(**BEFORE)
    documented.__doc__ = "An order was placed."
    assert compared(documented) == []


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        (BEFORE | {"country": str}, "$.country is new and required"),
        (BEFORE | {"total": int}, "$.total is of another type or within other bounds"),
        (BEFORE | {"order_id": Annotated[str, Meta(max_length=5)]}, "$.order_id is of another type"),
        (BEFORE | {"note": str}, "$.note is of another type"),
        (BEFORE | {"lines": list[LineWithTax]}, "$.lines[...].tax is new and required"),
        (BEFORE | {"lines": Annotated[list[Line], Meta(min_length=1)]}, "$.lines is of another type"),
    ],
)
def test_what_stored_events_may_not_fit_is_breaking(fields: dict[str, Any], reason: str) -> None:
    ((what, breaking),) = compared(event(**fields))
    assert breaking
    assert what.startswith("it changed and is still schema 1: ")
    assert reason in what


@pytest.mark.parametrize(
    "after",
    [
        event(**(BEFORE | {"order_id": str | None})),
        event(**(BEFORE | {"lines": list[LineWithNote]})),
        event(**{name: kind for name, kind in BEFORE.items() if name != "note"}),
    ],
    ids=["may be missing", "a default deep in it", "a field less"],
)
def test_what_stored_events_still_fit_is_not(after: type[Event]) -> None:
    assert compared(after) == [("it changed, and stored events can still be read", False)]


def test_tags_are_a_part_of_the_shape() -> None:
    assert compared(event(1, ("order_id",), **BEFORE)) == [("its tags changed", False)]


def test_a_new_schema_may_be_anything_and_an_older_one_is_a_step_back() -> None:
    assert compared(event(2, other=int)) == [("its schema 2 is new", False)]
    assert compared(event(**BEFORE), event(2, **BEFORE)) == [("its schema is 1, and 2 was recorded before", True)]


def test_a_shape_that_holds_itself_is_a_shape() -> None:
    assert compared(event(tree=Tree), event(tree=Tree)) == []


def test_an_event_that_is_gone_is_missed_unless_it_is_retired() -> None:
    recorded = shapes_of([event(**BEFORE)])
    (gone,) = changes(recorded, {}, ())
    assert gone.breaking
    assert gone.what.startswith("it is gone; name it in retired=")
    assert changes(recorded, {}, ("Placed",)) == []


def test_earlier_schemas_stay_recorded() -> None:
    recorded = renewed(shapes_of([event(**BEFORE)]), shapes_of([event(2, **BEFORE)]))
    assert set(recorded["Placed"]) == {"1", "2"}
    assert changes(recorded, shapes_of([event(2, **BEFORE)]), ()) == []
