"""Calls that are spoken on the stand, each with what the portal must say of it afterwards."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, PETROVA, SIDOROV, SMIRNOV
from perezvon.sandbox.stand import Stand

ADMIN = 1
INCOMING, OUTGOING = 2, 1
TALK = 2.0
SLACK = 1.5
"""Seconds by which two clocks that look at the same talk may differ: the portal wants whole seconds."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What happened on the phones. `talk`: seconds; `cards`: users who must have seen the client's card, nobody else.

    `fleeting`: it was over at once, so that the card may have been left out.
    """

    client: str
    type: int
    line: str
    user: int
    status: str
    talk: float
    cards: frozenset[int]
    click: bool = False
    fleeting: bool = False

    @property
    def recorded(self) -> bool:
        return self.talk > 0


@dataclass(frozen=True, slots=True)
class Story:
    title: str
    speak: Callable[[Stand], Awaitable[Spoken]]


def differences(spoken: Spoken, call: PortalCall) -> list[str]:
    """What the portal says otherwise than it was; empty when all is right."""
    found: list[str] = []

    def compare(what: str, said: object, was: object) -> None:
        if said != was:
            found.append(f"{what}: the portal says {said}, it was {was}")

    compare("direction", call.type, spoken.type)
    if not spoken.click:
        compare("line", call.line, spoken.line)
        compare("registrations", call.registrations, 1)
    compare("responsible", int(call.finish["user_id"]), spoken.user)
    compare("status", str(call.finish["status"]), spoken.status)
    duration = int(call.finish["duration"])
    if (duration == 0) != (spoken.talk == 0) or abs(duration - spoken.talk) > SLACK:
        found.append(f"duration: the portal says {duration} s, it was {spoken.talk:.1f} s")
    if call.cards or not spoken.fleeting:
        compare("cards", sorted({card.user_id for card in call.cards}), sorted(spoken.cards))
    compare("cards left up", call.leftover_cards, [])
    if not spoken.recorded:
        return found
    if call.recording is None:
        found.append("recording: there is none")
    elif not call.recording.decodes or abs(call.recording.duration - spoken.talk) > SLACK:
        length, problem = call.recording.duration, call.recording.problem or "it decodes"
        found.append(f"recording: {length:.1f} s ({problem}), it was {spoken.talk:.1f} s")
    return found


class _Stopwatch:
    """Measures a talk as its parties do: from the answer to the hang-up."""

    def __init__(self) -> None:
        self._since = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since


async def _quiet(stand: Stand) -> None:
    await stand.pbx.world.reset()


async def answered(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    caller = await world.call(frm="79161230001", to="74950000101", name="Мария Клиентова")
    await caller.talking()
    watch = _Stopwatch()
    await caller.talks(TALK)
    await caller.hangup()
    return Spoken("+79161230001", INCOMING, "+74950000101", IVANOV, "200", watch.seconds, frozenset({IVANOV}))


async def missed(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    await world.phone("104").rings()
    caller = await world.call(frm="79161230002", to="74950000700")
    await caller.ended()
    return Spoken("+79161230002", INCOMING, "+74950000700", KUZNETSOVA, "304", 0, frozenset({KUZNETSOVA}))


async def given_up(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    await world.phone("102").rings()
    caller = await world.call(frm="79161230003", to="74950000102")
    await world.phone("102").ringing()
    await stand.until(lambda: _shown(stand, "+79161230003"), "the card is shown")
    await caller.hangup()
    return Spoken("+79161230003", INCOMING, "+74950000102", PETROVA, "304", 0, frozenset({PETROVA}))


async def busy(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    await world.phone("103").busy()
    caller = await world.call(frm="79161230004", to="74950000103")
    await caller.ended()
    return Spoken("+79161230004", INCOMING, "+74950000103", SIDOROV, "304", 0, frozenset({SIDOROV}), fleeting=True)


async def nobody_rung(stand: Stand) -> Spoken:
    await _quiet(stand)
    caller = await stand.pbx.world.call(frm="79161230005", to="74950000400")
    await caller.answered()
    await caller.hangup()
    return Spoken("+79161230005", INCOMING, "+74950000400", ADMIN, "304", 0, frozenset())


async def ring_group(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    for extension in ("101", "102", "103"):
        await world.phone(extension).rings()
    caller = await world.call(frm="79161230006", to="74951234567")
    phone = await world.phone("102").ringing()
    await stand.until(lambda: _shown(stand, "+79161230006", 3), "three cards are shown")
    await phone.answer()
    await caller.talking()
    watch = _Stopwatch()
    await caller.talks(TALK)
    await phone.hangup()
    cards = frozenset({IVANOV, PETROVA, SIDOROV})
    return Spoken("+79161230006", INCOMING, "+74951234567", PETROVA, "200", watch.seconds, cards)


async def queue(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    await world.phone("101").rings()
    await world.phone("102").rings()
    caller = await world.call(frm="79161230007", to="74950000300")
    await world.phone("101").ringing()
    phone = await world.phone("102").ringing()
    await stand.until(lambda: _shown(stand, "+79161230007", 2), "two cards are shown")
    await phone.answer()
    await phone.talking()
    watch = _Stopwatch()
    await caller.talks(TALK)
    await caller.hangup()
    return Spoken("+79161230007", INCOMING, "+74950000300", PETROVA, "200", watch.seconds, frozenset({IVANOV, PETROVA}))


async def outgoing(stand: Stand) -> Spoken:
    await _quiet(stand)
    desk = await stand.pbx.world.phone("101").dial("79161230008")
    await desk.talking()
    watch = _Stopwatch()
    await desk.talks(TALK)
    await desk.hangup()
    return Spoken("+79161230008", OUTGOING, "+74951234567", IVANOV, "200", watch.seconds, frozenset({IVANOV}))


async def outgoing_busy(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    await world.number("79161230009").busy()
    desk = await world.phone("103").dial("79161230009")
    await desk.ended()
    return Spoken("+79161230009", OUTGOING, "+74951234567", SIDOROV, "486", 0, frozenset({SIDOROV}), fleeting=True)


async def click(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    stand.portal.click(KUZNETSOVA, "+79161230010")
    desk = await world.phone("104").talking()
    watch = _Stopwatch()
    await desk.talks(TALK)
    await desk.hangup()
    return Spoken("+79161230010", OUTGOING, "", KUZNETSOVA, "200", watch.seconds, frozenset({KUZNETSOVA}), click=True)


async def click_offline(stand: Stand) -> Spoken:
    await _quiet(stand)
    stand.portal.click(SMIRNOV, "+79161230011")
    return Spoken("+79161230011", OUTGOING, "", SMIRNOV, "480", 0, frozenset({SMIRNOV}), click=True)


async def transferred(stand: Stand) -> Spoken:
    await _quiet(stand)
    world = stand.pbx.world
    caller = await world.call(frm="79161230012", to="74950000101")
    first = await world.phone("101").talking()
    watch = _Stopwatch()
    await caller.talks(TALK)
    await first.press("##102")
    second = await world.phone("102").talking()
    await second.talks(TALK)
    await caller.hangup()
    return Spoken("+79161230012", INCOMING, "+74950000101", PETROVA, "200", watch.seconds, frozenset({IVANOV, PETROVA}))


def _shown(stand: Stand, client: str, cards: int = 1) -> bool | None:
    calls = [call for call in stand.portal.calls() if call.phone == client]
    return True if calls and len(calls[-1].visible_to()) >= cards else None


STORIES = (
    Story("answered at the desk", answered),
    Story("missed: nobody picks up", missed),
    Story("missed: the caller gives up", given_up),
    Story("missed: busy", busy),
    Story("missed: hung up in the menu", nobody_rung),
    Story("ring group, the second answers", ring_group),
    Story("queue, the second answers", queue),
    Story("outgoing", outgoing),
    Story("outgoing, busy", outgoing_busy),
    Story("a number is clicked", click),
    Story("clicked, the phone is offline", click_offline),
    Story("transferred to a colleague", transferred),
)
