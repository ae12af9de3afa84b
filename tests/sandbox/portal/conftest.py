"""A pretend portal for each test, and callers of it: the application (`app`) and the inbound webhook (`hook`)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer


@pytest.fixture
def portal_config() -> PortalConfig:
    """Override in a module or class for another kind of portal; by default without a rate limit."""
    return PortalConfig(rate=None)


@pytest.fixture
async def portal(portal_config: PortalConfig) -> AsyncIterator[PortalServer]:
    async with PortalServer(portal_config) as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
        yield session


@pytest.fixture
async def app(portal: PortalServer, http: aiohttp.ClientSession) -> Rest:
    """The local application, with an administrator's token."""
    access, _ = portal.install()
    return Rest(http, f"{portal.url}/rest/", access)


@pytest.fixture
async def hook(portal: PortalServer, http: aiohttp.ClientSession) -> Rest:
    """An administrator's inbound webhook."""
    return Rest(http, portal.webhook_url)
