"""Whoever looks on at something that changes: woken when there is news for him, and when there will be none any more."""

from __future__ import annotations

import asyncio


class Closed(Exception):
    """There will be no news any more: the service stops."""


class Awaited:
    """What is common to those who look on. He is `behind` until he has been told everything, and again whenever too much
    waits for him: then he is told everything anew, and nothing grows."""

    def __init__(self) -> None:
        self._behind = True
        self._closed = False
        self._woken = asyncio.Event()

    async def _news(self, seconds: float, *, waiting: bool) -> bool:
        """Whether there are any, within so long. `waiting`: some do already. Raises Closed."""
        if not (self._behind or waiting or self._closed):
            self._woken.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._woken.wait()
            except TimeoutError:
                return False
        if self._closed:
            raise Closed
        return True

    def close(self) -> None:
        self._closed = True
        self._woken.set()
