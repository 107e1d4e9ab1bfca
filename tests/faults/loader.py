"""A process under load: sends the same commands every time it is started, and tells which are accepted.

Run as `python -m tests.faults.loader URL ORDERS [CONTEXT]`, with one of `tests.app.stepping` in the place of the shop.
Prints `{"ready": ...}`, then a line for each receipt as soon as it
has it, and `{"done": ...}` when everything is accepted. It also follows the log, and tells what it saw.
"""

import asyncio
import json
import os
import sys

from diptych import App, BoundedContext, Token
from tests.app import stepping
from tests.app.shop import OrderById, ShipOrder, order, shop

CLIENTS = 8


def tell(line: object) -> None:
    os.write(1, json.dumps(line).encode() + b"\n")


async def client(app: App, numbers: range) -> None:
    for number in numbers:
        place = await app.execute(order(f"{number}"), command_id=f"place-{number}")
        tell({"id": place.command_id, "position": place.token.position})
        row = await app.ask(OrderById(order_id=f"{number}"), after=place.token)
        assert row is not None
        ship = await app.execute(ShipOrder(order_id=f"{number}"), command_id=f"ship-{number}")
        tell({"id": ship.command_id, "position": ship.token.position})


async def watch(app: App) -> None:
    at = Token.at(app.log.log_id, 0)
    while True:
        async for event in app.events(after=at):
            at = Token.at(app.log.log_id, event.position)
            tell({"saw": event.position, "event_id": event.event_id})
        await asyncio.sleep(0.002)


async def main(url: str, orders: int, context: BoundedContext) -> None:
    async with context.open(url) as app:
        tell({"ready": True})
        watching = asyncio.create_task(watch(app))
        try:
            await asyncio.gather(*[client(app, range(first, orders, CLIENTS)) for first in range(CLIENTS)])
        finally:
            watching.cancel()
        tell({"done": True})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), getattr(stepping, sys.argv[3]) if sys.argv[3:] else shop))
