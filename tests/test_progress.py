"""Progress, where no terminal is: lines, not too many, with rate and time left."""

import asyncio
import io

from diptych.progress import Bar, Lines, Silence, line, progress_on, shown


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_line_tells_share_rate_and_time_left() -> None:
    assert line("Commands", 250, 1000, 250, 0.5) == "Commands: 250 of 1,000 (25%), 500/s, 2 s left"
    assert line("Commands", 1000, 1000, 1000, 2.0) == "Commands: 1,000 of 1,000 (100%), 500/s"
    assert line("Commands", 0, 1000, 0, 2.0) == "Commands: 0 of 1,000 (0%)"
    assert line("Commands", 0, 0, 0, 0.0) == "Commands: 0 of 0 (100%)"
    assert line("Commands", 250, None, 250, 0.5) == "Commands: 250, 500/s"


def test_what_was_done_before_counts_for_the_share_and_not_for_the_rate() -> None:
    out, clock = io.StringIO(), Clock()
    with Lines(out, clock) as lines:
        lines.show("Events", 500, 1000)
        clock.now += 2
        lines.show("Events", 600, 1000)
    assert out.getvalue() == "Events: 600 of 1,000 (60%), 50/s, 8 s left\n"


def test_lines_come_every_two_seconds_and_at_the_end_of_a_stage() -> None:
    out, clock = io.StringIO(), Clock()
    with Lines(out, clock) as lines:
        for done in range(0, 101, 10):
            lines.show("Commands", done, 100)
            clock.now += 0.5
        lines.show("Commands", 100, 100)
        lines.show("Views", 7, 7)
    said = out.getvalue().splitlines()
    assert [words.split(",")[0] for words in said] == [
        "Commands: 40 of 100 (40%)",
        "Commands: 80 of 100 (80%)",
        "Commands: 100 of 100 (100%)",
        "Views: 7 of 7 (100%)",
    ]


def test_stages_that_go_on_side_by_side_are_told_of_one_by_one() -> None:
    out, clock = io.StringIO(), Clock()
    with Lines(out, clock) as lines:
        for done in range(0, 101, 20):
            lines.show("Orders", done, 100)
            lines.show("Carts", min(done * 2, 100), 100)
            clock.now += 0.5
    assert [words.split(",")[0] for words in out.getvalue().splitlines()] == [
        "Carts: 100 of 100 (100%)",
        "Orders: 80 of 100 (80%)",
        "Orders: 100 of 100 (100%)",
    ]


def test_a_note_is_a_line_of_its_own() -> None:
    out = io.StringIO()
    progress_on(out).note("Store: [memory]")
    assert out.getvalue() == "Store: [memory]\n"


def test_a_bar_takes_what_lines_take() -> None:
    with Bar() as bar:
        bar.note("Store: [memory]")
        for done in (0, 5, 10):
            bar.show("Commands", done, 10)
        bar.show("Views", 0, 0)


async def test_a_stage_is_shown_while_it_runs_and_at_its_end() -> None:
    class Watched(Silence):
        def __init__(self) -> None:
            self.seen: list[int] = []

        def show(self, stage: str, done: int, total: int | None) -> None:
            self.seen.append(done)

    progress, done = Watched(), 0
    async with shown(progress, "Commands", lambda: done, lambda: 2):
        await asyncio.sleep(0.15)
        done = 1
        await asyncio.sleep(0.15)
        done = 2
    assert progress.seen[0] == 0
    assert 1 in progress.seen
    assert progress.seen[-1] == 2
    count = len(progress.seen)
    await asyncio.sleep(0.15)
    assert len(progress.seen) == count
