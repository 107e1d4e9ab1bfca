"""Where a store is: from its URL to what the driver needs, to the schema, and to words without the password."""

import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple
from urllib.parse import SplitResult, parse_qsl, unquote, urlencode, urlsplit

from diptych.errors import Malformed
from diptych.stores.sql import load_statements
from diptych.stores.urls import ENCODED, with_query, without_password

DEFAULT_SCHEMA = "diptych"
"""The schema that the `.sql` files name, and that a store is in unless its URL has `?schema=`."""

VIEWS = "_views"
"""What the name of a store's other schema ends in, and so no store's own."""

LAST_PORT = 65535

_PACKAGE = "diptych.stores.postgres"
_SCHEMA = re.compile(r"(?!pg_)[a-z_][a-z0-9_]{0,39}")
_PORT = re.compile(r"[0-9]{1,5}")


class Address(NamedTuple):
    """`dsn` is the driver's part of the URL; `shown` is the URL for people, without its password."""

    dsn: str
    schema: str
    shown: str

    def placed(self, sql: str) -> str:
        """The text of a `.sql` file with this store's schema in the place of the default one."""
        for text, here in (
            (f"{DEFAULT_SCHEMA}.", f'"{self.schema}".'),
            (f"'{DEFAULT_SCHEMA}'", f"'{self.schema}'"),
            (f"SCHEMA {DEFAULT_SCHEMA}_views;", f'SCHEMA "{self.views_schema}";'),
        ):
            sql = sql.replace(text, here)
        return sql

    @property
    def views_schema(self) -> str:
        """The schema beside the log's where the rows of the views are."""
        return self.schema + VIEWS

    def statements(self, file: str) -> Mapping[str, str]:
        """The named statements of a `.sql` file of this package."""
        return {name: self.placed(sql) for name, sql in load_statements(_PACKAGE, file).items()}

    def script(self, file: str) -> str:
        """The whole of a `.sql` file of this package."""
        return self.placed(files(_PACKAGE).joinpath(file).read_text("utf-8"))


def address_of(url: str) -> Address:
    """Reads `postgresql://user:password@host:port/database?schema=shop`; further parameters are the driver's.

    Raises Malformed.
    """
    parts = urlsplit(url)
    _refuse_misread(parts)
    options = parse_qsl(parts.query, keep_blank_values=True)
    ports = [port for name, value in options if name == "port" for port in value.split(",")]
    _check_ports([*_ports(parts.netloc), *ports])
    schemas = [value for name, value in options if name == "schema"]
    schema = schemas[-1] if schemas else DEFAULT_SCHEMA
    if not _SCHEMA.fullmatch(schema):
        raise Malformed(f"{schema!r} is no schema for a store: say up to 40 of a-z, 0-9 and _, without pg_ in front")
    if schema.endswith(VIEWS):
        raise Malformed(f"{schema!r} is no schema for a store: names that end in {VIEWS} are those of views' schemas")
    driver = urlencode([(name, value) for name, value in options if name != "schema"])
    return Address(with_query(parts, driver), schema, without_password(url))


def _refuse_misread(parts: SplitResult) -> None:
    """Raises Malformed for a URL whose password may go on after what looks like its end, or the end of its host."""
    after = parts.path + parts.fragment + (parts.query if ":" in parts.netloc else "")
    if "@" in after or parts.netloc.count("@") > 1:
        raise Malformed(f"A postgresql:// URL has an @ that does not stand just before its host. {ENCODED}")


def _ports(netloc: str) -> list[str]:
    """What stands behind each host of several, where something does."""
    hosts = unquote(netloc.rpartition("@")[2]).split(",")
    return [host.rpartition("]")[2].partition(":")[2] for host in hosts]


def _check_ports(ports: Sequence[str]) -> None:
    """Raises Malformed, without a word of what is no port: it may be of a password."""
    for port in filter(None, ports):
        if not _PORT.fullmatch(port) or not 1 <= int(port) <= LAST_PORT:
            raise Malformed(f"A postgresql:// URL has a port that is no number from 1 to {LAST_PORT}. {ENCODED}")
