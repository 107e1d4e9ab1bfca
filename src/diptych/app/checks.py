"""What can be wrong in a context beyond one aggregate or projection. Every finding goes into one list of problems."""

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any, get_args, get_origin

from diptych.log import Upcaster, tag
from diptych.messages import Command, Event, Query, Shape
from diptych.messages.signature import is_message, place, read_signature
from diptych.read import (
    FoldRules,
    Projection,
    QueryHandler,
    TableProjection,
    TableRules,
    TableShape,
    Views,
    ViewShape,
)
from diptych.read.projection import Mode
from diptych.read.queries import QueryFunction
from diptych.write import AggregateRules

_TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_RESERVED = ("diptych_", "sqlite_", "pg_")
_OF_THE_LOG = {"event", "event_kind", "event_stream", "event_tag", "event_type", "ledger", "log"}
"""What stands in a log's file on SQLite, beside the views that are kept in step with it."""


def check_messages(aggregates: Iterable[AggregateRules], problems: list[str]) -> None:
    """Commands: each decided once, each with a name of its own, each decodable. Aggregates: a name of their own."""
    deciders: dict[type[Command], str] = {}
    names: dict[str, type[Any]] = {}
    categories: set[str] = set()
    for rules in aggregates:
        if rules.name in categories:
            problems.append(f"aggregate {rules.name!r} is there twice")
        categories.add(rules.name)
        for command, decider in rules.deciders.items():
            if command in deciders:
                problems.append(
                    f"{place(decider.function)} decides {command.__name__}, as {deciders[command]} does already"
                )
            deciders[command] = decider.function.__name__
            _check_name(command, names, problems)
            _check_shape(command, problems)


def check_events(events: Iterable[type[Event]], problems: list[str]) -> None:
    """Events: each with a stored name of its own, tags that are fields, a schema number, and decodable."""
    names: dict[str, type[Any]] = {}
    for event in events:
        declared = event.__declared__
        _check_name(event, names, problems)
        _check_shape(event, problems)
        if not _counts(declared.schema):
            problems.append(f"{place(event)} has schema={declared.schema!r}; schemas are counted from 1")
        for name in declared.tags:
            if name not in event.__struct_fields__:
                problems.append(f"{place(event)} has the tag {name!r}, which is no field of it")
            elif not name.isidentifier():
                problems.append(f"{place(event)} cannot have the tag {tag(name, '')!r}")


def check_upcasters(
    events: Sequence[type[Event]], upcasters: Sequence[Upcaster], retired: Sequence[str], problems: list[str]
) -> None:
    """Upcasters: an unbroken way to the newest schema of an event of the context. Retired names: of no event of it."""
    steps: dict[type[Event], set[int]] = {}
    for upcaster in upcasters:
        event, schema = upcaster.event, upcaster.from_schema
        where = f"{place(upcaster.function)} upcasts {event.__name__}"
        if event not in events:
            problems.append(f"{where}, which is no event of this context")
        elif not _counts(schema) or schema >= event.__declared__.schema:
            problems.append(f"{where} from schema {schema!r}; its newest is {event.__declared__.schema}")
        elif schema in steps.get(event, ()):
            problems.append(f"{where} from schema {schema}, as another upcaster does already")
        elif inspect.iscoroutinefunction(upcaster.function):
            problems.append(f"{where} and is a coroutine; an upcaster is a plain function, without I/O")
        else:
            steps.setdefault(event, set()).add(schema)
    for event, known in steps.items():
        if missing := sorted(set(range(min(known), event.__declared__.schema)) - known):
            problems.append(f"{place(event)} has upcasters, but none from schema {missing[0]}")
    names = {event.__declared__.name for event in events}
    problems.extend(f"event {name!r} is retired, and there is one of that name" for name in retired if name in names)


def check_views(
    projections: Sequence[Projection[Any] | TableProjection], problems: list[str]
) -> list[FoldRules[Any] | TableRules]:
    """Views: a key, columns that make sense, one projection each. Gives the rules of the projections that are sound."""
    names: dict[str, type[Any]] = {}
    tables: set[str] = set()
    found: list[FoldRules[Any] | TableRules] = []
    for projection in projections:
        if isinstance(projection, TableProjection):
            found += _table_rules(projection, tables, problems)
        else:
            _check_name(projection.view, names, problems)
            found += _row_rules(projection, tables, problems)
    return found


