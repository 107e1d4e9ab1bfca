"""Who holds up the log: words for a user who could not append in time."""

from datetime import timedelta

import asyncpg

from diptych.errors import Unavailable
from diptych.stores.postgres.address import Address
from diptych.stores.postgres.connection import Pool


async def held_up(address: Address, pool: Pool, waited: timedelta) -> Unavailable:
    """The error for an append that waited so long for the log's lock: it names whoever has it."""
    seconds = waited.total_seconds()
    words = f"The log at {address.shown} was locked for {seconds:g} s; nothing was kept, try again later."
    sql = address.statements("log.sql")["blockers"]
    try:
        row = await pool.run(lambda connection: connection.fetchrow(sql))
    except Unavailable:
        return Unavailable(words)
    return Unavailable(words if row is None else f"{words} {_described(row)}")


def _described(row: asyncpg.Record) -> str:
    name = f" ({row['application_name']})" if row["application_name"] else ""
    user = f", user {row['usename']}" if row["usename"] else ""
    state = f", {row['state']}" if row["state"] else ""
    age = "" if row["age"] is None else f", for {row['age']:.1f} s"
    return f"It is held by session {row['pid']}{name}{user}{state}{age}."
