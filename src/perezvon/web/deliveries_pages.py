"""What is sent to the portals: what waits, what failed and why; sent again, left out, paused and let go on.

Whoever has the right to look sees it; only who may deliver does something, and the audit log tells who did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.bitrix24.redaction import redact
from perezvon.bitrix24.remedy import remedy_of
from perezvon.bitrix24.values import mapping
from perezvon.delivery.mending import Mended, leave_out, may_be_sent, send_again
from perezvon.rules.vocabulary import Reason
from perezvon.storage import audit, calls, lanes, pauses
from perezvon.storage.database import Database
from perezvon.storage.pauses import Pause
from perezvon.storage.steps import State, Step
from perezvon.web.deeds import Deed
from perezvon.web.frame import Frame, local_path
from perezvon.web.gate import form_of, visitor_of
from perezvon.web.people import Actor
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Sending, Switchroom

MOST = 100
"""Failed steps, and lanes that wait, of one portal."""

ALL_AT_ONCE = 500
IN_ONE_WRITE = 25
"""Of all that failed: no ringing telephone waits for more of them."""

StepId = Annotated[int, Path(ge=1, le=2**53)]

TOLD: Mapping[str, Reason] = {
    "again": Reason("It is being sent again."),
    "hurried": Reason("It is tried at once."),
    "left_out": Reason("It is left out."),
    "busy": Reason("It is being sent just now: wait a moment."),
    "already": Reason("Nothing was done: that has been seen to already."),
    "all": Reason("All that failed is being sent again."),
    "paused": Reason("The deliveries are paused. What happens meanwhile waits."),
    "resumed": Reason("The deliveries go on."),
}
"""What is told where one has come back to, by a word in the address."""

_MENDED = {Mended.HURRIED: "hurried", Mended.BUSY: "busy", Mended.ALREADY: "already"}


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


def routes(database: Database, room: Switchroom, frame: Frame, now: Callable[[], float] = time.time) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/deliveries")
    @needs(Right.DELIVERIES)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        sending = await room.sending()
        async with database.read() as conn:
            portals = [await _of_portal(conn, one) for one in sending]
        values: dict[str, Any] = {"portals": portals, "now": now(), "told": told_of(request), "State": State}
        return frame.page(request, "deliveries.html", **values)

    @router.post("/deliveries/steps/{step_id}/again")
    @needs(Right.DELIVER)
    async def again(step_id: StepId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        actor, at = visitor_of(request).actor, now()

        async def work(conn: AsyncConnection) -> tuple[Mended, Step | None]:
            mended, step = await send_again(conn, step_id, at)
            if step is not None and mended in (Mended.DONE, Mended.HURRIED):
                await audit.note(conn, _entry(actor, at, Deed.STEP_SENT_AGAIN, step))
            return mended, step

        return await _back(request, await database.write(work), "again")

    @router.post("/deliveries/steps/{step_id}/skip")
    @needs(Right.DELIVER)
    async def skip(step_id: StepId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        actor, at = visitor_of(request).actor, now()

        async def work(conn: AsyncConnection) -> tuple[Mended, Step | None]:
            mended, step = await leave_out(conn, step_id, actor.who, at)
            if step is not None and mended is Mended.DONE:
                await audit.note(conn, _entry(actor, at, Deed.STEP_LEFT_OUT, step))
            return mended, step

        return await _back(request, await database.write(work), "left_out")

    async def _back(request: Request, mended: tuple[Mended, Step | None], done: str) -> Response:
        fate, step = mended
        if step is None:
            raise Refused(NOT_THERE)
        room.queued(step.portal)
        return await back_to(request, _MENDED.get(fate, done))

    @router.post("/deliveries/{portal}/again")
    @needs(Right.DELIVER)
    async def all_again(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        await _known(portal)
        actor, at = visitor_of(request).actor, now()

        async def some(conn: AsyncConnection, steps: Sequence[Step]) -> int:
            fates = [(await send_again(conn, step.id, at))[0] for step in steps]
            if count := fates.count(Mended.DONE):
                await audit.note(conn, actor.did(at, Deed.STEP_SENT_AGAIN, portal, f"all that failed: {count}"))
            return count

        async with database.read() as conn:
            dead = [step for step in await lanes.dead(conn, portal, ALL_AT_ONCE) if may_be_sent(step)]
        count = 0
        for first in range(0, len(dead), IN_ONE_WRITE):
            count += await database.write(partial(some, steps=dead[first : first + IN_ONE_WRITE]))
        room.queued(portal)
        return await back_to(request, "all" if count else "already")

    @router.post("/deliveries/{portal}/pause")
    @needs(Right.DELIVER)
    async def pause(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        await _known(portal)
        actor, at = visitor_of(request).actor, now()

        async def work(conn: AsyncConnection) -> bool:
            begun = await pauses.begin(conn, portal, actor.who, at)
            if begun:
                await audit.note(conn, actor.did(at, Deed.PORTAL_PAUSED, portal))
            return begun

        begun = await database.write(work)
        if begun:
            room.hold(portal, Pause(actor.who, at))
        return await back_to(request, "paused" if begun else "already")

    @router.post("/deliveries/{portal}/resume")
    @needs(Right.DELIVER)
    async def resume(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        await _known(portal)
        actor, at = visitor_of(request).actor, now()

        async def work(conn: AsyncConnection) -> bool:
            ended = await pauses.end(conn, portal)
            if ended:
                await audit.note(conn, actor.did(at, Deed.PORTAL_RESUMED, portal))
            return ended

        ended = await database.write(work)
        room.hold(portal, None)
        return await back_to(request, "resumed" if ended else "already")

    async def _known(portal: str) -> None:
        if all(one.portal != portal for one in await room.sending()):
            raise Refused(NOT_THERE)

    return router


def told_of(request: Request) -> Reason | None:
    return TOLD.get(request.query_params.get("told", ""))


async def back_to(request: Request, word: str) -> Response:
    """To the page whose form it was."""
    back = local_path((await form_of(request)).get("back", "") or "/deliveries").partition("?")[0]
    return RedirectResponse(f"{back}?{urlencode({'told': word})}#told", 303)


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
