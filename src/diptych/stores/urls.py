"""Stores' URLs as they may be shown."""

from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

_SECRET = ("password", "passfile")


def without_password(url: str) -> str:
    """The URL as it may be printed and kept in logs."""
    try:
        parts = urlsplit(url)
    except ValueError:  # no URL, and refused elsewhere
        return url
    account, at, host = parts.netloc.rpartition("@")
    user, colon, _ = account.partition(":")
    options = parse_qsl(parts.query, keep_blank_values=True)
    if not colon and not any(name in _SECRET for name, _ in options):
        return url
    shown = [(name, "***" if name in _SECRET else value) for name, value in options]
    netloc = f"{user}{':***' if colon else ''}{at}{host}"
    return with_query(parts._replace(netloc=netloc), urlencode(shown, safe="/*"))


def with_query(parts: SplitResult, query: str) -> str:
    """The URL with another query. An empty host keeps its slashes, which the standard library leaves out."""
    return f"{parts.scheme}://{parts.netloc}{parts.path}{'?' if query else ''}{query}"
