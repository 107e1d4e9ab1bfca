"""The bells of views in one process: whoever waits is woken by a commit here, or by word of one elsewhere."""

from typing import Any

from diptych.log import Bell
from diptych.read import ViewShape


class ViewBells:
    """A bell for each view and fingerprint, shared by everything in this process that opens the same store."""

    def __init__(self) -> None:
        self._bells: dict[str, Bell] = {}

    def of(self, shape: ViewShape[Any]) -> Bell:
        """The bell of the live generation that answers code of this shape."""
        return self._named(bell_name(shape))

    def wake_all(self, view: str) -> None:
        """Another generation is live, or none goes on: those who wait look for themselves."""
        for name in [name for name in self._bells if name.partition(" ")[2] == view]:
            if (old := self._bells.pop(name, None)) is not None:
                old.ring(2**63)

    def hear(self, word: str) -> None:
        """A word that another process, or this one, has sent with NOTIFY."""
        what, _, rest = word.partition(" ")
        if what == "view":
            position, _, name = rest.partition(" ")
            self._named(name).ring(int(position))
        elif what == "wake":
            self.wake_all(rest)

    def _named(self, name: str) -> Bell:
        return self._bells.setdefault(name, Bell())


def bell_name(shape: ViewShape[Any]) -> str:
    """How a bell is named in a word: two versions of the code that run side by side do not wake each other."""
    return f"{shape.fingerprint} {shape.name}"
