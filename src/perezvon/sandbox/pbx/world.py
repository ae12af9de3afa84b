"""The outside world of the office: whom it can call and who calls it. A story of calls reads like this::

    await world.phone("101").answers(after=0.3)
    caller = await world.call(frm="79161234567", to="74950000101", name="Иван")
    await caller.talks(1)
    await world.phone("101").press("##102")
    await world.phone("102").talking()
    await caller.hangup()
    assert caller.seconds_of(550) > 0.3     # it heard 102

Behaviours hold until changed, or until `reset`.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from perezvon.asterisk import ActionRefused, AmiAddress, Session
from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.pbx.layout import AMI_SECRET, EMPLOYEES, REGISTERED, WATCH_USER
from perezvon.sandbox.pbx.loopback import AMI_PORT, Addresses
from perezvon.sandbox.pbx.parties import Connector, Leg, Number, Party, Phone
from perezvon.sandbox.pbx.switch import WITHIN, Channel, Switch

REGISTER_SECONDS = 20.0
"""Older versions of Asterisk wait for up to ten seconds before they register."""

ORIGINATE_MILLISECONDS = 600_000
"""How long a caller waits for an answer: longer than any test."""


class World:
    """`switch`: the world's own Asterisk; `office`: the one that it calls."""

    def __init__(self, switch: Switch, office: Switch, addresses: Addresses) -> None:
        self.switch = switch
        self.office = office
        self.addresses = addresses
        self.heard: Path = switch.folder / "heard"
        self._hands: list[Session] = []  # who presses keys, when somebody wants it
        self._parties: dict[str, Party] = {}
        self._placed: dict[str, Leg] = {}
        self._uninvited: dict[str, Leg] = {}
        self._ids = itertools.count(1)
        switch.on_new = self._appeared
        office.on_new = self._appeared_at_office

    async def start(self) -> None:
        """Returns when the phones are registered at the office."""
        await self.switch.start()
        await self.office.until(self._all_registered, "the desk phones are registered", REGISTER_SECONDS)

    def _all_registered(self) -> bool:
        return self.office.registered.issuperset(REGISTERED)

    async def stop(self) -> None:
        while self._hands:
            await self._hands.pop().close()
        await self.switch.stop()

    @asynccontextmanager
    async def pressing(self) -> AsyncGenerator[Session]:
        """A connection to the world's AMI for one who presses keys: a key keeps it busy for as long as it is down."""
        if self._hands:
            hand = self._hands.pop()
        else:
            address = AmiAddress(self.switch.host, AMI_PORT, WATCH_USER, AMI_SECRET)
            hand = await Session.open(address, wanted=frozenset[str]())
        try:
            yield hand
        finally:
            self._hands.append(hand)

    # ---- who there is

    def phone(self, extension: str) -> Phone:
        """The desk phone of an employee, 101 to 105."""
        if extension not in EMPLOYEES:
            raise KeyError(f"there is no phone {extension}: there are {', '.join(EMPLOYEES)}")
        key = f"phone-{extension}"
        if not isinstance(party := self._parties.get(key), Phone):
            party = self._parties[key] = Phone(self, key, f"desk-{extension}", extension, sounds.TONES[extension])
        return party

    def number(self, number: str) -> Number:
        """An outside number: digits with the country code, as the carrier sends them."""
        key = f"number-{number}"
        if not isinstance(party := self._parties.get(key), Number):
            party = self._parties[key] = Number(self, key, "carrier", number, sounds.number_tone(number))
        return party

    @property
    def connector(self) -> Connector:
        key = "connector"
        if not isinstance(party := self._parties.get(key), Connector):
            party = self._parties[key] = Connector(self, key, "connector", "900", sounds.TONES["connector"])
        return party

    # ---- calls

    async def call(self, frm: str, to: str, name: str = "") -> Leg:
        """A client calls one of the company's numbers. Returns at once.

        In `name`, Asterisk escapes quotes, apostrophes and backslashes on its way out, and the office shows them so.
        """
        leg = await self.place("carrier", frm, to, tone=sounds.number_tone(frm), name=name)
        self.number(frm).legs.append(leg)
        return leg

    async def load(
        self, per_second: float, count: int, to: str, talk_seconds: float = 2.0, *, first: int = 79160000000
    ) -> AsyncIterator[Leg]:
        """Places `count` calls at an even pace, each from a number of its own (`first`, `first` + 1…); yields each at once.

        A call hangs up `talk_seconds` after it was answered. What it hears is not recorded. When the office is too slow for
        the pace, the calls that are late follow without a pause.
        """
        begin = time.monotonic()
        for n in range(count):
            await asyncio.sleep(max(0.0, begin + n / per_second - time.monotonic()))
            number = str(first + n)
            yield await self.place("carrier", number, to, tone=sounds.number_tone(number), talk_seconds=talk_seconds)

    async def place(
        self, endpoint: str, frm: str, to: str, *, tone: float, name: str = "", talk_seconds: float | None = None
    ) -> Leg:
        """Sends an INVITE to the office. For `call`, `load` and `dial`."""
        uniqueid = f"{endpoint}-{next(self._ids)}"
        leg = Leg(self, endpoint, frm, tone=tone, uniqueid=uniqueid, placed=time.time())
        self._placed[uniqueid] = leg
        if endpoint == "carrier":
            self._uninvited[frm] = leg
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        await self.switch.ask(
            "Originate",
            ("Channel", f"PJSIP/{to}@{endpoint}"),
            ("ChannelId", uniqueid),
            ("CallerID", f'"{quoted}" <{frm}>' if quoted else f"<{frm}>"),
            ("Context", "talk" if talk_seconds is None else "load"),
            ("Exten", "s"),
            ("Priority", "1"),
            ("Timeout", str(ORIGINATE_MILLISECONDS)),
            ("Variable", f"TONE={tone:g}"),
            ("Variable", f"SECONDS={talk_seconds or 0:g}"),
            ("Async", "true"),
        )
        return leg

    async def find_at_office(self, endpoint: str, call_id: str, within: float = WITHIN) -> Channel:
        """The office's channel with this SIP Call-ID."""
        known_as = {"carrier": "carrier", "connector": "bitrix24"}.get(endpoint) or endpoint.removeprefix("desk-")
        office = self.office
        others: set[str] = set()

        def candidates() -> list[Channel]:
            return [c for c in office.channels.values() if c.endpoint == known_as and c.uniqueid not in others]

        while True:
            await office.until(lambda: bool(candidates()), f"the office has the call {call_id} of {endpoint}", within)
            for channel in candidates():
                if await office.call_id(channel, within) == call_id:
                    return channel
                others.add(channel.uniqueid)

    async def behave(self, key: str, what: str) -> None:
        """From now on the party does this when it is called (see `config/world/extensions.conf`)."""
        await self.switch.ask("DBPut", ("Family", "behaviour"), ("Key", key), ("Val", what))

    async def hang_up(self, channel: str) -> None:
        try:
            await self.switch.ask("Hangup", ("Channel", channel))
        except ActionRefused:  # it has ended by itself meanwhile
            return

    # ---- order

    async def reset(self) -> None:
        """Ends all calls, forgets what everybody was told to do, switches phones on and forwards off."""
        for switch in (self.switch, self.office):
            for channel in list(switch.channels.values()):
                try:
                    await switch.ask("Hangup", ("Channel", channel.name))
                except ActionRefused:
                    continue
            await switch.silence()
        for switch, family in ((self.switch, "behaviour"), (self.office, "CF")):
            try:
                await switch.ask("DBDelTree", ("Family", family))
            except ActionRefused:  # there was none
                continue
        for party in self._parties.values():
            party.legs.clear()
        self._placed.clear()
        self._uninvited.clear()
        await self.register()

    async def register(self) -> None:
        """Switches on every phone that is off, or that the office has forgotten."""
        for extension in REGISTERED:
            if extension not in self.office.registered:
                await self.switch.ask("PJSIPRegister", ("Registration", f"desk-{extension}"))
        await self.office.until(self._all_registered, "the desk phones are registered")

    def _appeared(self, channel: Channel) -> None:
        """A channel of the world: one that we placed, or somebody is called."""
        if leg := self._placed.pop(channel.uniqueid, None):
            leg.channel = channel
            return
        party = self._called(channel)
        if party is None:
            return
        leg = Leg(self, party.endpoint, party.number, tone=party.tone, uniqueid=channel.uniqueid)
        leg.channel = channel
        party.legs.append(leg)

    def _appeared_at_office(self, channel: Channel) -> None:
        if channel.endpoint == "carrier" and (leg := self._uninvited.pop(channel.caller, None)):
            leg.invited = channel.created

    def _called(self, channel: Channel) -> Party | None:
        if channel.endpoint == "carrier":
            return self.number(channel.exten)
        if channel.endpoint == "connector":
            return self.connector
        if channel.endpoint.startswith("desk-"):
            return self.phone(channel.endpoint.removeprefix("desk-"))
        return None
