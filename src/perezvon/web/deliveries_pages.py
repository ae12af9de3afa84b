"""What is sent to the portals: what waits, what failed and why; sent again, left out, paused and let go on.

Whoever has the right to look sees it; only who may deliver does something, and the audit log tells who did
(delivery_desk.py).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.delivery.mending import Mended
from perezvon.rules.vocabulary import Reason
from perezvon.web.delivery_desk import DeliveryDesk, about
from perezvon.web.frame import Frame, local_path
from perezvon.web.gate import form_of, visitor_of
from perezvon.web.rights import Right, needs

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


def routes(desk: DeliveryDesk, frame: Frame, now: Callable[[], float] = time.time) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/deliveries")
    @needs(Right.DELIVERIES)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        values: dict[str, Any] = {"portals": await desk.look(), "now": now(), "told": told_of(request), "about": about}
        return frame.page(request, "deliveries.html", **values)

    @router.post("/deliveries/steps/{step_id}/again")
    @needs(Right.DELIVER)
    async def again(step_id: StepId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        fate = await desk.again(visitor_of(request).actor, step_id)
        return await back_to(request, _MENDED.get(fate, "again"))

    @router.post("/deliveries/steps/{step_id}/skip")
    @needs(Right.DELIVER)
    async def skip(step_id: StepId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        fate = await desk.skip(visitor_of(request).actor, step_id)
        return await back_to(request, _MENDED.get(fate, "left_out"))

    @router.post("/deliveries/{portal}/again")
    @needs(Right.DELIVER)
    async def all_again(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        count = await desk.all_again(visitor_of(request).actor, portal)
        return await back_to(request, "all" if count else "already")

    @router.post("/deliveries/{portal}/pause")
    @needs(Right.DELIVER)
    async def pause(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        begun = await desk.pause(visitor_of(request).actor, portal)
        return await back_to(request, "paused" if begun else "already")

    @router.post("/deliveries/{portal}/resume")
    @needs(Right.DELIVER)
    async def resume(portal: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        ended = await desk.resume(visitor_of(request).actor, portal)
        return await back_to(request, "resumed" if ended else "already")

    return router


def told_of(request: Request) -> Reason | None:
    return TOLD.get(request.query_params.get("told", ""))


async def back_to(request: Request, word: str) -> Response:
    """To the page whose form it was."""
    back = local_path((await form_of(request)).get("back", "") or "/deliveries").partition("?")[0]
    return RedirectResponse(f"{back}?{urlencode({'told': word})}#told", 303)
