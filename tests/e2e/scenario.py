"""What a scenario of the matrix is: who does what on the phones, and what the portal must say of it afterwards.

A scenario has its phones to itself while it is played (`stage.py` plays those at the same time that need different ones),
and a client's number that no other has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from perezvon.sandbox.pbx import Leg
from perezvon.sandbox.pbx.world import World
from perezvon.sandbox.portal.calls import Card, PortalCall
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA, SIDOROV, SMIRNOV
from perezvon.sandbox.stand import Missed, Stand

INCOMING, OUTGOING = 2, 1
ADMIN = "admin"
USERS = {"101": IVANOV, "102": PETROVA, "103": SIDOROV, "104": KUZNETSOVA, "105": SMIRNOV, ADMIN: 1}
NAMES = {user: name for name, user in USERS.items()}
MAIN_LINE = "+74951234567"
NOBODY = "000000"
"""What the portal is told of a caller who hides his number, or whose number is none."""

TALK = 1.0
SLACK = 1.2
"""Seconds by which the portal's whole seconds, and a recording, may differ from what the phones measured."""

SCREENS_WITHIN = 4.0
RECORDED_WITHIN = 60.0
"""A file without sound is waited for, lest it be still written: the mobile of a follow-me that was not answered makes one."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One call in the portal.

    `user`: the extension of whom it is finished for. `cards`: each showing of the client's card, by extension: `102` is on
    the screen until the call's end, `-101` is taken off while the call goes on, `?101` may be too short to be shown at all.
    Who is not named never sees it. `talked`: somebody of the company talked, and the portal has the recording. `files`: how
    many the PBX makes of it; they are joined unless one holds the others for certain, which talks as short as these hide.
    `recording`: the own talk's, the one of all talks with this client together (`whole`), or none (another call has it).
    """

    user: str
    cards: str
    line: str = ""
    status: str = "200"
    type: int = INCOMING
    files: int = 1
    recording: Literal["own", "whole", "none"] = "own"

    @property
    def talked(self) -> bool:
        return self.status == "200"

    @property
    def recorded(self) -> bool:
        return self.talked and self.recording != "none"


@dataclass(frozen=True, slots=True)
class Scenario:
    """`phones`: the desk phones that take part, by extension. `calls`: what the portal has afterwards, in order.

    `caller`: what the caller's network says instead of a number. `beside`: calls with `Scene.mobile`, real ones too.
    """

    title: str
    happens: str
    phones: str
    play: Callable[[Scene], Awaitable[None]]
    calls: tuple[Expected, ...]
    caller: str = ""
    beside: tuple[Expected, ...] = ()


@dataclass(slots=True)
class Course:
    """When the talk of one call began and when its end did, POSIX seconds; None: it did not, or by itself."""

    began: float | None = None
    over: float | None = None

    @property
    def talk(self) -> float:
        return 0.0 if self.began is None or self.over is None else self.over - self.began


@dataclass(slots=True)
class Scene:
    """A scenario being played. `client`: the number of its client, `mobile`: another outside number, both digits only."""

    stand: Stand
    scenario: Scenario
    client: str
    mobile: str
    courses: list[Course] = field(default_factory=list[Course])
    clients: list[Leg] = field(default_factory=list[Leg])
    known: int = 0
    until: int | None = None

    @property
    def world(self) -> World:
        return self.stand.pbx.world

    @property
    def phone_number(self) -> str:
        """The client as the portal is told of him."""
        return NOBODY if self.scenario.caller else f"+{self.client}"

    def course(self, number: int = 0) -> Course:
        while len(self.courses) <= number:
            self.courses.append(Course())
        return self.courses[number]

    # ---- doing

    async def arrives(self, to: str) -> Leg:
        """The client calls a number of the company (its last digits are enough)."""
        leg = await self.world.call(
            frm=self.scenario.caller or self.client, to=to if len(to) == 11 else f"74950000{to:0>3}"
        )
        self.clients.append(leg)
        return leg

    async def rings(self, *extensions: str) -> None:
        """From now on these phones ring until somebody does something."""
        for extension in extensions:
            await self.world.phone(extension).rings()

    async def rung(self, *extensions: str) -> list[Leg]:
        """Waits until these phones ring and show the card."""
        legs = [await self.world.phone(extension).ringing() for extension in extensions]
        await self.shown(*extensions)
        return legs

    def begins(self, call: int = 0) -> None:
        self.course(call).began = time.time()

    def is_over(self, call: int) -> None:
        """Somebody is about to transfer the client: the talk is over for him."""
        self.course(call).over = time.time()

    async def talk(self, to: str, extension: str) -> tuple[Leg, Leg]:
        """The client calls, the employee answers, they talk. Gives the client's and the employee's leg."""
        client = await self.arrives(to)
        leg = await self.world.phone(extension).talking()
        self.begins()
        await client.talks(TALK)
        return client, leg

    async def goes_on(self, client: Leg, *, to: Leg | None = None) -> None:
        """The client is joined with somebody (else), and talks."""
        await client.talking(to=to)
        await client.talks(TALK)

    async def ends(self, leg: Leg, call: int = 0) -> None:
        """Hangs up, when the screens show what they shall: what changes them is not waited for with time."""
        with suppress(Missed):  # the comparison tells what was wrong
            await self.stand.until(lambda: self._as_expected(call), "the screens are right", SCREENS_WITHIN)
        self.course(call).over = time.time()
        await leg.hangup()

    # ---- the portal

    def calls(self) -> list[PortalCall]:
        """What the portal has of this client by now, in the order of registration."""
        return self._with(self.phone_number)[self.known : self.until]

    def beside(self) -> list[PortalCall]:
        return self._with(f"+{self.mobile}")

    def _with(self, number: str) -> list[PortalCall]:
        return [call for call in self.stand.portal.calls() if call.phone == number]

    def begin(self) -> None:
        """Calls of hidden numbers that the portal has before and after are none of this scene."""
        self.known = len(self._with(self.phone_number))

    def end(self) -> None:
        self.until = len(self._with(self.phone_number))

    async def shown(self, *extensions: str, call: int = 0) -> None:
        users = {USERS[extension] for extension in extensions}

        def there() -> bool | None:
            calls = self.calls()
            return True if len(calls) > call and users <= set(calls[call].visible_to()) else None

        await self.stand.until(there, f"{', '.join(extensions)} see the card of {self.phone_number}", SCREENS_WITHIN)

    async def finished(self, number: int | None = None) -> None:
        """Waits until the portal has finished as many calls as it should have, or the first ones."""
        wanted = number or len(self.scenario.calls) + len(self.scenario.beside)

        def done() -> bool | None:
            calls = self.calls() + self.beside()
            return True if len(calls) >= wanted and not any(call.live for call in calls) else None

        await self.stand.until(done, f"{wanted} call(s) with {self.phone_number} are finished", 15)

    async def recorded(self) -> None:
        """Waits until the recordings are there that should be."""
        wanted = [n for n, expected in enumerate(self.scenario.calls) if expected.recorded]

        def attached() -> bool | None:
            calls = self.calls()
            return True if all(n < len(calls) and calls[n].recording for n in wanted) else None

        await self.stand.until(attached, f"the calls with {self.phone_number} have their recordings", RECORDED_WITHIN)

    def _as_expected(self, number: int) -> bool | None:
        calls = self.calls()
        if number >= len(calls):
            return None if self.scenario.calls[number].cards.replace("?", "").strip() else True
        return None if _wrong_cards(calls[number], self.scenario.calls[number].cards, time.time()) else True

    def _sound(self, number: int, right: Expected) -> float:
        """About how many seconds the call's recording should have."""
        course = self.course(number)
        return Course(course.began, self.courses[-1].over).talk if right.recording == "whole" else course.talk

    def differences(self) -> list[str]:
        """What the portal says otherwise than it was; empty when all is right."""
        calls, right = self.calls(), self.scenario.calls
        found = told_otherwise(calls, right, [self.course(number) for number in range(len(right))])
        for number, (call, expected) in enumerate(zip(calls, right, strict=False)):
            found += _wrong_recording(call, expected, self._sound(number, expected))
        return found + told_otherwise(self.beside(), self.scenario.beside, ())


