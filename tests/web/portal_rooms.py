"""Our pages inside a portal for the tests: the real application and the pretend portal, whose tokens are the real proof. The
calls are told by the test instead of a PBX."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvicorn
from pages_server import Clock

from perezvon.bitrix24 import AuthorizationServer, GrantKeeper, OAuthGrant, Portal
from perezvon.bitrix24.address import root
from perezvon.bitrix24.events import Forged
from perezvon.bitrix24.visitor import Opened, PortalUser, behind
from perezvon.conference import Consultation, Live, NoSuchCall, Onlooker, Operator, Order, Whole
from perezvon.rules.vocabulary import Reason
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.face import face_routes
from perezvon.sandbox.portal.frames import OpenedFrame, opened
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import Database
from perezvon.web import Received, Status, create_app
from perezvon.web.badges import Badges
from perezvon.web.inside_sessions import InsideSessions
from perezvon.web.portal_door import CardCall, CardContext, Colleague

EMPLOYEES = {"11": ("Иван Иванов", "101"), "12": ("Анна Петрова", "102"), "1": ("Админ Порталов", "")}


@dataclass
class Rooms:
    """Also the door. `card`: what every card is found to be; `gone`: users who are not active any more."""

    portal: PortalServer
    client: Portal
    database: Database
    clock: Clock
    sessions: InsideSessions
    badges: Badges
    url: str = ""
    card: CardCall | None = None
    gone: set[str] = field(default_factory=set[str])
    status_now: Status | None = None
    config: PortalSettings | None = None

    # ---- web.PortalDoor

    def origin(self, portal: str) -> str:
        return root(self.client.address.rest) if portal == "main" else ""

    def proves(self, portal: str, application_token: str) -> bool:
        return application_token == self.portal.app.application_token

    async def admit(self, portal: str, opened: Opened) -> PortalUser:
        if portal != "main":
            raise Forged("no such portal")
        return await behind(self.client, opened)

    def stands(self, portal: str, user: str) -> bool:
        return user not in self.gone

    def settings(self, portal: str) -> PortalSettings | None:
        return self.config

    def pbxs(self, portal: str) -> frozenset[str]:
        return frozenset({"main"})

    def extension(self, portal: str, user: str) -> str:
        return EMPLOYEES.get(user, ("", ""))[1]

    def names(self, portal: str) -> Mapping[str, str]:
        return {extension: name for name, extension in EMPLOYEES.values() if extension}

    def users(self, portal: str) -> Mapping[str, str]:
        return {user: name for user, (name, _) in EMPLOYEES.items()}

    def colleagues(self, portal: str) -> list[Colleague]:
        return [Colleague(user, name, extension) for user, (name, extension) in EMPLOYEES.items() if extension]

    async def call_of(self, portal: str, user: str, card: CardContext) -> CardCall | None:
        return self.card if user == "11" else None

    # ---- web.StatusSource, web.EventSink

    async def status(self) -> Status:
        return self.status_now or Status("0.1.0", self.clock(), self.clock() - 60)

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def robot(self, portal: str, body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    # ---- the test's side

    def opening(
        self, page: str, user: int = 11, options: Mapping[str, str] | None = None, language: str = "ru"
    ) -> OpenedFrame:
        """As the portal opens it."""
        portal = self.portal
        place = {"card": "CALL_CARD", "analytics": "TELEPHONY_ANALYTICS_MENU", "app": "LEFT_MENU"}[page]
        handler = f"{self.url}/bitrix24/main/{page}"
        return opened(portal.state, portal.app, user, place, handler, dict(options or {}), language)

    def bind(self) -> None:
        """As if our service had."""
        for place, page in (("CALL_CARD", "card"), ("TELEPHONY_ANALYTICS_MENU", "analytics"), ("LEFT_MENU", "app")):
            self.portal.state.placements.append(
                {"app": self.portal.app.client_id, "placement": place, "userId": 0, "title": "Perezvon", "options": {},
                 "handler": f"{self.url}/bitrix24/main/{page}", "description": "", "langAll": {}}
            )  # fmt: skip

    async def post(self, frame: OpenedFrame, **changed: str) -> tuple[int, str, Mapping[str, str]]:
        async with aiohttp.ClientSession() as session:
            fields = {name: value for name, value in (frame.fields | changed).items() if value != "-"}
            headers = {"Origin": self.portal.url, "Sec-Fetch-Site": "cross-site"}
            async with session.post(frame.action, data=fields, headers=headers) as answer:
                return answer.status, await answer.text(), answer.headers


class QuietDesk:
    """A desk at which nothing happens; every order is refused."""

    def __init__(self, clock: Clock) -> None:
        self._live = Live(lambda: Whole(clock(), (), ()))

    def whole(self, who: Operator) -> Whole:
        return Whole(0.0, (), ())

    def look(self, who: Operator, call: str) -> Consultation:
        raise NoSuchCall(Reason("there is no running call {call} in which you may act", {"call": call}))

    async def order(self, who: Operator, call: str, order: Order) -> Consultation | None:
        return self.look(who, call)

    def standing(self, who: Operator) -> bool:
        return True

    def onlookers(self, who: Operator) -> tuple[int, int]:
        return self._live.watching(who), len(self._live)

    def onlooker(self, who: Operator) -> AbstractContextManager[Onlooker]:
        return self._live.onlooker(who)

    def close(self) -> None:
        self._live.close()


@asynccontextmanager
async def rooms(folder: Path) -> AsyncIterator[Rooms]:
    clock = Clock()
    box = SecretBox.open(folder / "data")
    async with (
        PortalServer(PortalConfig(rate=None), face=face_routes()) as portal,
        await Database.open(folder / "data") as database,
    ):
        access, refresh = portal.install()
        domain = portal.url.split("://", 1)[1]
        config = portal.config
        grant = OAuthGrant(
            domain, config.client_id, config.client_secret, config.member_id, access, refresh,
            client_endpoint=f"{portal.url}/rest/", server_endpoint=f"{portal.url}/rest/",
            application_token=portal.app.application_token,
        )  # fmt: skip
        server = AuthorizationServer(trusted=frozenset({domain}))
        async with Portal("main", GrantKeeper(grant, server=server)) as client:
            sessions, badges = InsideSessions(box, clock), Badges(box, clock)
            made = Rooms(portal, client, database, clock, sessions, badges)
            quiet = QuietDesk(clock)
            app = create_app(made, made, desk=quiet, badges=badges, database=database, portals=(made, sessions))
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            made.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
            serving = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
            running = asyncio.create_task(serving.serve(sockets=[sock]))
            try:
                yield made
            finally:
                quiet.close()
                serving.should_exit = True
                await asyncio.wait([running])
        await server.close()
