"""The pretend portal, and clients of it: by webhook, and as its local application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from portal_grants import keeper_of

from perezvon.bitrix24 import Bucket, Portal, Webhook
from perezvon.sandbox.portal.config import PortalConfig
from perezvon.sandbox.portal.server import PortalServer


@pytest.fixture
def config() -> PortalConfig:
    return PortalConfig()


@pytest.fixture
async def server(config: PortalConfig) -> AsyncIterator[PortalServer]:
    async with PortalServer(config) as running:
        yield running


@pytest.fixture
async def hook(server: PortalServer) -> AsyncIterator[Portal]:
    """Through the inbound webhook."""
    async with Portal("main", Webhook.parse(server.webhook_url)) as portal:
        yield portal


@pytest.fixture
async def app(server: PortalServer) -> AsyncIterator[Portal]:
    """As the installed local application, with an administrator's token."""
    async with Portal("main", keeper_of(server), bucket=Bucket(2, 500)) as portal:
        yield portal
