"""Calls of every kind placed at once, and what the portal must say of them whatever the weather was meanwhile."""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from perezvon.sandbox.pbx import Leg
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV, KUZNETSOVA, SIDOROV
from perezvon.sandbox.stand import Stand

TALK = 1.5
SLACK = 1.5
"""Seconds by which the portal's whole seconds may differ from what the phones measured."""

_numbers = itertools.count(79190000001)


@dataclass(frozen=True, slots=True)
class Spoken:
    """What a call was: `talk` is None when nobody answered. `leg`: the phone whose clock is believed."""

    client: str
    type: int
    user: int
    status: str
    leg: Leg

    @property
    def talk(self) -> float:
        channel = self.leg.channel
        assert channel is not None
        if self.status != "200":
            return 0.0
        assert channel.answered is not None
        assert channel.ended is not None
        return channel.ended - channel.answered


async def answered(stand: Stand) -> Spoken:
    """A client calls Ivanov, who answers."""
    client = str(next(_numbers))
    caller = await stand.pbx.world.call(frm=client, to="74950000101", name="Клиент")
    await caller.talks(TALK)
    await caller.hangup()
    return Spoken(f"+{client}", 2, IVANOV, "200", caller)


async def missed(stand: Stand) -> Spoken:
    """A client calls Kuznetsova, hears it ringing, and gives up."""
    client = str(next(_numbers))
    caller = await stand.pbx.world.call(frm=client, to="74950000104")
    await stand.pbx.world.phone("104").ringing()
    await asyncio.sleep(0.5)  # he waits a little
    await caller.hangup()
    await caller.ended()
    return Spoken(f"+{client}", 2, KUZNETSOVA, "304", caller)


async def group(stand: Stand) -> Spoken:
    """A client calls the main line: the phones of three ring, Ivanov answers."""
    client = str(next(_numbers))
    caller = await stand.pbx.world.call(frm=client, to="74951234567")
    await caller.talks(TALK)
    await caller.hangup()
    return Spoken(f"+{client}", 2, IVANOV, "200", caller)


async def outgoing(stand: Stand) -> Spoken:
    """Sidorov calls a client, who answers."""
    client = str(next(_numbers))
    desk = await stand.pbx.world.phone("103").dial(client)
    await desk.talks(TALK)
    await desk.hangup()
    return Spoken(f"+{client}", 1, SIDOROV, "200", desk)


async def one_of_each(stand: Stand) -> list[Spoken]:
    async with asyncio.TaskGroup() as tasks:
        speaking = [tasks.create_task(story(stand), name=story.__name__) for story in (answered, missed, group, outgoing)]
    return [task.result() for task in speaking]


async def ready(stand: Stand) -> None:
    world = stand.pbx.world
    await world.reset()
    await world.phone("101").answers(after=0.3)
    for extension in ("102", "103", "104"):
        await world.phone(extension).rings()


async def under_kills(stand: Stand, kills: int, chance: random.Random) -> list[Spoken]:
    """Calls of every kind one after the other, while the service is killed so many times and started again."""
    spoken: list[Spoken] = []
    enough = asyncio.Event()

    async def speak() -> None:
        while not enough.is_set():
            spoken.extend(await one_of_each(stand))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(speak(), name="calls under kills")
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.2, 2.0))  # a random moment is the point
            await stand.service.kill()
            await stand.service.start()
            await stand.ready()
        enough.set()
    return spoken


async def told_right(stand: Stand, spoken: Sequence[Spoken], within: float = 60.0) -> None:
    """Waits until the portal has all of them finished and recorded; each once, each right, nothing else left behind."""
    calls = [await stand.call_of(one.client, recorded=one.status == "200", within=within) for one in spoken]
    await stand.service.until(is_idle, "has nothing left to send", within)
    wrong = [f"{one.client}: {what}" for one, call in zip(spoken, calls, strict=True) for what in _differences(one, call)]
    wrong += _doubles(stand, spoken)
    assert wrong == []


def is_idle(status: dict[str, Any]) -> bool:
    """Whether every step has been settled, by /status."""
    return not any(portal["queue"] for portal in status["portals"]) and not status["recordings"]["waiting"]


def _differences(one: Spoken, call: PortalCall) -> list[str]:
    told = (call.type, int(call.finish["user_id"]), str(call.finish["status"]))
    was = (one.type, one.user, one.status)
    found = [] if told == was else [f"type, user and status are {told}, not {was}"]
    duration = int(call.finish["duration"])
    if abs(duration - one.talk) > SLACK or (duration == 0) != (one.talk == 0):
        found.append(f"duration {duration} s, it was {one.talk:.1f} s")
    if call.leftover_cards:
        found.append(f"cards left up for {call.leftover_cards}")
    if one.status == "200":
        recording = call.recording
        assert recording is not None
        if not recording.decodes or abs(recording.duration - one.talk) > SLACK:
            found.append(f"recording {recording.duration:.1f} s ({recording.problem}), it was {one.talk:.1f} s")
    elif call.recording is not None:
        found.append("a recording although nobody talked")
    return found


def _doubles(stand: Stand, spoken: Sequence[Spoken]) -> list[str]:
    """Whatever the portal holds twice for one of these clients."""
    clients = {one.client for one in spoken}
    state = stand.portal.state
    ours = {call.id: call.phone for call in state.calls() if call.phone in clients}
    registered = Counter(ours.values())
    rows = Counter(ours[row["CALL_ID"]] for row in state.book.statistics if row["CALL_ID"] in ours)
    found = [f"{client} is registered {n} times" for client, n in registered.items() if n != 1]
    found += [f"{client} is {rows[client]} times in the statistics" for client in clients if rows[client] != 1]
    for kind in ("LEAD", "CONTACT"):
        made = Counter(
            phone
            for call in state.calls()
            for type_, _ in call.created
            for phone in [call.phone]
            if type_ == kind and phone in clients
        )
        found += [f"{client} was made a {kind} {n} times" for client, n in made.items() if n != 1]
    return found
