"""Who lives in the outside world: desk phones, outside numbers, the portal's SIP connector. And the legs of their calls.

What a party does when it is called is written to the database of the world's Asterisk (family `behaviour`), where its
dialplan looks it up at the moment of the call: see `config/world/extensions.conf`.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from perezvon.sandbox.pbx import sounds
from perezvon.sandbox.pbx.errors import SandboxError
from perezvon.sandbox.pbx.switch import UP, WITHIN, Channel

if TYPE_CHECKING:
    from perezvon.sandbox.pbx.world import World

KEY_MILLISECONDS = 100
KEY_GAP = 0.06
"""How long a key is pressed, and the seconds until the next: a quick finger."""

BUSY = 17
REJECTED = 21
SWITCHED_OFF = 20
NO_SUCH_NUMBER = 1


class Leg:
    """One channel of the world, from INVITE to BYE. `number`: the outside number, or the extension, whose leg it is.

    Of an outgoing leg, `placed` is the moment at which it was asked for, and `invited` that at which the office saw its
    INVITE (POSIX seconds; only of calls that come through the carrier).
    """

    def __init__(
        self, world: World, endpoint: str, number: str, *, tone: float, uniqueid: str, placed: float | None = None
    ) -> None:
        self.number = number
        self.endpoint = endpoint
        self.uniqueid = uniqueid
        self.tone = tone
        self.placed = placed
        self.invited: float | None = None
        self.channel: Channel | None = None
        self._world = world

    def __repr__(self) -> str:
        return f"<Leg {self.endpoint} {self.number} {self.uniqueid}>"

    @property
    def outgoing(self) -> bool:
        """This party called; else it was called."""
        return self.placed is not None

    @property
    def alive(self) -> bool:
        return self.channel is None or self.channel.ended is None

    @property
    def up(self) -> bool:
        return self.channel is not None and self.channel.state == UP and self.channel.ended is None

    @property
    def cause(self) -> int:
        """Why it ended, as this party was told (Q.850: 16 hung up, 17 busy, 19 no answer…); 0 while it lives."""
        return self.channel.cause if self.channel is not None else 0

    # ---- waiting

    async def answered(self, within: float = WITHIN) -> Leg:
        """Returns when the call is answered. Raises NotInTime, or SandboxError when it ends without an answer."""
        channel = await self._existing(within)
        await self._world.switch.until(
            lambda: channel.answered is not None or channel.ended is not None, f"{self!r} is answered", within
        )
        if channel.answered is None:
            raise SandboxError(f"{self!r} ended unanswered, cause {channel.cause}")
        return self

    async def talking(self, within: float = WITHIN, *, to: Leg | None = None) -> Leg:
        """Returns when the office has joined this party with another one; with `to`, with that one in the same bridge (a
        chain of Local channels that stays between them keeps them in two)."""
        office = self._world.office
        channel = await self.office_channel(within)
        other = None if to is None else await to.office_channel(within)

        def joined() -> bool:
            others = office.together(channel)
            return bool(others) if other is None else other in others

        await office.until(
            lambda: joined() or channel.ended is not None, f"{self!r} is joined with {to or 'somebody'!r}", within
        )
        if not joined():
            raise SandboxError(f"{self!r} ended (cause {channel.cause} at the office) before it talked")
        return self

    async def at_office(self, within: float = WITHIN) -> float:
        """When the office saw the INVITE of this call (POSIX seconds). Only for calls that come through the carrier."""
        await self._world.office.until(lambda: self.invited is not None, f"the office sees the INVITE of {self!r}", within)
        assert self.invited is not None
        return self.invited

    async def ended(self, within: float = WITHIN) -> Leg:
        """Returns when it is over, and what this party heard is written to the last sample."""
        channel = await self._existing(within)
        await self._world.switch.until(lambda: channel.ended is not None, f"{self!r} is over", within)
        return self

    async def talks(self, seconds: float) -> Leg:
        """Lets the conversation go on for so long: sound takes its time."""
        await self.talking()
        await asyncio.sleep(seconds)
        return self

    async def office_channel(self, within: float = WITHIN) -> Channel:
        """The office's own channel of this call: the one with the same SIP Call-ID."""
        channel = await self._existing(within)
        call_id = await self._world.switch.call_id(channel, within)
        if not call_id:
            raise SandboxError(f"{self!r} was over before it could be found at the office")
        return await self._world.find_at_office(self.endpoint, call_id, within)

    async def _existing(self, within: float) -> Channel:
        await self._world.switch.until(lambda: self.channel is not None, f"the world has made {self!r}", within)
        assert self.channel is not None
        return self.channel

    # ---- doing

    async def answer(self) -> Leg:
        """Picks up, when it rings."""
        await self._go("talk", "s")
        return await self.answered()

    async def reject(self, cause: int = REJECTED) -> Leg:
        """Hangs up with a cause, when it rings."""
        await self._go("hangup", str(cause))
        return await self.ended()

    async def hangup(self) -> Leg:
        channel = await self._existing(WITHIN)
        await self._world.hang_up(channel.name)
        return await self.ended()

    async def press(self, keys: str) -> None:
        """Presses keys of the phone, one after another (RFC 4733)."""
        channel = await self._existing(WITHIN)
        async with self._world.pressing() as hand:
            for key in keys:
                await hand.action(
                    "PlayDTMF", [("Channel", channel.name), ("Digit", key), ("Duration", str(KEY_MILLISECONDS))]
                )
                await asyncio.sleep(KEY_GAP)

    async def hold(self) -> None:
        """Puts the other one on hold (re-INVITE, sendonly)."""
        await self._hold(True)

    async def unhold(self) -> None:
        await self._hold(False)

    async def _hold(self, held: bool) -> None:
        channel = await self.office_channel()
        await self._go("hold" if held else "talk", "s")
        await self._world.office.until(lambda: channel.held is held, f"{self!r}: the hold is {held}")

    async def refer(self, to: str) -> None:
        """Blind transfer by SIP REFER; this party leaves the call."""
        await self._refer(f"{to}@{self._world.addresses.office_sip}")

    async def refer_to_leg(self, other: Leg) -> None:
        """Attended transfer by SIP REFER with Replaces: joins the other end of this leg with the other end of `other`."""
        there = await other._existing(WITHIN)
        switch = self._world.switch
        call_id, ours, theirs = [
            await switch.variable(there, f"CHANNEL(pjsip,{name})") for name in ("call-id", "local_tag", "remote_tag")
        ]
        replaces = quote(f"{call_id};to-tag={theirs};from-tag={ours}", safe="")
        await self._refer(f"{there.exten or other.number}@{self._world.addresses.office_sip}?Replaces={replaces}")

    async def _refer(self, target: str) -> None:
        channel = await self._existing(WITHIN)
        await self._world.switch.ask("Setvar", ("Channel", channel.name), ("Variable", "REFER_TO"), ("Value", target))
        await self._go("refer", "s")

    async def _go(self, context: str, exten: str) -> None:
        channel = await self._existing(WITHIN)
        await self._world.switch.ask(
            "Redirect", ("Channel", channel.name), ("Context", context), ("Exten", exten), ("Priority", "1")
        )

    # ---- what it heard

    @property
    def heard(self) -> list[Path]:
        """WAV files, 8 kHz: one, and another after each `hold`. Complete when the leg has ended."""
        return sorted(self._world.heard.glob(f"{self.uniqueid}-*.wav"))

    def seconds_of(self, tone: float | Leg) -> float:
        """For how many seconds it has heard a tone (Hz), or that of another leg. Only when it has ended."""
        if self.alive:
            raise SandboxError(f"{self!r} is not over yet: await ended() before asking what it heard")
        frequency = tone.tone if isinstance(tone, Leg) else tone
        return sum(sounds.seconds_heard(path, frequency) for path in self.heard)


