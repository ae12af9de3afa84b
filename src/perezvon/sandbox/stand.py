"""The whole stand: a real PBX, the pretend portal, and `perezvon serve` between them. For the demo and the tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.service_process import ServiceProcess

T = TypeVar("T")

SETTLED = 30.0

SETTINGS = """
[[asterisk]]
name = "main"
ami = "{ami}"
recordings = "{recordings}"
cel = "{cel}"
contexts = ["from-pstn", "from-internal"]

[[portal]]
name = "main"
domain = "{portal}"
client_id = "{client_id}"
client_secret = "{client_secret}"
oauth_server = "{portal}"
events = "{events}"
public_url = "{service}"
offline_interval = 1
fallback_user = 1
unknown_lines = "sent"
rate_per_second = {rate}
rate_burst = {burst}
{portal_more}

[[line]]
number = "+74951234567"
aliases = ["74951234567"]
source = "ADVERTISING"

{more}
"""


class Missed(Exception):
    """What was waited for did not come; the message says what is there instead."""


class Stand:
    """`pbx`, `portal` and `service` as they are; questions that need two of them."""

    def __init__(self, pbx: PbxSandbox, portal: PortalServer, service: ServiceProcess) -> None:
        self.pbx = pbx
        self.portal = portal
        self.service = service

    def settings(self, *, events: str = "offline", portal: str = "", more: str = "") -> str:
        """`portal`: further lines of its section; `more`: whole sections."""
        config = self.portal.config
        rate = config.rate
        return SETTINGS.format(
            ami=self.pbx.office_ami,
            recordings=self.pbx.recordings,
            cel=self.pbx.cel,
            portal=self.portal.url,
            client_id=config.client_id,
            client_secret=config.client_secret,
            service=self.service.url,
            events=events,
            rate=rate.per_second if rate else 1000,
            burst=rate.block_above if rate else 100_000,
            portal_more=portal,
            more=more,
        )

    async def start_service(self, *, events: str = "offline", portal: str = "", more: str = "") -> None:
        """Configures the service, starts it, installs the application in the portal; returns when calls are watched."""
        await self.service.configure(self.settings(events=events, portal=portal, more=more))
        await self.service.start()
        self.portal.app.install_url = f"{self.service.url}/bitrix24/main/install"
        self.portal.install()
        await self.ready()

    async def ready(self) -> None:
        """Returns when the PBX is watched, the portal's employees are known and clicks are heard."""
        await self.service.until(is_ready, "watches the PBX, knows the employees and hears of clicks")

    async def call_of(self, client: str, *, recorded: bool = False, within: float = SETTLED) -> PortalCall:
        """The newest call with this client, once it is finished (and its recording attached). Raises Missed."""

        def settled() -> PortalCall | None:
            for call in reversed(self.portal.calls()):
                if call.phone == client:
                    return call if not call.live and (call.recording or not recorded) else None
            return None

        what = f"the portal's call with {client} is finished" + (" and recorded" if recorded else "")
        try:
            return await self.until(settled, what, within)
        except Missed as missed:
            theirs = [call for call in self.portal.calls() if call.phone == client]
            raise Missed(f"{missed}\nthe portal's calls with {client}: {self.tell(theirs) if theirs else 'none'}") from None

    async def until(self, look: Callable[[], T | None], what: str, within: float = SETTLED) -> T:
        """What `look` gives, as soon as the portal's news make it give something. Raises Missed."""
        with self.portal.state.feed.subscribed() as news:
            if (found := look()) is not None:
                return found
            try:
                async with asyncio.timeout(within):
                    async for _ in news:
                        if (found := look()) is not None:
                            return found
            except TimeoutError:
                pass
        raise Missed(f"waited {within:g} s in vain until {what}; the portal has: {self.tell()}\n{self.service.tail()}")

    def tell(self, calls: Sequence[PortalCall] = ()) -> str:
        """These calls, or the last ones."""
        return "; ".join(
            f"{call.phone} type {call.type} user {call.finish.get('user_id', call.user_id)} "
            f"{'live' if call.live else call.finish.get('status')}{' recorded' if call.recording else ''}"
            for call in calls or self.portal.calls()[-10:]
        )


def is_ready(status: dict[str, Any]) -> bool:
    """Whether /status says that calls are watched and can be reported."""
    pbxs: list[dict[str, Any]] = status["pbxs"]
    portals: list[dict[str, Any]] = status["portals"]
    if not pbxs or not portals:
        return False
    watched = all(pbx["state"] == "live" for pbx in pbxs)
    return watched and all(portal["employees"] and _hears(portal["events"]) for portal in portals)


def _hears(events: dict[str, Any]) -> bool:
    """Whether a click on a number would be noticed."""
    return events["mode"] == "off" or bool(events["bound"] if events["mode"] == "handler" else events["polled"])


@asynccontextmanager
async def stand(
    pbx: PbxSandbox,
    portal: PortalServer,
    data_dir: Path,
    *,
    events: str = "offline",
    portal_more: str = "",
    more: str = "",
    first: str = "",
) -> AsyncGenerator[Stand]:
    """With the service running between a PBX and a portal that run already. `first`: see ServiceProcess."""
    service = ServiceProcess(data_dir, first=first)
    whole = Stand(pbx, portal, service)
    try:
        await whole.start_service(events=events, portal=portal_more, more=more)
        yield whole
    finally:
        await service.stop()
