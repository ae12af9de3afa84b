"""The pages with a database of their own, served for the tests; and browsers of people and of programs."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvicorn
from fastapi import FastAPI

from perezvon.doctor import Check, State
from perezvon.rules.vocabulary import Reason
from perezvon.service.settings_desk import SettingsOffice
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore
from perezvon.storage import Database
from perezvon.storage.people import Person
from perezvon.web import Received, Status, create_app
from perezvon.web.gate import SecondFactor
from perezvon.web.people import Actor, People
from perezvon.web.rights import Role
from perezvon.web.setup_desk import SetupDesk
from perezvon.web.switchroom import Switchroom

PASSWORD = "correct horse battery"


@dataclass
class Clock:
    """POSIX seconds; goes on by itself, and can be put forward."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


@dataclass
class Pages:
    database: Database
    people: People
    clock: Clock
    app: FastAPI
    store: SettingsStore
    url: str = ""
    status_now: Status | None = None
    password: str = ""
    second_factor: SecondFactor = "offered"
    checks: list[Check] = field(default_factory=list)

    async def status(self) -> Status:
        return self.status_now or Status("0.1.0", self.clock(), self.clock() - 60)

    async def doctor(self) -> list[Check]:
        return self.checks or [Check("asterisk", "asterisk main", State.OK, Reason("fine"))]

    async def event(self, portal: str, body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def install(self, portal: str, query: Mapping[str, str], body: bytes, content_type: str) -> Received:
        return Received.ACCEPTED

    async def person(self, login: str, role: Role = Role.ADMINISTRATOR, name: str = "") -> Person:
        """Who has a password already."""
        _, link = await self.people.add(login, name, role, Actor("test"))
        return (await self.people.accept(link, PASSWORD, Actor("", "127.0.0.1"))).person


@asynccontextmanager
async def pages(
    place: str | Path,
    folder: Path,
    switchroom: Switchroom | None = None,
    setup: Callable[[Pages, SecretBox], SetupDesk] | None = None,
) -> AsyncIterator[Pages]:
    """`setup`: makes what the wizard of the first run speaks to."""
    clock = Clock()
    async with await Database.open(place) as database:
        box = SecretBox.open(folder)
        people, store = People(database, box, clock), SettingsStore(database, box, clock=clock)
        made = Pages(database, people, clock, FastAPI(), store)
        made.app = create_app(
            made,
            made,
            people=people,
            doctor=made.doctor,
            setup=None if setup is None else setup(made, box),
            password=lambda: made.password,
            database=database,
            switchroom=switchroom,
            second_factor=lambda: made.second_factor,
            settings=SettingsOffice(folder, box, store, database, lambda: None),
        )
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        made.url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        server = uvicorn.Server(uvicorn.Config(made.app, log_config=None, access_log=False, lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        try:
            yield made
        finally:
            server.should_exit = True
            await asyncio.wait([serving])


@dataclass
class Answer:
    status: int
    text: str
    url: str
    headers: Mapping[str, str]


class Visitor:
    """A browser as far as forms and cookies go: it sends what a page has given it, and follows where it is sent."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True), headers={"Accept": "text/html"})
        self.page = ""

    async def __aenter__(self) -> Visitor:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.session.close()

    async def get(self, path: str, **headers: str) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.get(self.url + path, headers=named) as answer:
            return await self._seen(answer)

    async def post(self, path: str, fields: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """With the form token of the page that was seen last, unless `fields` have their own."""
        known = re.search(r'name="csrf" value="(\w+)"', self.page)
        sent = ({"csrf": known[1]} if known else {}) | dict(fields or {})
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.session.post(self.url + path, data=sent, headers=named) as answer:
            return await self._seen(answer)

    async def sign_in(self, login: str, password: str = PASSWORD) -> Answer:
        return await self.post("/login", {"login": login, "password": password, "back": "/account"})

    def hidden(self, name: str) -> str:
        found = re.search(rf'name="{name}" value="([^"]*)"', self.page)
        assert found is not None, name
        return found[1]

    async def _seen(self, answer: aiohttp.ClientResponse) -> Answer:
        text = await answer.text()
        if "html" in answer.headers.get("Content-Type", ""):
            self.page = text
        return Answer(answer.status, text, answer.url.path, answer.headers)
