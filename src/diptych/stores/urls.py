"""Stores' URLs: as they may be shown, and put together again."""

import re
from urllib.parse import SplitResult

_PASSWORD = re.compile(
    r"//([^/:@?#]*):.*@", re.DOTALL
)  # up to the last @: one that should have been %40 is hidden, too
_REST = re.compile(
    r"//([^/:@?#\[]*):(?!\*\*\*@)(?!\d*(?:[/,?#]|$)).*", re.DOTALL
)  # no port, so perhaps a password without its @
_SECRET_PARAMETER = re.compile(r"([?&;][^=&;]*(?:password|passfile|passwd|pwd|secret|token|key)=)[^&;]*", re.IGNORECASE)

ENCODED = "In a user and a password, / has to be %2F, ? has to be %3F, # has to be %23 and @ has to be %40."
"""What to say of a URL that was read otherwise than it was meant, without a word of it: it may be of the password."""


def without_password(url: str) -> str:
    """The URL with `***` for every password in it. Rather too much is hidden than too little."""
    url = _PASSWORD.sub(r"//\1:***@", url)
    url = _REST.sub(r"//\1:***", url)
    return _SECRET_PARAMETER.sub(r"\1***", url)


def with_query(parts: SplitResult, query: str) -> str:
    """The URL with another query. An empty host keeps its slashes, which the standard library leaves out."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
