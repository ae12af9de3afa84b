"""The whole stand for end-to-end tests: the session's real Asterisk, a pretend portal and `perezvon serve` a module."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

import warm_start
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.service_process import ServiceProcess, Starter
from perezvon.sandbox.stand import Stand, stand


@pytest.fixture(scope="module")
def starter() -> Starter | None:
    """Overridden (None) by modules in which the service starts as slowly as it does at people's."""
    warm_start.make_ready()
    return warm_start.start


@pytest.fixture(scope="module", autouse=True)
def started_by(starter: Starter | None) -> Iterator[None]:
    ServiceProcess.starter = starter
    yield
    ServiceProcess.starter = None


@pytest.fixture(scope="module")
def portal_config() -> PortalConfig:
    """Overridden by modules that want limits or slowness."""
    return PortalConfig(rate=None)


@pytest.fixture(scope="module")
async def portal(portal_config: PortalConfig) -> AsyncIterator[PortalServer]:
    async with PortalServer(portal_config) as server:
        yield server


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon")) as whole:
        yield whole
        await pbx_session.world.reset()
