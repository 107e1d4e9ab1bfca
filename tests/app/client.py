"""A client in a process of its own: places and ships orders at the store of the URL, and tells what was accepted.

Run as `python -m tests.app.client URL NAME COMMANDS`; prints a line for each receipt, and at the end its view.
"""

import asyncio
import json
import sys

from tests.app.shop import AllOrders, ShipOrder, order, shop


async def main(url: str, name: str, commands: int) -> None:
    async with shop.open(url) as app:

        async def customer(numbers: range) -> None:
            for number in numbers:
                order_id = f"{name}-{number // 2}"
                command = ShipOrder(order_id=order_id) if number % 2 else order(order_id, customer_id=name)
                receipt = await app.execute(command, command_id=f"{name}/{number}")
                tell({"command": receipt.command_id, "position": receipt.token.position})

        quarter = commands // 4
        await asyncio.gather(*[customer(range(start, start + quarter)) for start in range(0, commands, quarter)])
        tell({"done": name})
        await asyncio.to_thread(sys.stdin.readline)  # until the others are done
        head = (await app.log.head()).position
        receipt = await app.execute(ShipOrder(order_id=f"{name}-0"))  # changes nothing, names the log's end
        rows = await app.ask(AllOrders(), after=receipt.token)
        tell({"head": head, "rows": [[row.order_id, row.customer_id, str(row.total), row.status] for row in rows]})


def tell(line: object) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
