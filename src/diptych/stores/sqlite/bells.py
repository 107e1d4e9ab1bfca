"""The bells of the views in one file, for everything in this process that opens it."""

from diptych.log import Bell


class ViewBells:
    """A bell for each view. `changes` grows with every change of the file by this process."""

    def __init__(self) -> None:
        self.changes = 0
        self._bells: dict[str, Bell] = {}

    def of(self, view: str) -> Bell:
        """The bell of a view, rung for its live generation."""
        return self._bells.setdefault(view, Bell())

    def ring(self, view: str, position: int) -> None:
        """The view's live generation has changed, and stands at this position."""
        self.changes += 1
        self.of(view).ring(position)

    def wake_all(self, view: str) -> None:
        """Another generation is live, or none goes on: those who wait look for themselves."""
        if (old := self._bells.pop(view, None)) is not None:
            old.ring(2**63)
