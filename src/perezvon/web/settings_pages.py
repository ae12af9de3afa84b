"""The pages of the settings: forms by section, what would change before it is saved, history, files.

Nothing is saved without having been shown: a form, a file and an earlier version all become a draft (settings_draft.py),
the draft is looked at, and then saved on top of the version that it was made of. When somebody has saved meanwhile, both
are joined and looked at once more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.rules.vocabulary import Reason
from perezvon.settings import toml
from perezvon.settings.changes import changes
from perezvon.settings.errors import InvalidSettings, Mistake, SettingsError
from perezvon.settings.load import Named, dumped, masked, merged, parse, plainly, settings_from
from perezvon.settings.model import Settings
from perezvon.settings.offered import What
from perezvon.settings.store import EMPTY, NoSuchVersion, SavedMeanwhile, Version
from perezvon.storage import audit
from perezvon.storage.database import Database
from perezvon.web import settings_tools
from perezvon.web.deeds import Deed
from perezvon.web.frame import Frame
from perezvon.web.gate import form_of, texts_of, visitor_of
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.settings_desk import SettingsDesk
from perezvon.web.settings_draft import Draft, draft_of, joined, opened
from perezvon.web.settings_form import marks_on, view
from perezvon.web.settings_offers import Offers, doubt_of, lists_of
from perezvon.web.settings_reading import read
from perezvon.web.settings_sections import PAGES, SettingsPage, page_of
from perezvon.web.settings_words import choice, place_of, search, told_change
from perezvon.web.status import StatusSource
from perezvon.web.translations import catalog

PAGE = 20
_WITH_STATUS = ("lines", "customisation")
"""Pages that show beside their settings what has been seen."""
LONGEST_NOTE = 500
_ENGLISH = catalog("en").gettext

Number = Annotated[int, Path(ge=0, le=2**53)]


def routes(desk: SettingsDesk, database: Database, status: StatusSource, frame: Frame) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/settings")
    @needs(Right.SETTINGS)
    async def overview(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        wanted = request.query_params.get("q", "")[:200]
        translate = catalog(frame.spoken(request)).gettext
        hits = search(wanted, translate, _ENGLISH)
        return frame.page(request, "settings.html", pages=PAGES, wanted=wanted, hits=hits, now=await desk.now())

    # History and files: before the pages, whose addresses would take them

    @router.get("/settings/history")
    @needs(Right.SETTINGS)
    async def history(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        before = request.query_params.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        entries = await desk.history(PAGE + 1, number)
        translate = catalog(frame.spoken(request)).gettext
        told = [
            (entry, None if entry.changes is None else [told_change(one, translate) for one in entry.changes])
            for entry in entries[:PAGE]
        ]
        newest = (await desk.now()).id
        older = entries[PAGE - 1].id if len(entries) > PAGE else None
        return frame.page(request, "settings_history.html", entries=told, older=older, newest=newest)

    @router.post("/settings/history/{number}/restore")
    @needs(Right.SETTINGS)
    async def restore(number: Number, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        now = await desk.now()
        try:
            wanted = (await desk.version(number)).settings
        except NoSuchVersion:
            raise Refused(NOT_THERE) from None
        except SettingsError as error:
            return await _files_page(request, error)
        return await _review(request, draft_of(now.id, wanted, note=f"undo: back to version {number}"), now)

    @router.get("/settings/files")
    @needs(Right.SETTINGS)
    async def files(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await _files_page(request)

    async def _files_page(request: Request, error: SettingsError | None = None) -> Response:
        mistakes: Sequence[Mistake] = ()
        if isinstance(error, InvalidSettings):
            mistakes = error.mistakes
        elif error is not None:
            mistakes = (Mistake("", None, error.reason),)
        return frame.page(request, "settings_files.html", 400 if error else 200, mistakes=mistakes)

    @router.post("/settings/export")
    @needs(Right.SETTINGS)
    async def export(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        secrets = (await form_of(request)).get("secrets") == "on"
        settings = (await desk.now()).settings
        actor, what = visitor_of(request).actor, "TOML, with secrets" if secrets else "TOML"
        await database.write(lambda conn: audit.note(conn, actor.did(time.time(), Deed.EXPORTED, "settings", what)))
        text = toml.written(dumped(settings, plainly if secrets else masked))
        headers = {"Content-Disposition": 'attachment; filename="perezvon.toml"'}
        return Response(text, media_type="application/toml; charset=utf-8", headers=headers)

    @router.post("/settings/import")
    @needs(Right.SETTINGS)
    async def bring(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await texts_of(request)
        file = (await request.form()).get("file")
        text, name = form.get("text", [""])[-1], "settings.toml"
        if isinstance(file, UploadFile) and file.filename:
            text, name = (await file.read()).decode("utf-8", "replace"), file.filename[:100]
        now = await desk.now()
        try:
            before = EMPTY if "replace" in form else now.settings
            named = parse(text)
            wanted = merged(before, named, text=text)
            if "replace" in form and "database" not in named:
                wanted = settings_from(_with_place(dumped(wanted, plainly), now.settings))
        except SettingsError as error:
            return await _files_page(request, error)
        return await _review(request, draft_of(now.id, wanted, note=f"apply {name}"), now)

    router.include_router(settings_tools.routes(desk, database, status, frame))

    # A draft: looked at, saved, taken up again

    async def _review(
        request: Request,
        draft: Draft,
        now: Version,
        *,
        met: Version | None = None,
        note: str | None = None,
        wrong: Sequence[Mistake] = (),
    ) -> Response:
        """`met`: the version that has come between. Nothing to save is told on the page it came from."""
        translate = catalog(frame.spoken(request)).gettext
        wanted, warnings = now.settings, list[Reason]()
        try:
            wanted = draft.settings
            if not wrong:
                warnings = await desk.check(now.settings, wanted)
        except InvalidSettings as error:
            wrong = error.mistakes
        clashes: frozenset[str] = frozenset()
        if met is not None:
            earlier = (await desk.version(draft.on)).settings
            theirs = {change.path for change in changes(earlier, now.settings)}
            clashes = frozenset(change.path for change in changes(now.settings, wanted) if change.path in theirs)
        found = [told_change(one, translate, clashes) for one in changes(now.settings, wanted)]
        page = _page(draft.slug)
        if page is not None and wrong and any(page_of(mistake.path) is page for mistake in wrong):
            return await _form(request, page, draft.named, draft.on, 400, mistakes=wrong, sealed=draft.sealed(desk))
        fresh = Draft(now.id, draft.named, draft.slug, draft.note)
        return frame.page(
            request,
            "settings_review.html",
            409 if met is not None else 400 if wrong else 200,
            changes=found,
            warnings=warnings,
            mistakes=wrong,
            places=[" · ".join(place_of(mistake.path, translate, counted=True)) for mistake in wrong],
            met=met,
            page=page,
            moved=now.settings.database.url != wanted.database.url,
            draft=fresh.sealed(desk),
            note=draft.note if note is None else note,
        )

    @router.post("/settings/save")
    @needs(Right.SETTINGS)
    async def save(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        note = " ".join(form.get("note", "").split())[:LONGEST_NOTE]
        try:
            draft = opened(form.get("draft", ""), desk)
        except SettingsError as error:
            return await _files_page(request, error)
        now = await desk.now()
        if draft.on != now.id:
            return await _meeting(request, draft, now, note)
        try:
            saved = await desk.save(now, draft.settings, visitor_of(request).name, note)
        except SavedMeanwhile:
            return await _meeting(request, draft, await desk.now(), note)
        except InvalidSettings as error:
            return await _review(request, draft, now, note=note, wrong=error.mistakes)
        page = _page(draft.slug)
        return RedirectResponse(f"/settings/{page.slug if page else 'history'}?saved={saved.version.id}", 303)

    async def _meeting(request: Request, draft: Draft, now: Version, note: str) -> Response:
        """Somebody has saved meanwhile: what he changed stays, what this draft changes is laid over it."""
        earlier = dumped((await desk.version(draft.on)).settings, plainly)
        both = joined(earlier, draft.named, dumped(now.settings, plainly))
        return await _review(request, Draft(draft.on, both, draft.slug, draft.note), now, met=now, note=note)

    @router.post("/settings/{slug}/draft")
    @needs(Right.SETTINGS)
    async def take_up(slug: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        """Back from the review to the form, with everything that was typed."""
        page, sealed = _known(slug), (await form_of(request)).get("draft", "")
        try:
            draft = opened(sealed, desk)
        except SettingsError as error:
            return await _files_page(request, error)
        return await _form(request, page, draft.named, draft.on, sealed=sealed)

    # The pages

    async def _form(
        request: Request,
        page: SettingsPage,
        named: Named,
        on: int,
        code: int = 200,
        *,
        mistakes: Sequence[Mistake] = (),
        typed: dict[str, str] | None = None,
        sealed: str = "",
        **values: Any,
    ) -> Response:
        translate = catalog(frame.spoken(request)).gettext
        drawn = view(page, named, mistakes, typed)
        marks = marks_on(page)
        of_crm = any(mark.what in (What.FIELD, What.SOURCE) for mark in marks)
        offers = await desk.offers(crm=of_crm) if marks else Offers()
        aside = await status.status() if page.slug in _WITH_STATUS else None

        def place(path: str) -> str:
            return " · ".join(place_of(path, translate, counted=True))

        around: dict[str, Any] = {"pages": PAGES, "page": page, "view": drawn, "on": on, "draft": sealed, "wrong": mistakes}
        around |= {"offers": offers, "lists": lists_of(marks), "doubt_of": doubt_of}
        around["offers_missing"] = set(lists_of(marks)) - offers.known
        around |= {"choice": choice, "page_of": page_of, "place": place, "saved": "", "nothing": False, "aside": aside}
        return frame.page(request, "settings_page.html", code, **(around | values))

    @router.get("/settings/{slug}")
    @needs(Right.SETTINGS)
    async def page_of_settings(slug: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        page, now = _known(slug), await desk.now()
        saved = request.query_params.get("saved", "")
        return await _form(
            request, page, dumped(now.settings, plainly), now.id, saved=saved if saved == str(now.id) else ""
        )

    @router.post("/settings/{slug}")
    @needs(Right.SETTINGS)
    async def change(slug: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        page, form = _known(slug), await texts_of(request)
        told = partial(_form, request, page)
        try:
            draft, found = await read(desk, page, form)
        except SettingsError as error:
            return await _files_page(request, error)
        if found.mistakes:
            sealed = draft.sealed(desk)
            return await told(draft.named, draft.on, 400, mistakes=found.mistakes, typed=dict(found.typed), sealed=sealed)
        try:
            wanted: Settings = draft.settings
        except InvalidSettings as error:
            sealed = draft.sealed(desk)
            return await told(found.named, draft.on, 400, mistakes=error.mistakes, sealed=sealed)
        now = await desk.now()
        if now.id != draft.on:
            return await _meeting(request, draft, now, draft.note)
        if not changes(now.settings, wanted):
            return await told(draft.named, now.id, nothing=True)
        return await _review(request, draft, now)

    return router


def _known(slug: str) -> SettingsPage:
    """Raises Refused."""
    page = _page(slug)
    if page is None:
        raise Refused(NOT_THERE)
    return page


def _page(slug: str) -> SettingsPage | None:
    return next((page for page in PAGES if page.slug == slug), None)


def _with_place(named: Named, now: Settings) -> Named:
    """Whoever replaces all settings does not mean the place of the database."""
    url = now.database.url
    return named if url is None else {**named, "database": {"url": url.raw}}
