"""Work that is done again until the database takes it. For those who have nothing better to do meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import structlog

from perezvon.storage.errors import Unavailable

T = TypeVar("T")

PAUSE = 1.0

log = structlog.get_logger(__name__)


async def insist(work: Callable[[], Awaitable[T]], who: str, **told: object) -> T:
    """While the database is in trouble nothing of `work` was kept: it is done again, a second later. `who` waits says the
    log, with `told`: once when it begins, and when it is over."""
    began = time.monotonic()
    waiting = False
    while True:
        try:
            done = await work()
        except Unavailable as error:
            if not waiting:
                log.warning(f"{who}: going on -> waiting for the database", error=str(error), **told)
            waiting = True
            await asyncio.sleep(PAUSE)
        else:
            if waiting:
                lasted = round(time.monotonic() - began, 1)
                log.info(f"{who}: waiting for the database -> going on", seconds=lasted, **told)
            return done
