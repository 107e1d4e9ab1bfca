"""Exit codes and the one way of saying that something went wrong."""

import sys
from collections.abc import Sequence

DONE, NO, WRONG_USE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


class Stop(Exception):
    """A command ends here, with words for the user, an exit code, and lines of details where one line is too few."""

    def __init__(self, words: str, code: int, details: Sequence[str] = ()) -> None:
        super().__init__(words)
        self.code = code
        self.details = details


def say(words: str, code: int, details: Sequence[str] = ()) -> int:
    """Says it on stderr, in one line and its details below, and gives the code back."""
    sys.stderr.write("\n".join([f"diptych: {' '.join(words.split())}", *[f"  {line}" for line in details]]) + "\n")
    return code
