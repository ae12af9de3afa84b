"""A portal visited by a command, with the grant that the service keeps."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from perezvon.bitrix24 import Portal
from perezvon.cli.exits import Exit, Refusal
from perezvon.cli.installation import Installation
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings


@asynccontextmanager
async def asked_portal(
    installation: Installation, settings: Settings, portal: PortalSettings
) -> AsyncGenerator[Portal | None]:
    """None while it is not installed. Raises what service/visiting.py says."""
    from perezvon.service.visiting import visited  # noqa: PLC0415  the house is large, and only this needs it

    async with visited(installation.database, installation.box, settings, portal) as client:
        yield client


@asynccontextmanager
async def opened_portal(
    installation: Installation, settings: Settings, portal: PortalSettings
) -> AsyncGenerator[Portal | None]:
    """The same; raises Refusal for settings that lead to no portal."""
    async with AsyncExitStack() as stack:
        try:
            client = await stack.enter_async_context(asked_portal(installation, settings, portal))
        except ValueError as error:
            raise Refusal(str(error), Exit.USAGE) from None
        yield client
