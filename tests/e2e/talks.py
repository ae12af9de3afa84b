"""Talks between a client and a manager in Bitrix24, on the real Asterisk, into which a third person is brought: for the tests
of the conference. Who hears whom is measured; in which state the room is, the dialplan's own events tell.
"""

from __future__ import annotations

import asyncio
import time
import wave
from array import array
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from perezvon.asterisk import AmiAddress, ConnectionLost, Session
from perezvon.calls import Event
from perezvon.sandbox.pbx import Leg, NotInTime, PbxSandbox, sounds
from perezvon.sandbox.pbx.switch import Channel

WITHIN = 12.0
LINE = "70000000000"
LATER = 0.6
"""Seconds by which a recording may be behind, counted from its begin (ahead, from its end): while the other one presses a
key, or the machine is busy, nothing is heard and no time goes by in it."""

NAMED = {
    "music": sounds.MUSIC_ON_HOLD,
    "ringing": sounds.RINGING,
    "code": sounds.CODE,
    "error": sounds.WRONG_CODE,
}


class Answers:
    """The smallest FastAGI server: `numbers` is what it knows, `script` -> how it answers. It stands in for the service."""

    def __init__(self) -> None:
        self.numbers: dict[str, str] = {}
        self.peers: dict[str, str] = {}
        self.hanging: set[str] = set()
        self.menus: dict[str, Mapping[str, str]] = {}
        self.asked: list[Mapping[str, str]] = []
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self, bind: str) -> AsyncGenerator[Answers]:
        host, _, port = bind.rpartition(":")
        server = await asyncio.start_server(self._answer, host, int(port))
        try:
            yield self
        finally:
            server.close()
            for writer in list(self._writers):
                writer.close()
            await server.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            asked: dict[str, str] = {}
            while line := (await reader.readline()).decode().strip():
                name, _, value = line.partition(": ")
                asked[name] = value
            self.asked.append(asked)
            script, code = asked.get("agi_network_script", ""), asked.get("agi_arg_1", "")
            if code.startswith("666") or asked.get("agi_callerid") in self.hanging:  # hangs until the other side gives up
                await reader.read()
                return
            variables: Mapping[str, str] = {}
            if script.endswith("third"):
                variables = {"PEREZVON_TO": self.numbers.get(code, "")}
            elif script.endswith("menu"):
                variables = self.menus.get(asked.get("agi_callerid", ""), {})
            elif script.endswith("match"):
                variables = {"PEREZVON_PEER": self.peers.pop("next", "")}
            for name, value in variables.items():
                writer.write(f'SET VARIABLE {name} "{value}"\n'.encode())
                await writer.drain()
                await reader.readline()
        except ConnectionError:
            return
        finally:
            self._writers.discard(writer)
            writer.close()


@dataclass(frozen=True, slots=True)
class Phase:
    """What somebody hears between two moments (POSIX seconds): these tones, and none of the others."""

    who: str
    since: float
    until: float
    hears: frozenset[str]


