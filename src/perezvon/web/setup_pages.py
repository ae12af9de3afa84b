"""The wizard of the first run: its steps, which can be left and come back to, each saved at once.

Asks the service through web.SetupDesk; the pages of the two connections are in setup_connections.py.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.rules.vocabulary import Reason
from perezvon.web import setup_connections
from perezvon.web.frame import Frame
from perezvon.web.gate import texts_of, visitor_of
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.setup_desk import ESSENTIAL, Mark, Place, SetupDesk, StepNow, Unfit
from perezvon.web.status import CallRow, SentStep, Status

LATELY = 600.0
"""Seconds: calls of this time are shown as test calls, too."""

MOST_LINES = 200


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


TITLES: Mapping[Place, str] = {
    Place.ASTERISK: _("Asterisk"),
    Place.PORTAL: _("Bitrix24 portal"),
    Place.PEOPLE: _("Extensions and employees"),
    Place.LINES: _("Company numbers"),
    Place.RECORDINGS: _("Recordings"),
    Place.CALL: _("Test call"),
}

ABOUT: Mapping[Place, str] = {
    Place.ASTERISK: _("Perezvon watches the calls of your PBX and dials through it, over AMI."),
    Place.PORTAL: _("Calls, cards and recordings go to your portal."),
    Place.PEOPLE: _("A call finds its employee by the extension: the same on the PBX and in the portal."),
    Place.LINES: _("By its number a call is counted to a line: source, working time, who is to call back."),
    Place.RECORDINGS: _("Recordings are read where the PBX writes them, and go to the portal as mp3."),
    Place.CALL: _("The proof: a call from your telephone, seen here while it goes on."),
}

ORDER = tuple(Place)


def wanted(now: Status) -> bool:
    """Whether something essential is missing yet."""
    return not now.pbxs or not now.portals or any(one.state == "waiting for installation" for one in now.portals)


def routes(desk: SetupDesk, frame: Frame, now: Callable[[], float] = time.time) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    async def shown(request: Request, place: Place, code: int = 200, **told: Any) -> Response:
        index = ORDER.index(place)
        values: dict[str, Any] = {
            "place": place,
            "steps": await desk.steps(),
            "titles": TITLES,
            "about": ABOUT[place],
            "number": index + 1,
            "before": ORDER[index - 1].value if index else "",
            "after": ORDER[index + 1].value if index + 1 < len(ORDER) else "",
            "why": (),
        }
        return frame.page(request, f"setup_{place.value}.html", code, **(values | told))

    router.include_router(setup_connections.routes(desk, frame, shown))

    @router.get("/setup")
    @needs(Right.SETTINGS)
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        steps = await desk.steps()
        ready = all(step.mark is Mark.DONE for step in steps if step.place in ESSENTIAL)
        return frame.page(
            request, "setup.html", steps=steps, titles=TITLES, abouts=ABOUT, next=_next(steps), ready=ready, place=None
        )

    @router.get("/setup/steps")
    @needs(Right.SETTINGS)
    async def steps(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The list at the side, as it is now."""
        at = request.query_params.get("at", "")
        place = next((one for one in Place if one.value == at), None)
        return frame.page(request, "setup_steps.html", steps=await desk.steps(), titles=TITLES, place=place)

    @router.post("/setup/{name}/mark")
    @needs(Right.SETTINGS)
    async def mark(name: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        place = next((one for one in Place if one.value == name), None)
        if place is None:
            raise Refused(NOT_THERE)
        told = (await texts_of(request)).get("mark", [""])[-1]
        await desk.mark(place, told if told in ("done", "skipped") else "")
        index = ORDER.index(place) + 1
        return RedirectResponse(f"/setup/{ORDER[index].value}" if index < len(ORDER) else "/setup", 303)

    # ---- people

    @router.get("/setup/people")
    @needs(Right.SETTINGS)
    async def people(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await shown(request, Place.PEOPLE, people=await desk.people())

    @router.post("/setup/people")
    @needs(Right.SETTINGS)
    async def people_anew(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await shown(request, Place.PEOPLE, people=await desk.people(anew=True))

    # ---- lines

    @router.get("/setup/lines")
    @needs(Right.SETTINGS)
    async def lines(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await shown(request, Place.LINES, lines=await desk.lines(look=False), more="")

    @router.post("/setup/lines")
    @needs(Right.SETTINGS)
    async def save_lines(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await texts_of(request)
        more = form.get("more", [""])[-1][:5000]
        numbers = chosen(form, more)
        log = form.get("log", [""])[-1].strip()[:500]
        try:
            await desk.save_lines(numbers, log, visitor_of(request).name)
        except Unfit as unfit:
            return await shown(request, Place.LINES, 400, lines=await desk.lines(look=False), more=more, why=unfit.reasons)
        return RedirectResponse("/setup/lines", 303)

    @router.get("/setup/lines/found")
    @needs(Right.SETTINGS)
    async def found_lines(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return frame.page(request, "setup_lines_found.html", lines=await desk.lines())

    # ---- recordings

    @router.get("/setup/recordings")
    @needs(Right.SETTINGS)
    async def recordings(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await shown(request, Place.RECORDINGS, recordings=await desk.recordings(look=False), given={})

    @router.post("/setup/recordings")
    @needs(Right.SETTINGS)
    async def save_recordings(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await texts_of(request)
        given = {name: form.get(name, [""])[-1].strip()[:500] for name in ("folder", "folder_on_pbx")}
        try:
            await desk.save_recordings(given["folder"], given["folder_on_pbx"], visitor_of(request).name)
        except Unfit as unfit:
            found = await desk.recordings(look=False)
            return await shown(request, Place.RECORDINGS, 400, recordings=found, given=given, why=unfit.reasons)
        return RedirectResponse("/setup/recordings", 303)

    @router.get("/setup/recordings/found")
    @needs(Right.SETTINGS)
    async def found_recordings(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return frame.page(request, "checks.html", checks=(await desk.recordings()).checks)

    # ---- the test call

    @router.get("/setup/call")
    @needs(Right.SETTINGS)
    async def call(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        since = now() - LATELY
        found = await desk.calls(since)
        return await shown(request, Place.CALL, since=f"{since:.0f}", calls=found, now=now(), stages=stages)

    @router.get("/setup/call/live")
    @needs(Right.SETTINGS)
    async def live(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        told = request.query_params.get("since", "")
        since = float(told) if re.fullmatch(r"\d{1,12}", told, re.ASCII) else now()
        found = await desk.calls(since)
        return frame.page(request, "setup_live.html", since=f"{since:.0f}", calls=found, now=now(), stages=stages)

    return router


def _next(steps: tuple[StepNow, ...]) -> Place | None:
    """The first that is neither done nor skipped."""
    return next((step.place for step in steps if step.mark in (Mark.TODO, Mark.TROUBLE)), None)


def chosen(form: Mapping[str, list[str]], more: str) -> dict[str, str]:
    """Numbers and their names: those that were ticked, and those that were typed, one a line, a name behind them."""
    numbers = {number.strip()[:50]: form.get(f"name {number}", [""])[-1].strip()[:200] for number in form.get("number", [])}
    for row in more.splitlines():
        found = re.match(r"\s*(\+?[\d ()\-]{3,40}\d)\s*[,;:—–-]?\s*(.*)", row)
        if found is not None:
            numbers[re.sub(r"[^\d+]", "", found[1])] = found[2].strip()[:200]
        elif row.strip():
            numbers[row.strip()[:50]] = ""
    return dict(list(numbers.items())[:MOST_LINES])


@dataclass(frozen=True, slots=True)
class Stage:
    """Of a test call. `state`: ok, live, problem or plain. `word`: one of ours, behind the words; `error`: the portal's."""

    state: str
    words: Reason
    word: str = ""
    error: str = ""


_BEFORE = (
    ("register", Reason("in the portal"), Reason("the portal is being told"), Reason("the portal is not told")),
    ("show", Reason("the card was asked for"), Reason("the card is being asked for"), Reason("no card")),
)
_AFTER = (
    ("finish", Reason("finished in the portal"), Reason("is being finished in the portal"), Reason("not finished")),
    (
        "attach_record",
        Reason("the recording is in the portal"),
        Reason("the recording is on its way"),
        Reason("no recording"),
    ),
)


def stages(call: CallRow) -> list[Stage]:
    """What has become of a test call, in order."""
    sent = {step.kind: step for step in call.sent}
    where = {"client": call.client or "—", "line": call.line or "—"}
    seen = {
        "incoming": Reason("seen on the PBX: {client} calls {line}", where),
        "outgoing": Reason("seen on the PBX: {client} is called", where),
    }.get(call.direction, Reason("seen on the PBX: a call between employees"))
    found = [Stage("ok", seen), *(_stage(sent[kind], *words) for kind, *words in _BEFORE if kind in sent)]
    if call.left_out:
        found.append(Stage("plain", Reason("a filter keeps it from the portal: {setting}", {"setting": call.left_out})))
    if call.outcome:
        found.append(Stage("ok", Reason("over:"), call.outcome))
    else:
        found.append(Stage("live", Reason("under way: talk, then hang up")))
    return found + [_stage(sent[kind], *words) for kind, *words in _AFTER if kind in sent]


def _stage(step: SentStep, done: Reason, asked: Reason, skipped: Reason) -> Stage:
    if step.state == "done":
        return Stage("ok", done)
    if step.state == "skipped":
        return Stage("plain", skipped)
    return Stage("problem", asked, error=step.error) if step.state == "dead" else Stage("live", asked)