def told_otherwise(calls: Sequence[PortalCall], expected: Sequence[Expected], courses: Sequence[Course]) -> list[str]:
    """All that is wrong with the portal's calls but their recordings. Without `courses` the talks may be of any length."""
    if len(calls) != len(expected):
        return [f"the portal has {len(calls)} calls, not {len(expected)}: {[str(call.finish) for call in calls]}"]
    found: list[str] = []
    for number, (call, right) in enumerate(zip(calls, expected, strict=True)):
        course = courses[number] if number < len(courses) else Course()
        found += _differences(call, right)
        if courses and abs(int(call.finish["duration"]) - course.talk) > SLACK:
            found.append(f"duration is {call.finish['duration']} s, not {course.talk:.1f} s")
        found += _wrong_cards(call, right.cards, course.over)
    return found


def _differences(call: PortalCall, right: Expected) -> list[str]:
    finish = call.finish
    facts = {
        "type": (call.type, right.type),
        "line": (call.line, right.line),
        "user": (NAMES.get(int(finish["user_id"]), finish["user_id"]), right.user),
        "status": (str(finish["status"]), right.status),
        "talked": (int(finish["duration"]) > 0, right.talked),
        "registrations": (call.registrations, 1),
        "cards left up": (call.leftover_cards, []),
    }
    return [f"{call.phone}: {name} is {said}, not {was}" for name, (said, was) in facts.items() if said != was]


def _wrong_recording(call: PortalCall, right: Expected, sound: float) -> list[str]:
    recording = call.recording
    if not right.recorded:
        return ["a recording that should not be there"] if recording else []
    if recording is None or not recording.decodes:
        return [f"no recording that plays: {recording}"]
    shortest, longest = max(TALK / 2, sound - SLACK), right.files * sound + SLACK
    if recording.times != 1 or not shortest <= recording.duration <= longest:
        return [f"the recording has {recording.duration:.1f} s, not {sound:.1f} s; attached {recording.times} times"]
    return []


def _wrong_cards(call: PortalCall, expected: str, over: float | None) -> list[str]:
    found: list[str] = []
    tokens = expected.split()
    maybe = {token[1:] for token in tokens if token.startswith("?")}
    right: dict[str, list[str]] = {}
    for token in tokens:
        if not token.startswith("?"):
            right.setdefault(token.lstrip("-"), []).append(token)
    was: dict[str, list[str]] = {}
    for card in call.cards:
        name = NAMES.get(card.user_id, str(card.user_id))
        was.setdefault(name, []).append(_spell(card, name, over))
    for name in sorted(right.keys() | was.keys()):
        if name in maybe and len(was.get(name, [])) - len(right.get(name, [])) in {0, 1}:
            continue
        if right.get(name) != was.get(name):
            found.append(
                f"the card of {name}: {' '.join(was.get(name, ['none']))}, not {' '.join(right.get(name, ['none']))}"
            )
    return found


def _spell(card: Card, name: str, over: float | None) -> str:
    if card.dropped:
        return f"{name} (dropped)"
    return f"-{name}" if card.hidden_at is not None and over is not None and card.hidden_at < over else name


async def pause(seconds: float) -> None:
    """A person takes his time."""
    await asyncio.sleep(seconds)
