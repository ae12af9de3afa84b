"""Portals to which nothing is sent for the time being, because a human wants it so. Kept over restarts.

One row of the table `counter` a pause: `pause:PORTAL:WHO`, `last` is when it began.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.storage import counters

_PREFIX = "pause:"
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Pause:
    """`since`: POSIX seconds, UTC."""

    who: str
    since: float


async def read(conn: AsyncConnection) -> dict[str, Pause]:
    """By portal."""
    found: dict[str, Pause] = {}
    for one in await counters.read(conn, _PREFIX):
        portal, _, who = one.name.removeprefix(_PREFIX).partition(":")
        found[portal] = Pause(who, one.last)
    return found


async def begin(conn: AsyncConnection, portal: str, who: str, now: float) -> bool:
    """False when it is paused already."""
    if portal in await read(conn):
        return False
    await counters.bump(conn, f"{_PREFIX}{portal}:{who}"[:_LONGEST], now)
    return True


async def end(conn: AsyncConnection, portal: str) -> bool:
    """False when it is not paused."""
    pause = (await read(conn)).get(portal)
    if pause is None:
        return False
    await counters.clear(conn, f"{_PREFIX}{portal}:{pause.who}")
    return True
