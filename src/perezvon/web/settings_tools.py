"""What stands beside the forms of settings: numbers tried, the week drawn, the task shown, employees and their extensions.

Tools beside a form take what is typed there and not saved yet: the page sends the whole form with every look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from perezvon.customisation import Point
from perezvon.ivr.finding import Part, find_prompt
from perezvon.ivr.hearing import hear
from perezvon.recordings.errors import NotThere, OutsideFolder, Unreadable
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import InvalidSettings, SettingsError
from perezvon.settings.model import Settings
from perezvon.storage import employees
from perezvon.storage.database import Database
from perezvon.web.frame import Frame
from perezvon.web.gate import form_of, texts_of
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.settings_desk import NothingToTry, PointTrial, SettingsDesk
from perezvon.web.settings_reading import read
from perezvon.web.settings_sections import page_of
from perezvon.web.staff import Staff, staff
from perezvon.web.status import StatusSource
from perezvon.web.week import drawn

LONGEST = 100
SOUNDS = {
    **{".mp3": "audio/mpeg", ".wav": "audio/wav", ".flac": "audio/flac", ".m4a": "audio/mp4"},
    **{".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg"},
}
"""What browsers play."""


def routes(desk: SettingsDesk, database: Database, status: StatusSource, frame: Frame) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    hearing, trying = asyncio.Lock(), asyncio.Lock()

    async def wanted(path: str, request: Request) -> tuple[Settings | None, Reason | None, Mapping[str, Sequence[str]]]:
        """The settings with what the form of the page of `path` wants, or what is wrong with it."""
        form = await texts_of(request)
        page = page_of(path)
        assert page is not None, path
        try:
            draft, found = await read(desk, page, form)
            settings = draft.settings
        except InvalidSettings as error:
            return None, error.mistakes[0].reason, form
        except SettingsError as error:
            return None, error.reason, form
        if found.mistakes:
            return None, found.mistakes[0].reason, form
        return settings, None, form

    def shown(request: Request, template: str, why: Reason | None, **values: Any) -> Response:
        return frame.page(request, template, why=why, **values)

    @router.post("/settings/numbers/try")
    @needs(Right.SETTINGS)
    async def try_number(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        settings, why, form = await wanted("numbers.to_crm", request)
        number, line = (form.get(name, [""])[-1].strip()[:LONGEST] for name in ("try_number", "try_line"))
        trial = desk.try_number(settings, number, line) if settings is not None and number else None
        return shown(request, "tool_numbers.html", why, trial=trial)

    @router.post("/settings/working-time/week")
    @needs(Right.SETTINGS)
    async def week(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        settings, why, _ = await wanted("working_time.week", request)
        now = (await status.status()).now
        return shown(request, "tool_week.html", why, weeks=() if settings is None else drawn(settings, now))

    @router.post("/settings/missed/preview")
    @needs(Right.SETTINGS)
    async def task(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        settings, why, _ = await wanted("missed.task", request)
        previews = () if settings is None else desk.preview_tasks(settings)
        return shown(request, "tool_task.html", why, previews=previews, on=settings is not None and settings.missed.task)

    @router.post("/settings/menu/try")
    @needs(Right.SETTINGS)
    async def try_menu(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        settings, why, form = await wanted("ivr.query", request)
        number = form.get("try_number", [""])[-1].strip()[:LONGEST]
        if settings is None or not number:
            return shown(request, "tool_menu.html", why, heard=None)
        async with hearing:  # the company's database is asked, recordings are converted
            return shown(request, "tool_menu.html", why, heard=await hear(database, settings, number))

    @router.get("/settings/menu/prompt/{part}")
    @needs(Right.SETTINGS)
    async def prompt(part: Part, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """The company's recording as it lies in its folder, of the saved settings."""
        folder = (await desk.now()).settings.ivr.sounds
        try:
            file = await asyncio.to_thread(
                find_prompt, Path(folder or "/nowhere"), part, request.query_params.get("name", "")
            )
        except (NotThere, OutsideFolder, Unreadable, OSError, ValueError):
            raise Refused(NOT_THERE) from None
        return FileResponse(file, media_type=SOUNDS.get(file.suffix.lower(), "application/octet-stream"))

    @router.post("/settings/customisation/try")
    @needs(Right.SETTINGS)
    async def try_point(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        point = next((one for one in Point if one.value == form.get("point")), None)
        if point is None:
            raise Refused(NOT_THERE)
        trials, why = list[PointTrial](), None
        async with trying:
            try:
                trials = await desk.try_point(point, form.get("call", "").strip()[:LONGEST])
            except NothingToTry as nothing:
                why = nothing.reason
        return shown(request, "tool_point.html", why, trials=trials, point=point.value)

    @router.get("/settings/employees")
    @needs(Right.SETTINGS)
    async def map_of_employees(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now, settings = await status.status(), (await desk.now()).settings
        found: list[Staff] = []
        async with database.read() as conn:
            for portal in settings.portal:
                people, refreshed = await employees.load(conn, portal.name)
                found.append(staff(portal.name, people, refreshed, now.unmapped))
        addresses = {portal.name: f"https://{portal.host}" for portal in now.portals if portal.host}
        return frame.page(request, "employees.html", staffs=found, addresses=addresses, now=now.now)

    return router
