"""What a command line came to."""

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Ran(NamedTuple):
    code: int
    out: str
    err: str

    def lines(self) -> list[Any]:
        """Each line of stdout, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


Diptych = Callable[..., Ran]
