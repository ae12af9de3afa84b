"""Calls that somebody has ordered."""

from __future__ import annotations

from perezvon.rules.orders import Order, Ordered
from perezvon.storage import Database, orders
from perezvon.storage.orders import StoredOrder


async def test_of_two_orders_of_one_second_the_later_one_is_the_last(place: str) -> None:
    """A page's key is its second and chance."""
    async with await Database.open(place) as database:
        for at, key in ((100.1, "page:0000000100:ff"), (100.4, "page:0000000100:00"), (99.0, "robot:0000000200:00")):
            order = StoredOrder("main", Order(key, Ordered.PAGE, "+79161234567", "11"), at)
            assert await database.write(lambda conn, new=order: orders.take(conn, new, new.received))
        async with database.read() as conn:
            found = await orders.since(conn, "main", "page:0000000050")
    assert [one.order.key for one in found] == ["page:0000000100:00", "page:0000000100:ff"]
