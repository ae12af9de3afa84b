"""The deliveries for programs: what waits, what failed and why; sent again, left out, paused and let go on, by the same
desk as the page's buttons."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.requests import Request

from perezvon.calls.call import iso
from perezvon.settings.errors import told
from perezvon.web.delivery_desk import DeliveryDesk, OfPortal
from perezvon.web.gate import visitor_of
from perezvon.web.journal_api import RequestTold, request_told
from perezvon.web.rights import Right, needs
from perezvon.web.translations import Language, catalog

StepId = Annotated[int, Path(ge=1, le=2**53)]


class FailedTold(BaseModel):
    """`call`: whose request it is; empty when it belongs to none."""

    call: str
    request: RequestTold


class WaitingTold(BaseModel):
    """`request`: what goes next, `further`: how many after that; `until`: of the next try, if one has to be waited for."""

    call: str
    request: RequestTold
    further: int
    until: str | None


class PortalTold(BaseModel):
    """`state`: ready, unreachable, paused, blocked, waiting for installation; `error` and `fix`: why, and what to do.
    `queued`: requests that wait; `dead`: that the portal refused. `paused_by`, `paused_since`: a human wants that."""

    portal: str
    state: str
    error: str
    fix: str
    queued: int
    dead: int
    paused_by: str | None
    paused_since: str | None
    failed: list[FailedTold]
    waiting: list[WaitingTold]


class Deliveries(BaseModel):
    portals: list[PortalTold]


class StepDone(BaseModel):
    """`done`; `hurried`: it waited, and is tried at once; `busy`: it is being sent just now, nothing was done; `already`:
    somebody has done that, or there is nothing to do."""

    done: Literal["done", "hurried", "busy", "already"]


class AllDone(BaseModel):
    """How many are being sent again."""

    count: int


class PortalDone(BaseModel):
    """`changed`: false when it was so already."""

    changed: bool


def routes(desk: DeliveryDesk, spoken: Callable[[Request], Language]) -> APIRouter:
    router = APIRouter(prefix="/api/deliveries", tags=["deliveries"])

    @router.get("", summary="What waits to be told to the portals, and what they refused")
    @needs(Right.DELIVERIES)
    async def look(request: Request) -> Deliveries:  # pyright: ignore[reportUnusedFunction]
        word = catalog(spoken(request)).gettext
        return Deliveries(portals=[_portal(one, word) for one in await desk.look()])

    @router.post("/steps/{step_id}/again", summary="Send a request to the portal again")
    @needs(Right.DELIVER)
    async def again(step_id: StepId, request: Request) -> StepDone:  # pyright: ignore[reportUnusedFunction]
        return StepDone.model_validate({"done": (await desk.again(visitor_of(request).actor, step_id)).value})

    @router.post("/steps/{step_id}/skip", summary="Leave a request to the portal out")
    @needs(Right.DELIVER)
    async def skip(step_id: StepId, request: Request) -> StepDone:  # pyright: ignore[reportUnusedFunction]
        return StepDone.model_validate({"done": (await desk.skip(visitor_of(request).actor, step_id)).value})

    @router.post("/{portal}/again", summary="Send all again that the portal refused")
    @needs(Right.DELIVER)
    async def all_again(portal: str, request: Request) -> AllDone:  # pyright: ignore[reportUnusedFunction]
        return AllDone(count=await desk.all_again(visitor_of(request).actor, portal))

    @router.post("/{portal}/pause", summary="Send nothing to the portal from now on")
    @needs(Right.DELIVER)
    async def pause(portal: str, request: Request) -> PortalDone:  # pyright: ignore[reportUnusedFunction]
        return PortalDone(changed=await desk.pause(visitor_of(request).actor, portal))

    @router.post("/{portal}/resume", summary="Let the deliveries to the portal go on")
    @needs(Right.DELIVER)
    async def resume(portal: str, request: Request) -> PortalDone:  # pyright: ignore[reportUnusedFunction]
        return PortalDone(changed=await desk.resume(visitor_of(request).actor, portal))

    return router


def _portal(one: OfPortal, word: Callable[[str], str]) -> PortalTold:
    sending = one.sending
    return PortalTold(
        portal=sending.portal,
        state=sending.state,
        error=sending.error,
        fix=told(sending.fix, word) if sending.fix else "",
        queued=sending.waiting,
        dead=sending.dead,
        paused_by=sending.pause.who if sending.pause else None,
        paused_since=iso(sending.pause.since) if sending.pause else None,
        failed=[
            FailedTold(
                call=failed.call,
                request=request_told(failed.step, word).model_copy(update={"fix": told(failed.fix, word)}),
            )
            for failed in one.failed
        ],
        waiting=[
            WaitingTold(
                call=waits.call, request=request_told(waits.step, word), further=waits.further, until=iso(waits.until)
            )
            for waits in one.waiting
        ],
    )
