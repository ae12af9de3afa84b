"""Links to a pretend portal, opened with what is stored, as a start of the service does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from perezvon.bitrix24.events import EventAuth
from perezvon.sandbox.portal import PortalServer
from perezvon.service.portals import PortalLink
from perezvon.settings.model import Settings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database


class Links:
    """Of one data directory; all are closed at the end."""

    def __init__(self, data_dir: Path, clock: Callable[[], float]) -> None:
        self._data_dir = data_dir
        self._clock = clock
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Links:
        self._database = await self._stack.enter_async_context(await Database.open(self._data_dir))
        self._box = SecretBox.open(self._data_dir)
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stack.aclose()

    async def open(self, settings: Settings) -> PortalLink:
        """To the first portal."""
        link = PortalLink(settings.portal[0], settings, self._database, self._box, "test", clock=self._clock)
        await link.open()
        self._stack.push_async_callback(link.close)
        return link


def offer(server: PortalServer) -> EventAuth:
    access, refresh = server.install()
    host = server.url.removeprefix("http://")
    return EventAuth(domain=host, member_id=server.config.member_id, access_token=access, refresh_token=refresh)


@asynccontextmanager
async def running(link: PortalLink) -> AsyncIterator[None]:
    task = asyncio.create_task(link.run(), name="link under test")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    assert task.cancelled(), task.exception()
