"""Conferences controlled over HTTP: `perezvon serve` between a real Asterisk and a portal. What the stream of events tells is
compared with what the parties hear."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from talks import Answers, Steps, Talk

from perezvon.asterisk import AmiAddress
from perezvon.conference import Employee
from perezvon.sandbox.pbx import Leg, PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand, stand
from perezvon.settings.secrets import SecretBox
from perezvon.web import Badges

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

Json = Any
MORE = """
[agi]
bind = "{agi}"
[conference]
database = "sqlite:///{codes}"
ring = 6
"""
WITHIN = 10.0
NUMBERS = iter(range(51, 99))


@pytest.fixture(scope="module")
def codes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("company") / "codes.sqlite"
    with sqlite3.connect(path) as conn:
        conn.execute("CREATE TABLE sAsterisk_prefix (pref TEXT, phone TEXT)")
    return path


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, codes: Path, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    more = MORE.format(agi=pbx_session.agi_bind, codes=codes)
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=more) as whole:
        await whole.service.until(lambda status: status["dialplan"]["listens"], "answers the dialplan")
        yield whole
        await pbx_session.world.reset()


@pytest.fixture
async def steps(pbx: PbxSandbox) -> AsyncIterator[Steps]:
    async with Steps(pbx).following() as steps:
        yield steps


@dataclass
class Onlooker:
    """Follows the stream of events, as a browser would: `calls` as they are, `told` what has happened to each."""

    calls: dict[str, Json] = field(default_factory=dict[str, Json])
    told: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    pbx: str = ""
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def follow(self, session: aiohttp.ClientSession, url: str) -> None:
        """Until the stream ends."""
        fields: dict[str, str] = {}
        async with session.get(url + "/api/events", timeout=aiohttp.ClientTimeout()) as answer:
            assert answer.status == 200, await answer.text()
            async for raw in answer.content:
                line = raw.decode().removesuffix("\n")
                if line:
                    name, _, value = line.partition(": ")
                    fields[name] = value
                elif "data" in fields:
                    self._take(fields["event"], json.loads(fields["data"]))
                    fields = {}

    def _take(self, name: str, told: Json) -> None:
        match name:
            case "state":
                self.calls = {call["id"]: call for call in told["calls"]}
                self.pbx = "".join(pbx["state"] for pbx in told["pbxs"])
            case "call":
                self.calls.pop(told["call"], None)
                if told["now"] is not None:
                    self.calls[told["call"]] = told["now"]
                stage = told["now"]["room"]["stage"] if told["now"] else ""
                self.told.append((told["call"], told["what"], stage))
            case _:
                self.pbx = told["state"]
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, happened: Callable[[], Json | None], what: str) -> Json:
        try:
            async with asyncio.timeout(WITHIN):
                while not (found := happened()):
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"in vain until {what}: {self.calls}, {self.told}") from None
        return found

    def stages(self, call: str) -> list[str]:
        """The stages in their order, each once in a row."""
        found = [stage for one, _, stage in self.told if one == call]
        return [stage for place, stage in enumerate(found) if not place or found[place - 1] != stage]


@dataclass
class Card:
    """The buttons of the card of one call."""

    session: aiohttp.ClientSession
    url: str
    talk: Talk
    live: Onlooker
    call: str = ""

    async def appears(self) -> None:
        """The call is in the stream."""
        number = "+" + self.talk.number_of("client")
        self.call = await self.live.until(
            lambda: next((call["id"] for call in self.live.calls.values() if call["client"] == number), None), "it talks"
        )

    async def press(self, action: str, *, status: int | tuple[int, ...] = 200, **body: str) -> Json:
        async with self.session.post(f"{self.url}/api/calls/{self.call}/{action}", json=body) as answer:
            told = await answer.json()
            assert answer.status in (status if isinstance(status, tuple) else (status,)), told
        return told["call"] if "call" in told else told["error"]

    async def rings(self, action: str, *, status: int = 200, who: str = "third", **body: str) -> Leg:
        number = self.talk.pbx.world.number(self.talk.number_of(who))
        await number.rings()
        pressed = asyncio.create_task(self.press(action, status=status, **body))
        leg = self.talk.legs[who] = await number.ringing()
        await pressed
        return leg

    async def stage(self, stage: str, *there: str) -> Json:
        """The stream has come to this stage, with these (roles) in the room."""

        def come() -> Json | None:
            call = self.live.calls.get(self.call)
            if call is None or call["room"]["stage"] != stage:
                return None
            inside = sorted(one["role"] for one in call["room"]["people"] if one["place"] == "room")
            return call if not there or inside == sorted(there) else None

        return await self.live.until(come, f"stage {stage} with {there}")

    async def channel(self, role: str) -> str:
        """Of the newest in this role, as soon as he is told of."""

        def there() -> str | None:
            people = self.live.calls[self.call]["room"]["people"]
            return next((one["channel"] for one in reversed(people) if one["role"] == role), None)

        return await self.live.until(there, f"there is a {role}")


@asynccontextmanager
async def card(office: Stand, steps: Steps, codes: Path, *, incoming: bool) -> AsyncIterator[Card]:
    """A talk that goes on and somebody who looks at it; afterwards nobody has heard what he should not."""
    talk = Talk(office.pbx, steps, Answers(), incoming, next(NUMBERS))
    with sqlite3.connect(codes) as conn:
        conn.execute("INSERT INTO sAsterisk_prefix VALUES (?, ?)", (talk.code("third"), talk.number_of("third")))
    live = Onlooker()
    async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(live.follow(session, office.service.url))
        try:
            await talk.begin()
            made = Card(session, office.service.url, talk, live)
            await made.appears()
            yield made
            await talk.over()
        finally:
            await talk.clear()
            following.cancel()
    assert talk.differences() == []


@pytest.mark.parametrize("incoming", [True, False], ids=["incoming", "outgoing"])
async def test_the_whole_of_it(office: Stand, steps: Steps, codes: Path, *, incoming: bool) -> None:
    """Start, by code, join, mute, drop: what is told is what is heard."""
    async with card(office, steps, codes, incoming=incoming) as its:
        talk = its.talk
        assert its.live.calls[its.call]["room"]["stage"] == "talk"
        await talk.listen(client="manager", manager="client")
        two = await asyncio.gather(its.press("consult"), its.press("consult", status=409))
        assert (two[0]["room"]["stage"], two[1]) == ("code", "not_now")
        await its.stage("code", "client")
        await talk.listen(1.2, client="music")
        assert await its.press("add", status=422, code="4711") == "code_unknown"
        third = await its.rings("add", code=talk.code("third"))
        told = await its.stage("ring", "client")
        assert told["room"]["to"] == talk.number_of("third")
        await talk.listen(client="music", manager="ringing")
        await third.answer()
        await its.stage("private", "client")
        await third.talking(to=talk.legs["manager"])
        await talk.listen(1.2, client="music", manager="third", third="manager")
        await its.press("join")
        await its.stage("room", "client", "manager", "third")
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        await its.press("mute", channel=await its.channel("client"))
        await its.live.until(lambda: any(one["muted"] for one in its.live.calls[its.call]["room"]["people"]), "muted")
        await talk.listen(1.2, client="manager third", manager="third", third="manager")
        await its.press("unmute", channel=await its.channel("client"))
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        await its.press("drop", channel=await its.channel("third"))
        await third.ended()
        await its.stage("room", "client", "manager")
        await talk.listen(1.2, client="manager", manager="client")
        await talk.legs["client"].hangup()
        await its.live.until(lambda: its.call not in its.live.calls, "the call is over")
        assert await its.press("consult", status=404) == "no_such_call"
    assert its.live.stages(its.call) == ["talk", "code", "ring", "private", "room", ""], its.live.told


async def test_invited_and_gone_back_while_it_rings(office: Stand, steps: Steps, codes: Path) -> None:
    async with card(office, steps, codes, incoming=True) as its:
        talk = its.talk
        third = await its.rings("add", number=talk.number_of("third"))
        await its.stage("ring", "client")
        await its.press("drop", channel=await its.channel("third"))
        await third.ended()
        await its.stage("room", "client", "manager")
        fourth = await its.rings("invite", status=202, who="fourth", number="+" + talk.number_of("fourth"))
        await talk.listen(1.2, client="manager", manager="client")
        await fourth.answer()
        await its.stage("room", "client", "manager", "third")
        await talk.listen(1.2, client="manager fourth", manager="client fourth", fourth="client manager")
        await fourth.hangup()
        await talk.legs["client"].hangup()


async def test_somebody_who_is_busy(office: Stand, steps: Steps, codes: Path) -> None:
    async with card(office, steps, codes, incoming=True) as its:
        await office.pbx.world.number(its.talk.number_of("third")).busy()
        assert (await its.press("add", number=its.talk.number_of("third")))["room"]["stage"] in ("ring", "code")
        await its.live.until(lambda: its.live.calls[its.call]["room"]["failure"] == "busy", "busy is told")
        await its.press("back")
        await its.stage("room", "client", "manager")
        await its.press("invite", status=(202, 409), number=its.talk.number_of("third"))  # whichever is known first
        await its.live.until(lambda: (its.call, "busy", "room") in its.live.told, "busy is told again")
        await its.talk.listen(1.2, client="manager", manager="client")
        await its.talk.legs["client"].hangup()


async def test_who_may_and_who_may_not(office: Stand, steps: Steps, codes: Path) -> None:
    badges = Badges(SecretBox.open(office.service.data_dir), time.time)

    async def asked(badge: str, path: str, method: str = "GET") -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {badge}", "X-Forwarded-For": "8.8.8.8", "Host": "perezvon.example"}
        async with aiohttp.ClientSession(headers=headers) as session:
            call = session.request(method, office.service.url + path, json={} if method == "POST" else None)
            async with call as answer:
                return answer.status, await answer.json()

    async with card(office, steps, codes, incoming=True) as its:
        his = badges.issue(Employee("main", str(IVANOV), "main", call=its.call))
        another = badges.issue(Employee("main", str(IVANOV), "main", call="main-0.0"))
        nobody = badges.issue(Employee("main", "4711", "main", call=its.call))
        old = badges.issue(Employee("main", str(IVANOV), "main", call=its.call), lifetime=-1)
        order = f"/api/calls/{its.call}/consult"
        for badge, status in ((another, 404), (nobody, 403), (old, 401), ("x", 401)):
            assert (await asked(badge, order, "POST"))[0] == status
        assert (await asked(another, "/api/calls"))[1]["calls"] == []
        await its.talk.listen(client="manager", manager="client")
        assert [call["id"] for call in (await asked(his, "/api/calls"))[1]["calls"]] == [its.call]
        assert (await asked(his, order, "POST"))[1]["call"]["room"]["stage"] == "code"
        await its.stage("code", "client")
        await its.press("back")
        await its.stage("room", "client", "manager")
        await its.talk.legs["client"].hangup()
    log = office.service.log.read_text()
    assert f"user {IVANOV} of main" in log
    assert not any(badge in log for badge in (his, another, nobody, old))


async def test_a_service_that_is_stopped_and_started_again(office: Stand, steps: Steps, codes: Path) -> None:
    """Streams end at once and do not hold it up; the next one has the room, and the buttons work on."""
    async with card(office, steps, codes, incoming=True) as its:
        talk = its.talk
        third = await its.rings("add", code=talk.code("third"))
        await third.answer()
        await its.stage("private", "client")
        began = time.monotonic()
        await office.service.stop()
        assert time.monotonic() - began < 6
        await talk.listen(1.2, client="music", manager="third", third="manager")
        await office.service.start()
        await office.ready()
        its.live = Onlooker()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(its.live.follow(its.session, its.url))
            await its.stage("private", "client")
            await its.press("join")
            await its.stage("room", "client", "manager", "third")
            await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
            await its.press("drop", channel=await its.channel("third"))
            await third.ended()
            await talk.legs["client"].hangup()
            with suppress(asyncio.CancelledError):
                following.cancel()


async def test_somebody_muted_while_the_service_was_away(office: Stand, steps: Steps, codes: Path) -> None:
    async with card(office, steps, codes, incoming=True) as its:
        talk = its.talk
        third = await its.rings("add", code=talk.code("third"))
        await third.answer()
        await its.stage("private", "client")
        await its.press("join")
        await its.stage("room", "client", "manager", "third")
        client = await its.channel("client")
        await office.service.stop()
        await office.pbx.office.ask("ConfbridgeMute", ("Conference", talk.room), ("Channel", client))
        await office.service.start()
        await office.ready()
        its.live = Onlooker()
        async with asyncio.TaskGroup() as tasks:
            following = tasks.create_task(its.live.follow(its.session, its.url))
            await its.stage("room", "client", "manager", "third")

            def muted() -> list[str]:
                return [one["channel"] for one in its.live.calls[its.call]["room"]["people"] if one["muted"]]

            await its.live.until(lambda: muted() == [client], "the client is seen to be muted")
            await its.press("unmute", channel=client)
            await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
            await third.hangup()
            await talk.legs["client"].hangup()
            with suppress(asyncio.CancelledError):
                following.cancel()


@dataclass
class Cable:
    """Between the service and the PBX's manager port; it can be pulled out."""

    host: str
    port: int
    pulled: bool = False
    _ends: set[asyncio.StreamWriter] = field(default_factory=set[asyncio.StreamWriter])

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        """The port at this end."""
        server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self.pull()
            server.close()
            await server.wait_closed()

    def pull(self) -> None:
        self.pulled = True
        for end in self._ends:
            end.close()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.pulled:
            writer.close()
            return
        there, to_there = await asyncio.open_connection(self.host, self.port)
        self._ends |= {writer, to_there}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pass(reader, to_there))
            tasks.create_task(self._pass(there, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()


async def test_a_pbx_that_goes_away_and_comes_back(office: Stand, steps: Steps, codes: Path) -> None:
    """In a private talk. New settings that need all parts anew are taken over under an open stream, too."""
    address = AmiAddress.parse(office.pbx.office_ami)
    cable = Cable(address.host, address.port)
    more = MORE.format(agi=office.pbx.agi_bind, codes=codes)
    before = office.settings(more=more)
    place = f"{address.host}:{address.port}"
    assert place in before
    async with cable.laid() as port, card(office, steps, codes, incoming=True) as its:
        talk = its.talk
        third = await its.rings("add", code=talk.code("third"))
        await third.answer()
        await its.stage("private", "client")
        await office.service.configure(before.replace(place, f"127.0.0.1:{port}"))
        await its.live.until(lambda: cable._ends or None, "the settings are taken over")
        await its.live.until(lambda: its.live.pbx == "live", "the PBX is watched again")
        await its.stage("private", "client")
        cable.pull()
        await its.live.until(lambda: its.live.pbx != "live", "the PBX is away")
        assert await its.press("join", status=503) == "pbx_away"
        assert its.live.calls[its.call]["room"]["stage"] == "private"
        await talk.listen(1.2, client="music", manager="third", third="manager")
        cable.pulled = False
        await its.live.until(lambda: its.live.pbx == "live", "the PBX is back")
        await its.press("join")
        await its.stage("room", "client", "manager", "third")
        await talk.listen(1.2, client="manager third", manager="client third", third="client manager")
        await third.hangup()
        await talk.legs["client"].hangup()
        await office.service.configure(before)
