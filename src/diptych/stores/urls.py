"""Stores' URLs: as they may be shown, and put together again."""

import re
from urllib.parse import SplitResult

_PASSWORD = re.compile(r"//([^/:@?#]*):.*@")  # up to the last @: one that should have been %40 is hidden, too
_SECRET_PARAMETER = re.compile(r"([?&;][^=&;]*(?:password|passfile|passwd|pwd|secret|token|key)=)[^&;]*", re.IGNORECASE)


def without_password(url: str) -> str:
    """The URL with `***` for every password in it. Rather too much is hidden than too little."""
    url = _PASSWORD.sub(r"//\1:***@", url)
    return _SECRET_PARAMETER.sub(r"\1***", url)


def with_query(parts: SplitResult, query: str) -> str:
    """The URL with another query. An empty host keeps its slashes, which the standard library leaves out."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