@dataclass(slots=True)
class Talk:
    """One scene. `client`, `third`, `fourth`: their numbers; the tones of all parties differ."""

    pbx: PbxSandbox
    steps: Steps
    answers: Answers
    incoming: bool
    number: int
    legs: dict[str, Leg] = field(default_factory=dict[str, Leg])
    room: str = ""
    phases: list[Phase] = field(default_factory=list[Phase])
    line: str = LINE
    silent: frozenset[str] = frozenset({"manager"})
    """Who is sent nothing at all at times."""
    later: float = LATER

    def __post_init__(self) -> None:
        self.answers.numbers |= {self.code(who): self.number_of(who) for who in ("third", "fourth")}

    def number_of(self, who: str) -> str:
        prefix, end = {"client": (7915, 10), "third": (7917, 40), "fourth": (7918, 70)}[who]
        return f"{prefix}{self.number:05d}{end}"

    def code(self, who: str) -> str:
        return f"{self.number}{ {'third': 1, 'fourth': 2}[who] }"

    # ---- doing

    async def begin(self) -> None:
        """They talk."""
        world = self.pbx.world
        if self.incoming:
            client = self.legs["client"] = await world.call(frm=self.number_of("client"), to=self.line)
            manager = self.legs["manager"] = await self.manager_rung()
            await manager.talking(to=client)
            self.room = (await client.office_channel()).uniqueid
        else:
            manager = self.legs["manager"] = await world.connector.dial(self.number_of("client"))
            await manager.answered()
            client = self.legs["client"] = world.number(self.number_of("client")).leg
            await client.talking(to=manager)
            self.room = (await manager.office_channel()).uniqueid

    async def manager_rung(self, times: int = 1) -> Leg:
        """The leg on which Bitrix24 is rung for this client."""
        world, number = self.pbx.world, self.number_of("client")

        def rung() -> list[Leg]:
            return [leg for leg in world.connector.legs if leg.channel is not None and leg.channel.caller == number]

        await world.switch.until(lambda: len(rung()) >= times, f"Bitrix24 is rung for {number}")
        return rung()[times - 1]

    async def press(self, keys: str, who: str = "manager") -> None:
        await self.legs[who].press(keys)

    async def step(self, name: str, times: int = 1) -> Event:
        return await self.steps.until(self.room, name, times)

    async def consult(self) -> None:
        """The manager presses *3 and is asked for the code."""
        before = self.steps.count(self.room, "code")
        await self.press("*3")
        await self.step("code", before + 1)
        await self.parties("client")

    async def parties(self, *who: str) -> None:
        """Waits until just these are in the room."""
        there = {(await self.legs[name].office_channel()).name for name in who}
        await self.steps.when(lambda: self.steps.rooms.get(self.room, set()) == there, f"in the room are {who}")

    async def rings(self, who: str = "third") -> Leg:
        """The code is typed; the third person's phone rings until something is done."""
        number = self.pbx.world.number(self.number_of(who))
        await number.rings()
        await self.press(self.code(who) + "#")
        leg = self.legs[who] = await number.ringing()
        return leg

    async def private(self, who: str = "third") -> Leg:
        """The manager talks with the third person alone."""
        leg = await self.rings(who)
        before = self.steps.count(self.room, "private")
        await leg.answer()
        await self.step("private", before + 1)
        await leg.talking(to=self.legs["manager"])
        return leg

    async def merge(self, *there: str) -> None:
        await self.press("#")
        await self.parties(*(there or ("client", "manager", "third")))

    async def back(self) -> None:
        await self.parties("client", "manager")

    # ---- listening

    async def listen(self, seconds: float = 0.9, **hears: str) -> None:
        """Lets it go on, and notes what everybody should hear meanwhile: `client="music", manager="third client"`."""
        since = time.time()
        await asyncio.sleep(seconds)
        for who, tones in hears.items():
            already = 0.3 if tones != "ringing" else -0.2  # one second of it, then four of silence
            self.phases.append(Phase(who, since + already, time.time() - 0.1, frozenset(tones.split())))

    async def over(self) -> None:
        """All calls of this scene have ended."""
        for leg in self.legs.values():
            await leg.ended(WITHIN)
        await self.steps.when(lambda: not self.steps.rooms.get(self.room), "the room is empty")

    async def clear(self) -> None:
        for leg in self.legs.values():
            if leg.alive:
                with suppress(Exception):
                    await leg.hangup()

    def tone(self, name: str) -> float:
        return NAMED[name] if name in NAMED else self.legs[name].tone

    def differences(self) -> list[str]:
        """What somebody heard that he should not, or did not hear that he should."""
        found: list[str] = []
        tracks: dict[str, Track] = {}
        for phase in self.phases:
            from_end = phase.who in self.silent
            if phase.who not in tracks:
                tracks[phase.who] = Track.of(self.legs[phase.who], from_end=from_end)
            track = tracks[phase.who]
            ways = (tenth / (-10 if from_end else 10) for tenth in range(round(self.later * 10) + 1))
            found += min((self._misheard(phase, track, later) for later in ways), key=len)
        return found

    def _misheard(self, phase: Phase, track: Track, later: float) -> list[str]:
        found: list[str] = []
        for name in (*NAMED, *self.legs):
            if name == phase.who:
                continue
            share = track.share(self.tone(name), phase.since - later, phase.until - later)
            least = 0.1 if name in ("ringing", "error") else 0.7
            if share < least if name in phase.hears else share > 0.1:
                since, until = (round(moment - track.begins, 1) for moment in (phase.since, phase.until))
                hears = ", ".join(sorted(phase.hears))
                found.append(f"{phase.who} hears {name} for {share:.0%} of {since}…{until} s, and should hear {hears}")
        return found