class Party:
    """Somebody who can be called and can call. `key`: its name in the database of behaviours."""

    def __init__(self, world: World, key: str, endpoint: str, number: str, tone: float) -> None:
        self.number = number
        self.endpoint = endpoint
        self.tone = tone
        self.legs: list[Leg] = []
        self._world = world
        self._key = key

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.number}>"

    # ---- what it does when called: from now on

    async def answers(self, after: float = 0.5) -> None:
        """Rings for `after` seconds, answers, plays its tone until hung up. What everybody does unless told otherwise."""
        await self._behave(f"answers/{after:g}")

    async def rings(self) -> None:
        """Rings until somebody hangs up; `leg.answer()` or `leg.reject()` may be called."""
        await self._behave("rings/")

    async def no_answer(self, after: float) -> None:
        """Rings for `after` seconds, then its network gives up (480, cause 19)."""
        await self._behave(f"no_answer/{after:g}")

    async def busy(self) -> None:
        """486, cause 17."""
        await self._behave(f"hangs_up/{BUSY}")

    async def rejects(self) -> None:
        """603, cause 21."""
        await self._behave(f"hangs_up/{REJECTED}")

    async def forwards_to(self, number: str) -> None:
        """302 Moved Temporarily."""
        await self._behave(f"forwards/{number}")

    async def _behave(self, what: str) -> None:
        await self._world.behave(self._key, what)

    # ---- its calls

    @property
    def leg(self) -> Leg:
        """Its newest call that is not over. Raises SandboxError when it has none."""
        for leg in reversed(self.legs):
            if leg.alive:
                return leg
        raise SandboxError(f"{self!r} has no call now")

    async def ringing(self, within: float = WITHIN) -> Leg:
        """Waits until it is being called, and has not answered."""
        await self._world.switch.until(lambda: self._is_ringing() is not None, f"{self!r} rings", within)
        leg = self._is_ringing()
        assert leg is not None
        return leg

    def _is_ringing(self) -> Leg | None:
        return next((leg for leg in self.legs if leg.channel and leg.channel.rings and leg.alive and not leg.up), None)

    async def talking(self, within: float = WITHIN) -> Leg:
        """Waits until it talks: answered, and joined with somebody by the office."""
        await self._world.switch.until(lambda: any(leg.up for leg in self.legs), f"{self!r} is in a call", within)
        leg = next(leg for leg in reversed(self.legs) if leg.up)
        return await leg.talking(within)

    async def idle(self, within: float = WITHIN) -> None:
        """Waits until it has no call."""
        await self._world.switch.until(lambda: not any(leg.alive for leg in self.legs), f"{self!r} is idle", within)

    async def dial(self, number: str) -> Leg:
        """Calls a number or a code through the office. Returns at once; `answered()` and the rest tell what came of it."""
        leg = await self._world.place(self.endpoint, self.number, number, tone=self.tone)
        self.legs.append(leg)
        return leg

    async def answer(self) -> Leg:
        return await (await self.ringing()).answer()

    async def press(self, keys: str) -> None:
        await self.leg.press(keys)

    async def hangup(self) -> Leg:
        return await self.leg.hangup()

    async def hold(self) -> None:
        await self.leg.hold()

    async def unhold(self) -> None:
        await self.leg.unhold()

    async def refer(self, to: str) -> None:
        await self.leg.refer(to)


class Phone(Party):
    """A desk phone of an employee: `number` is its extension."""

    async def offline(self) -> None:
        """Switched off: it unregisters, the office knows no way to it."""
        office = self._world.office
        if self.number in office.registered:
            await self._world.switch.ask("PJSIPUnregister", ("Registration", self.endpoint))
            await office.until(lambda: self.number not in office.registered, f"{self!r} is unregistered")

    async def online(self) -> None:
        """Switched on again. 105 has no registration at all, and stays off."""
        office = self._world.office
        if self.number not in office.registered:
            await self._world.switch.ask("PJSIPRegister", ("Registration", self.endpoint))
            await office.until(lambda: self.number in office.registered, f"{self!r} is registered")


class Number(Party):
    """An outside number, reached by the office through the carrier."""

    async def unreachable(self) -> None:
        """Switched off or out of coverage: 480, cause 20."""
        await self._behave(f"hangs_up/{SWITCHED_OFF}")

    async def unknown(self) -> None:
        """There is no such number: 404, cause 1."""
        await self._behave(f"hangs_up/{NO_SUCH_NUMBER}")


class Connector(Party):
    """The portal's SIP connector: employees who talk in the browser. The office reaches it as 900; it dials any number."""
