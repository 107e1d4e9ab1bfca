"""Decisions over tags: a course has places, a student has a limit, and neither is one stream."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from diptych import (
    Aggregate,
    App,
    BoundedContext,
    Command,
    Event,
    Malformed,
    Recorded,
    Rejected,
)

PLACES = 10
COURSES_OF_A_STUDENT = 3


class Enrol(Command):
    student_id: str
    course_id: str


class Enrolled(Event, tags=("student_id", "course_id")):
    student_id: str
    course_id: str


@dataclass(frozen=True, slots=True)
class Enrolments:
    pairs: frozenset[tuple[str, str]] = frozenset()


enrolments = Aggregate("enrolment", id="course_id", initial=Enrolments(), boundary=("student_id", "course_id"))


@enrolments.decide
def enrol(state: Enrolments, command: Enrol) -> Iterator[Enrolled]:
    if (command.student_id, command.course_id) in state.pairs:
        return
    if sum(course == command.course_id for _, course in state.pairs) >= PLACES:
        raise Rejected("course-full")
    if sum(student == command.student_id for student, _ in state.pairs) >= COURSES_OF_A_STUDENT:
        raise Rejected("too-many-courses")
    yield Enrolled(student_id=command.student_id, course_id=command.course_id)


@enrolments.evolve
def enrolled(state: Enrolments, event: Enrolled) -> Enrolments:
    return replace(state, pairs=state.pairs | {(event.student_id, event.course_id)})


school = BoundedContext("school", aggregates=[enrolments])


async def outcomes(app: App, pairs: list[tuple[str, str]]) -> list[Any]:
    return await asyncio.gather(
        *[app.execute(Enrol(student_id=student, course_id=course)) for student, course in pairs],
        return_exceptions=True,
    )


async def events(app: App) -> list[Recorded[Any]]:
    return [event async for event in app.events()]


async def test_of_many_who_want_the_last_places_as_many_get_one_as_there_are(url: str) -> None:
    async with school.open(url) as app:
        results = await outcomes(app, [(f"s{number}", "maths") for number in range(16)])
        kept = await events(app)

    assert [type(result).__name__ for result in results].count("Rejected") == 6
    assert {result.code for result in results if isinstance(result, Rejected)} == {"course-full"}
    assert len(kept) == PLACES
    assert [event.version for event in kept] == list(range(1, PLACES + 1))


async def test_two_processes_share_out_the_places_of_a_course(sqlite_url: str) -> None:
    async with school.open(sqlite_url) as one, school.open(sqlite_url) as other:
        for course in ("maths", "music", "art"):
            both = await asyncio.gather(
                outcomes(one, [(f"{course}-a{number}", course) for number in range(8)]),
                outcomes(other, [(f"{course}-b{number}", course) for number in range(8)]),
            )
            results = [*both[0], *both[1]]
            assert [type(result).__name__ for result in results].count("Receipt") == PLACES, results


async def test_a_student_who_enrols_everywhere_at_once_gets_into_three_courses(url: str) -> None:
    async with school.open(url) as app:
        results = await outcomes(app, [("ada", f"course {number}") for number in range(16)])

    assert [type(result).__name__ for result in results].count("Rejected") == 13
    assert {result.code for result in results if isinstance(result, Rejected)} == {"too-many-courses"}


async def test_a_boundary_sees_neither_other_courses_nor_other_students(url: str) -> None:
    async with school.open(url) as app:
        await outcomes(app, [(f"s{number}", "maths") for number in range(10)])
        assert (await app.execute(Enrol(student_id="s1", course_id="music"))).version == 1
        with pytest.raises(Rejected, match="course-full"):
            await app.execute(Enrol(student_id="new", course_id="maths"))


async def test_a_tag_is_matched_whole_and_by_its_field(url: str) -> None:
    # A course whose name is that of a student, and names that begin with one another or hold what separates tags.
    async with school.open(url) as app:
        for course in ("a", "a:b", "course_id:a", "aa"):
            results = await outcomes(app, [(f"{course} {number}", course) for number in range(PLACES)])
            assert {type(result).__name__ for result in results} == {"Receipt"}
        for student in ("a", "course_id:a"):
            assert (await app.execute(Enrol(student_id=student, course_id=f"new {student}"))).version == 1


async def test_an_expected_version_makes_no_sense_with_a_boundary_and_is_refused(url: str) -> None:
    async with school.open(url) as app:
        with pytest.raises(Malformed, match="boundary"):
            await app.execute(Enrol(student_id="ada", course_id="maths"), expected_version=0)
        assert await events(app) == []


async def test_a_repeated_enrolment_changes_nothing_and_a_repeated_id_gets_its_receipt(url: str) -> None:
    async with school.open(url) as app:
        first = await app.execute(Enrol(student_id="s0", course_id="maths"), command_id="a")
        await outcomes(app, [(f"s{number}", "maths") for number in range(1, 16)])

        assert await app.execute(Enrol(student_id="s0", course_id="maths"), command_id="a") == first
        assert (await app.execute(Enrol(student_id="s0", course_id="maths"))).events == ()