@dataclass(slots=True)
class Track:
    """What a party heard. While the office sends it nothing (it waits for a code) no time goes by in the recording: of a
    manager, times are counted from the end."""

    samples: array[int]
    begins: float
    _heard: dict[float, list[bool]] = field(default_factory=dict[float, list[bool]])

    @classmethod
    def of(cls, leg: Leg, *, from_end: bool) -> Track:
        samples = array("h")
        for path in leg.heard:
            samples += sounds.samples_of(path)
        channel = leg.channel
        assert channel is not None and channel.ended is not None and channel.answered is not None
        return cls(samples, channel.ended - len(samples) / sounds.RATE if from_end else channel.answered)

    def share(self, tone: float, since: float, until: float) -> float:
        """The part of the time in which this tone is heard."""
        if tone not in self._heard:
            self._heard[tone] = [share >= 0.05 for share in sounds.shares(self.samples, tone)]
        per_second = sounds.RATE / sounds.WINDOW
        first, last = (max(0, round((moment - self.begins) * per_second)) for moment in (since, until))
        heard = self._heard[tone][first:last]
        return sum(heard) / len(heard) if heard else 0.0


def length(path: Path) -> float:
    with wave.open(str(path), "rb") as file:
        return file.getnframes() / file.getframerate()


class Steps:
    """What the office's dialplan and rooms tell through AMI, with the rights that Perezvon has."""

    def __init__(self, pbx: PbxSandbox) -> None:
        self.told: list[Event] = []
        self.rooms: dict[str, set[str]] = {}
        self._pbx = pbx
        self._waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}

    @asynccontextmanager
    async def following(self) -> AsyncGenerator[Steps]:
        wanted = frozenset({"UserEvent", "ConfbridgeJoin", "ConfbridgeLeave"})
        async with await Session.open(AmiAddress.parse(self._pbx.office_ami), wanted=wanted) as session:
            task = asyncio.create_task(self._follow(session), name="steps")
            try:
                yield self
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _follow(self, session: Session) -> None:
        with suppress(ConnectionLost):
            async for events in session.events():
                for event in events:
                    self._note(event)
                for waiter, happened in list(self._waiters.items()):
                    if not waiter.done() and happened():
                        waiter.set_result(None)

    def _note(self, event: Event) -> None:
        if event.name == "UserEvent":
            self.told.append(event)
            return
        there = self.rooms.setdefault(event["conference"], set())
        (there.add if event.name == "ConfbridgeJoin" else there.discard)(event["channel"])

    def of(self, room: str) -> list[Event]:
        return [event for event in self.told if event["userevent"] == "PerezvonRoom" and event["room"] == room]

    def names(self, room: str) -> list[str]:
        return [event["step"] for event in self.of(room)]

    def of_manager(self, room: str) -> str:
        return " ".join(event["step"] for event in self.of(room) if event["role"] == "manager")

    def count(self, room: str, name: str) -> int:
        return self.names(room).count(name)

    async def until(self, room: str, name: str, times: int = 1, within: float = WITHIN) -> Event:
        await self.when(lambda: self.count(room, name) >= times, f"step {name}, {times} time(s), of room {room}", within)
        return [event for event in self.of(room) if event["step"] == name][times - 1]

    async def when(self, happened: Callable[[], bool], what: str, within: float = WITHIN) -> None:
        if happened():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[waiter] = happened
        try:
            async with asyncio.timeout(within):
                await waiter
        except TimeoutError:
            told = [(e["room"], e["step"], e["role"]) for e in self.told[-12:]]
            raise NotInTime(f"{what}: not within {within:g} s. Rooms: {self.rooms}. Told: {told}") from None
        finally:
            del self._waiters[waiter]


Play = Callable[[Talk], Awaitable[None]]

__all__ = ["LINE", "Answers", "Channel", "Play", "Steps", "Talk", "Track", "length"]
