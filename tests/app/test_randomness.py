"""Random bytes in pieces: of the size asked for, and each given once."""

from diptych.app.randomness import FETCHED, Randomness


def test_pieces_have_the_size_that_was_asked_for() -> None:
    randomness = Randomness()

    assert [len(randomness(size)) for size in (1, 10, 16, FETCHED, FETCHED + 1, 10)] == [
        1,
        10,
        16,
        FETCHED,
        FETCHED + 1,
        10,
    ]


def test_no_piece_is_given_twice() -> None:
    randomness = Randomness()
    pieces = [randomness(10) for _ in range(10_000)]

    assert len(set(pieces)) == len(pieces)
