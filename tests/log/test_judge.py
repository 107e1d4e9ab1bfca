"""The judgement of a group: each append as if it had come alone, after those before it."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.errors import CommandIdReused, Conflict, DiptychError
from diptych.log import Append, Condition, EventQuery, Facts, Match, NewEvent, NoneNewer, Outcome, RecordedEvent, judge
from diptych.log.conditions import StreamAt


def event(type: str = "A", *tags: str) -> NewEvent:
    return NewEvent(type, 1, b"id", tags, b"{}")


def append(
    stream: str = "s-1", *events: NewEvent, id: str = "c", body: bytes = b"b", when: Condition | None = None
) -> Append:
    return Append(id, body, stream, events, when, b"{}")


def facts(log: Sequence[RecordedEvent], ledger: dict[str, Outcome]) -> Facts:
    """What a log of these events says."""
    versions: dict[str, int] = {}
    for one in log:
        versions[one.stream] = one.version

    def newest(query: EventQuery, after: int) -> int | None:
        found = [one.position for one in log if one.position > after and query.accepts(one.type, one.tags)]
        return max(found, default=None)

    return Facts(len(log), log[-1].recorded_at if log else 0, versions, ledger, newest)


def told(answer: Outcome | DiptychError) -> Any:
    return answer if isinstance(answer, Outcome) else (type(answer), str(answer))


QUERIES = st.builds(
    Match, st.frozensets(st.sampled_from("AB"), max_size=1), st.frozensets(st.sampled_from(["k:1", "k:2"]), max_size=2)
).map(lambda match: EventQuery((match,)))
APPENDS = st.builds(
    Append,
    st.sampled_from(["c1", "c2", "c3", "c4", "c5", "c6", "c7"]),
    st.sampled_from([b"body", b"body", b"other"]),
    st.sampled_from(["s-1", "s-2"]),
    st.lists(st.builds(event, st.sampled_from("AB"), st.sampled_from(["k:1", "k:2"])), max_size=2),
    st.none() | st.builds(StreamAt, st.integers(0, 4)) | st.builds(NoneNewer, QUERIES, st.integers(0, 6)),
    st.just(b"{}"),
)


@given(groups=st.lists(st.lists(APPENDS, max_size=6), max_size=4))
def test_a_group_is_judged_as_its_appends_would_be_one_by_one(groups: list[list[Append]]) -> None:
    log: list[RecordedEvent] = []
    ledger: dict[str, Outcome] = {}
    single_log: list[RecordedEvent] = []
    single_ledger: dict[str, Outcome] = {}
    for now, group in enumerate(groups):
        verdicts = judge(group, facts(log, ledger), now)
        single: list[Outcome | DiptychError] = []
        for one in group:
            alone = judge([one], facts(single_log, single_ledger), now)
            single += alone.answers
            single_log += alone.events
            single_ledger |= {outcome.command_id: outcome for outcome in alone.outcomes}
        assert list(map(told, verdicts.answers)) == list(map(told, single))
        log += verdicts.events
        ledger |= {outcome.command_id: outcome for outcome in verdicts.outcomes}
        assert log == single_log
        assert ledger == single_ledger


def test_events_are_numbered_from_the_head_and_in_their_stream() -> None:
    log = judge([append("s-1", event(), event(), id="0")], facts([], {}), 5).events
    verdicts = judge(
        [append("s-2", event("X"), id="1"), append("s-1", event("Y"), event("Z"), id="2")], facts(log, {}), 9
    )
    assert [(one.position, one.stream, one.version, one.type) for one in verdicts.events] == [
        (3, "s-2", 1, "X"),
        (4, "s-1", 3, "Y"),
        (5, "s-1", 4, "Z"),
    ]
    assert verdicts.answers == verdicts.outcomes
    assert verdicts.outcomes[1] == Outcome("2", b"b", 5, "s-1", 4, ("Y", "Z"))


@pytest.mark.parametrize(("last", "now", "expected"), [(0, 7, 7), (7, 7, 7), (9, 7, 9)])
def test_time_never_falls(last: int, now: int, expected: int) -> None:
    verdicts = judge([append("s-1", event())], facts([], {})._replace(recorded_at=last), now)
    assert [one.recorded_at for one in verdicts.events] == [expected]


def test_an_append_without_events_counts_at_the_head() -> None:
    verdicts = judge([append("s-1", event(), id="1"), append("s-2", id="2")], facts([], {}), 0)
    assert verdicts.outcomes[1] == Outcome("2", b"b", 1, "s-2", 0, ())
    assert len(verdicts.events) == 1


def test_a_repetition_is_answered_before_its_condition_is_looked_at() -> None:
    known = Outcome("c", b"b", 1, "s-1", 1, ("A",))
    same, other = judge(
        [append(when=StreamAt(9)), append(body=b"other", when=StreamAt(9))], facts([], {"c": known}), 0
    ).answers
    assert same == known
    assert isinstance(other, CommandIdReused)


def test_a_refused_append_writes_nothing_and_keeps_no_place() -> None:
    verdicts = judge(
        [append("s-1", event(), event(), when=StreamAt(3)), append("s-1", event(), id="d")], facts([], {}), 0
    )
    refused, kept = verdicts.answers
    assert isinstance(refused, Conflict)
    assert (refused.expected, refused.found) == ("stream 's-1' at version 3", "no such stream")
    assert kept == Outcome("d", b"b", 1, "s-1", 1, ("A",))


@pytest.mark.parametrize(
    ("types", "tags", "fits"),
    [
        ([], [], True),
        (["A"], [], True),
        (["B"], [], False),
        ([], ["k:1"], True),
        ([], ["k:1", "k:2"], True),
        ([], ["k:1", "k:3"], False),
        (["A", "B"], ["k:2"], True),
        (["B"], ["k:2"], False),
    ],
)
def test_a_match_wants_one_of_the_types_and_all_of_the_tags(types: list[str], tags: list[str], *, fits: bool) -> None:
    match = Match(frozenset(types), frozenset(tags))
    assert match.accepts("A", ("k:1", "k:2")) is fits
    assert EventQuery((Match(frozenset("Z"), frozenset()), match)).accepts("A", ("k:1", "k:2")) is fits
    assert not EventQuery(()).accepts("A", ("k:1",))
