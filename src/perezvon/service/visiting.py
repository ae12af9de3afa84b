"""A portal visited for a moment, beside the house or without one: as the service speaks to it, with the same grant."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from perezvon.bitrix24 import Portal
from perezvon.service.portals import PortalLink
from perezvon.settings.model import Settings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import installation
from perezvon.storage.database import Database


@asynccontextmanager
async def visited(
    database: Database, box: SecretBox, settings: Settings, portal: PortalSettings
) -> AsyncGenerator[Portal | None]:
    """None while it is not installed. Raises PortalError, SettingsError, StorageError, ValueError."""
    made = await database.write(lambda conn: installation.identity(conn, time.time()))
    link = PortalLink(portal, settings, database, box, made.id, clock=time.time)
    await link.open()
    try:
        yield link.client if link.installed else None
    finally:
        await link.close()