def _row_rules(projection: Projection[Any], tables: set[str], problems: list[str]) -> list[FoldRules[Any]]:
    view = projection.view
    where = place(view)
    _check_view_names(where, [view.__declared__.name], tables, problems)
    _check_projection(f"{where} has a projection", projection, problems)
    if projection.mode == "sync" and view.__declared__.name.lower() in _OF_THE_LOG:
        problems.append(
            f"{where} has the name {view.__declared__.name!r}, and is kept in step with the log, which has that name "
            "itself; say name=..."
        )
    if projection.mode not in get_args(Mode):
        problems.append(f"{where} has a projection with mode={projection.mode!r}; say async or sync")
    try:
        shape = ViewShape(view, projection.version, sync=projection.mode == "sync")
    except (TypeError, NameError) as error:
        problems.append(f"{where} {error}")
        return []
    return [FoldRules(projection, shape, problems)]


def _table_rules(projection: TableProjection, tables: set[str], problems: list[str]) -> list[TableRules]:
    where = f"table projection {projection.name}"
    _check_view_names(where, [projection.name, *projection.tables], tables, problems)
    _check_projection(f"{where} is one", projection, problems)
    try:
        shape = TableShape(projection)
    except TypeError as error:
        problems.append(f"{where} {error}")
        return []
    return [TableRules(projection, shape, problems)]


def _check_projection(what: str, projection: Projection[Any] | TableProjection, problems: list[str]) -> None:
    if projection.version < 1:
        problems.append(f"{what} with version={projection.version}; versions are counted from 1")
    if not projection.handlers:
        problems.append(f"{what} that handles no event")


def check_queries(functions: Sequence[QueryFunction], problems: list[str]) -> list[QueryHandler]:
    """Query handlers: `async def handler(query, views) -> R`, with the R of the query, one for each query."""
    handlers: dict[type[Query[Any]], QueryHandler] = {}
    names: dict[str, type[Any]] = {}
    for function in functions:
        try:
            query, result = _query_of(function)
        except TypeError as error:
            problems.append(f"{place(function)} {error}")
            continue
        if query in handlers:
            problems.append(f"{place(function)} answers {query.__name__}, as another handler does already")
            continue
        _check_name(query, names, problems)
        if _check_shape(query, problems):
            handlers[query] = QueryHandler(query, function, Shape(query), result)
    return list(handlers.values())


def _query_of(function: QueryFunction) -> tuple[type[Query[Any]], Any]:
    if not inspect.iscoroutinefunction(function):
        raise TypeError("is not async; a query handler is an async function, since it reads")
    signature = read_signature(function)
    kinds = [parameter.kind for parameter in signature.parameters]
    if len(kinds) != 2 or kinds[1] is not Views:
        raise TypeError("must take the query and the Views")
    query = kinds[0]
    if not is_message(query, Query):
        raise TypeError(f"must take a query as its first parameter, not {query!r}")
    result = _result_of(query)
    if result is None:
        raise TypeError(
            f"answers {query.__name__}, which does not say what its answer is: class {query.__name__}(Query[...])"
        )
    if signature.returns != result:
        raise TypeError(f"must be annotated to give {result!r}, as {query.__name__} says, not {signature.returns!r}")
    found: type[Query[Any]] = query
    return found, result


def _result_of(query: type[Query[Any]]) -> Any:
    for kind in query.__mro__:
        for base in getattr(kind, "__orig_bases__", ()):
            if get_origin(base) is Query:
                return get_args(base)[0]
    return None


def _counts(number: object) -> bool:
    return isinstance(number, int) and number >= 1


def _check_name(kind: type[Any], names: dict[str, type[Any]], problems: list[str]) -> None:
    name = kind.__declared__.name
    if not name.isprintable() or not name or "/" in name:
        problems.append(f"{place(kind)} has the name {name!r}; a name is printable and without a slash")
    other = names.setdefault(name, kind)
    if other is not kind:
        problems.append(f"{place(kind)} has the name {name!r}, as {place(other)} has already; say name=...")


def _check_view_names(where: str, names: Sequence[str], tables: set[str], problems: list[str]) -> None:
    """A view's names are those of tables, which are told apart without regard to case."""
    for name in names:
        if _TABLE_NAME.fullmatch(name) is None or name.lower().startswith(_RESERVED):
            problems.append(
                f"{where} has the name {name!r}; a view is named by letters, digits and underscores, "
                f"and not {', '.join(_RESERVED)}..."
            )
        if name.lower() in tables:
            problems.append(
                f"{where} is a second view or projection by the name {name!r}; upper and lower case do not differ"
            )
    tables.update([name.lower() for name in names])


def _check_shape(kind: type[Any], problems: list[str]) -> bool:
    try:
        Shape(kind)
    except (TypeError, ValueError, NameError) as error:
        problems.append(f"{place(kind)} cannot be read from JSON: {error}")
        return False
    return True
