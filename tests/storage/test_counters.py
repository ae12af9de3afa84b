"""Counted cases that come from outside: never more than are allowed, and those that are there go on counting."""

from __future__ import annotations

from perezvon.storage import Database, counters


async def test_cases_from_outside_are_bounded(place: str) -> None:
    async with await Database.open(place) as database:
        for case in ("a", "b", "c", "a", "d", "b"):
            await database.write(lambda conn, case=case: counters.bump_among(conn, "line:main:", case, 1.0, 2))
        await database.write(lambda conn: counters.bump_among(conn, "line:other:", "c", 1.0, 2))
        async with database.read() as conn:
            found = {one.name: one.value for one in await counters.read(conn, "line:")}
    assert found == {"line:main:a": 2, "line:main:b": 2, "line:other:c": 1}
