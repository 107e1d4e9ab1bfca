"""Exit codes and the one way of saying that something went wrong."""

import sys

DONE, NO, WRONG_USE, UNREACHABLE, INTERRUPTED = 0, 1, 2, 3, 130


class Stop(Exception):
    """A command ends here, with words for the user and an exit code."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


def say(words: str, code: int) -> int:
    """Says it on stderr, in one line, and gives the code back."""
    sys.stderr.write(f"diptych: {' '.join(words.split())}\n")
    return code
