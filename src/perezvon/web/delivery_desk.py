"""What is done about the deliveries, whoever asks for it: a page's button or a program. Each change is written to the audit
log in its own transaction, with who made it; the running parts are told afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.redaction import redact
from perezvon.bitrix24.remedy import remedy_of
from perezvon.bitrix24.values import mapping
from perezvon.delivery.mending import Mended, leave_out, may_be_sent, send_again
from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, calls, lanes, pauses
from perezvon.storage.database import Database
from perezvon.storage.pauses import Pause
from perezvon.storage.steps import Step
from perezvon.web.deeds import Deed
from perezvon.web.people import Actor
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.switchroom import Sending, Switchroom

MOST = 100
"""Failed steps, and lanes that wait, of one portal."""

ALL_AT_ONCE = 500
IN_ONE_WRITE = 25
"""Of all that failed: no ringing telephone waits for more of them."""


OTHER_LANES: Mapping[str, Reason] = {
    "alerts": Reason("messages about what is wrong"),
    "click": Reason("a click on a number"),
    "order": Reason("a call that was ordered"),
}


@dataclass(frozen=True, slots=True)
class Failed:
    """`call`: the page there is of its lane, "" for none."""

    step: Step
    call: str
    error: str
    fix: Reason
    again: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """`step`: what of the lane goes next; `further`: how many after that; `until`: POSIX seconds of the next try."""

    step: Step
    call: str
    error: str
    further: int
    until: float | None


@dataclass(frozen=True, slots=True)
class OfPortal:
    sending: Sending
    failed: Sequence[Failed]
    waiting: Sequence[Waiting]


def about(lane: str) -> Reason:
    """Whose requests go in a lane that is no call's."""
    kind, _, rest = lane.partition(":")
    if kind == "missed":
        return Reason("the missed client {client}", {"client": rest.split(":")[1] if ":" in rest else rest})
    return OTHER_LANES.get(kind) or Reason("{lane}", {"lane": lane[:60]})


class DeliveryDesk:
    """`now`: POSIX seconds. Raises Refused where there is no such step or portal, and storage.Unavailable."""

    def __init__(self, database: Database, room: Switchroom, now: Callable[[], float]) -> None:
        self._database = database
        self._room = room
        self._now = now

    async def look(self) -> list[OfPortal]:
        sending = await self._room.sending()
        async with self._database.read() as conn:
            return [await _of_portal(conn, one) for one in sending]

    async def again(self, actor: Actor, step_id: int) -> Mended:
        at = self._now()

        async def work(conn: AsyncConnection) -> tuple[Mended, Step | None]:
            mended, step = await send_again(conn, step_id, at)
            if step is not None and mended in (Mended.DONE, Mended.HURRIED):
                await audit.note(conn, _entry(actor, at, Deed.STEP_SENT_AGAIN, step))
            return mended, step

        return self._told(*await self._database.write(work))

    async def skip(self, actor: Actor, step_id: int) -> Mended:
        at = self._now()

        async def work(conn: AsyncConnection) -> tuple[Mended, Step | None]:
            mended, step = await leave_out(conn, step_id, actor.who, at)
            if step is not None and mended is Mended.DONE:
                await audit.note(conn, _entry(actor, at, Deed.STEP_LEFT_OUT, step))
            return mended, step

        return self._told(*await self._database.write(work))

    def _told(self, mended: Mended, step: Step | None) -> Mended:
        if step is None:
            raise Refused(NOT_THERE)
        self._room.queued(step.portal)
        return mended

    async def all_again(self, actor: Actor, portal: str) -> int:
        """How many are being sent again."""
        await self._known(portal)
        at = self._now()

        async def some(conn: AsyncConnection, steps: Sequence[Step]) -> int:
            fates = [(await send_again(conn, step.id, at))[0] for step in steps]
            if count := fates.count(Mended.DONE):
                await audit.note(conn, actor.did(at, Deed.STEP_SENT_AGAIN, portal, f"all that failed: {count}"))
            return count

        async with self._database.read() as conn:
            dead = [step for step in await lanes.dead(conn, portal, ALL_AT_ONCE) if may_be_sent(step)]
        count = 0
        for first in range(0, len(dead), IN_ONE_WRITE):
            count += await self._database.write(partial(some, steps=dead[first : first + IN_ONE_WRITE]))
        self._room.queued(portal)
        return count

    async def pause(self, actor: Actor, portal: str) -> bool:
        """False when it was paused already."""
        await self._known(portal)
        at = self._now()

        async def work(conn: AsyncConnection) -> bool:
            begun = await pauses.begin(conn, portal, actor.who, at)
            if begun:
                await audit.note(conn, actor.did(at, Deed.PORTAL_PAUSED, portal))
            return begun

        begun = await self._database.write(work)
        if begun:
            self._room.hold(portal, Pause(actor.who, at))
        return begun

    async def resume(self, actor: Actor, portal: str) -> bool:
        """False when it was not paused."""
        await self._known(portal)
        at = self._now()

        async def work(conn: AsyncConnection) -> bool:
            ended = await pauses.end(conn, portal)
            if ended:
                await audit.note(conn, actor.did(at, Deed.PORTAL_RESUMED, portal))
            return ended

        ended = await self._database.write(work)
        self._room.hold(portal, None)
        return ended

    async def _known(self, portal: str) -> None:
        if all(one.portal != portal for one in await self._room.sending()):
            raise Refused(NOT_THERE)


def _entry(actor: Actor, at: float, deed: Deed, step: Step) -> audit.Entry:
    return actor.did(at, deed, step.lane, f"{step.portal}: {step.kind.value}, {step.key}")


async def _of_portal(conn: AsyncConnection, sending: Sending) -> OfPortal:
    dead = await lanes.dead(conn, sending.portal, MOST)
    busy = await lanes.at_work(conn, sending.portal, MOST)
    until = await lanes.waits_of(conn, busy)
    loaded = await lanes.load(conn, busy)
    of_calls = await calls.stored_among(conn, {*busy, *(step.lane for step in dead)})
    failed = [
        Failed(
            step,
            step.lane if step.lane in of_calls else "",
            redact(step.error or ""),
            remedy_of(mapping(step.result), application=sending.application),
            may_be_sent(step),
        )
        for step in dead
    ]
    waiting: list[Waiting] = []
    for lane in busy:
        steps = [step for step in loaded.get(lane, []) if step.open]
        if steps:
            head, call = steps[0], lane if lane in of_calls else ""
            waiting.append(Waiting(head, call, redact(head.error or ""), len(steps) - 1, until.get(lane)))
    return OfPortal(sending, failed, waiting)
