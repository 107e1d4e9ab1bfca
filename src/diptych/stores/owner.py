"""A log belongs to one bounded context: to the first that is opened on it."""

from diptych.errors import NotAStore


def check_owner(where: object, owner: str | None, context: str) -> None:
    """Raises NotAStore where the log at a place has another owner than this context; None stands for no owner yet."""
    if owner not in (None, context):
        raise NotAStore(
            f"{where} has the log of bounded context {owner!r}, and not of {context!r}; give that a store of its own."
        )
