"""Object storage as a place for snapshots: what a `file:///` or `s3://` URL names."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from obstore.exceptions import BaseError
from obstore.store import LocalStore, S3Store

from diptych.errors import Malformed, Unavailable
from diptych.log import EventLog
from diptych.stores.objects.snapshots import Objects, ObjectSnapshots
from diptych.stores.urls import without_password

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# One that does not answer is left alone soon: commands do without it.
_CLIENT: "ClientConfig" = {"connect_timeout": "1s", "timeout": "10s", "allow_http": True}
_RETRY: "RetryConfig" = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}


class ObjectStore:
    """See `diptych.stores.KeepsSnapshots`. A bucket's address and keys come from the environment, as AWS names them.

    Raises Malformed for a URL that names neither a folder nor a bucket.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._shown = without_password(url)
        self._host, self._path = parts.netloc, unquote(parts.path)
        self._is_folder = parts.scheme == "file"
        if parts.query or parts.fragment or "@" in parts.netloc or self._is_folder == bool(parts.netloc):
            raise Malformed(f"{self._shown!r} is no place for snapshots; say file:///var/lib/shop or s3://bucket/shop")

    @asynccontextmanager
    async def snapshots(self, log: EventLog, /) -> AsyncGenerator[ObjectSnapshots]:
        yield ObjectSnapshots(self._objects, self._shown, log)

    def _objects(self) -> Objects:
        """The client. Raises Unavailable."""
        try:
            if self._is_folder:
                return LocalStore(self._path, mkdir=True)
            prefix = self._path.strip("/") or None
            return S3Store(self._host, prefix=prefix, client_options=_CLIENT, retry_config=_RETRY)
        except (BaseError, OSError, ValueError) as error:
            raise Unavailable(f"{self._shown} cannot be used: {error}") from None
