"""The settings for programs: read without secrets, changed on top of the version that was read, their history, undo.

A change names what it replaces, as a file for `perezvon config apply` does; it is checked and saved by the same desk as the
pages' forms.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, cast

from fastapi import APIRouter, Path
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from perezvon.calls.call import iso
from perezvon.rules.vocabulary import Reason
from perezvon.settings.changes import Change, changes
from perezvon.settings.errors import InvalidSettings, Mistake, SettingsError, told
from perezvon.settings.load import dumped, masked, merged
from perezvon.settings.model import Settings
from perezvon.settings.store import HistoryEntry, NoSuchVersion, SavedMeanwhile, Version
from perezvon.settings.upgrade import upgraded
from perezvon.web.gate import visitor_of
from perezvon.web.json_body import BODY_ANSWERS, NO_OBJECT, described_body, object_of
from perezvon.web.refusals import NOT_THERE, Refusal, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.settings_desk import SettingsDesk
from perezvon.web.translations import Language, catalog

LARGEST_BODY = 1024 * 1024
SLOWEST_BODY = 10.0
"""Seconds."""
LONGEST_NOTE = 500
PAGE = 20

MEANWHILE = Refusal(409, "saved_meanwhile", Reason("somebody else has saved the settings meanwhile: read them again"))
FIELDS = Reason("the body of this action has these fields: {fields}")

ON = {"type": "integer", "minimum": 0, "description": "the version that was read"}
NOTE = {"type": "string", "maxLength": LONGEST_NOTE, "description": "for the history"}
DRY = {"type": "boolean", "description": "tell what would change, and save nothing"}
NAMED = {"type": "object", "description": "what is to be replaced; a masked secret stays as it is"}
CHANGE = described_body({"on": ON, "settings": NAMED, "note": NOTE, "dry": DRY}, "on", "settings")
RESTORE = described_body({"on": ON, "dry": DRY}, "on")
BEFORE = {"name": "before", "in": "query", "description": "`older` of the page before", "schema": {"type": "string"}}

Number = Annotated[int, Path(ge=0, le=2**53)]


class ChangeTold(BaseModel):
    """TOML values with secrets masked; a changed secret looks the same on both sides and has `secret`."""

    path: str
    before: str | None
    after: str | None
    secret: bool


class SettingsNow(BaseModel):
    """`version` 0: nothing has been saved yet. `settings`: those that are set, as in an export: secrets are masked."""

    version: int
    at: str | None
    who: str
    note: str
    settings: dict[str, Any]


class VersionTold(BaseModel):
    """`changes`: null where the key of its secrets is lost."""

    id: int
    at: str
    who: str
    note: str
    changes: list[ChangeTold] | None


class History(BaseModel):
    """Newest first. `older`: for the next page's `before`, null on the last one."""

    versions: list[VersionTold]
    older: int | None


class SettingsSaved(BaseModel):
    """`version`: the newest one now; without changes none is added. `warnings`: about what only the portal knows."""

    version: int
    changes: list[ChangeTold]
    warnings: list[str]


class MistakeTold(BaseModel):
    """`path`: of the faulty setting, as `line[0].number`."""

    path: str
    message: str


class InvalidTold(BaseModel):
    error: str
    message: str
    mistakes: list[MistakeTold]


ANSWERS: dict[int | str, dict[str, Any]] = {
    **BODY_ANSWERS,
    409: {"description": "Somebody has saved the settings meanwhile"},
    422: {"description": "Settings are wrong: `mistakes` names each of them", "model": InvalidTold},
}


def routes(desk: SettingsDesk, spoken: Callable[[Request], Language]) -> APIRouter:
    router = APIRouter(prefix="/api/settings", tags=["settings"])

    @router.get("", summary="The settings, without secrets")
    @needs(Right.SETTINGS)
    async def now() -> SettingsNow:  # pyright: ignore[reportUnusedFunction]
        version = await _newest()
        at = iso(version.at) if version.id else None
        named = dumped(version.settings, masked)
        return SettingsNow(version=version.id, at=at, who=version.who, note=version.note, settings=named)

    @router.get("/history", summary="The history of the settings", openapi_extra={"parameters": [BEFORE]})
    @needs(Right.SETTINGS)
    async def history(request: Request) -> History:  # pyright: ignore[reportUnusedFunction]
        before = request.query_params.get("before", "")
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        entries = await desk.history(PAGE + 1, number)
        older = entries[PAGE - 1].id if len(entries) > PAGE else None
        return History(versions=[_version(one) for one in entries[:PAGE]], older=older)

    @router.patch(
        "",
        summary="Change settings",
        response_model=SettingsSaved,
        openapi_extra=CHANGE,
        responses=ANSWERS,
    )
    @needs(Right.SETTINGS)
    async def change(request: Request) -> SettingsSaved | Response:  # pyright: ignore[reportUnusedFunction]
        on, given = await _asked(request, ("on", "settings", "note", "dry"))
        named, note = given.get("settings"), given.get("note", "")
        if not isinstance(named, dict) or not isinstance(note, str) or len(note) > LONGEST_NOTE:
            raise _malformed("on", "settings", "note", "dry")
        wanted = cast("dict[str, Any]", named)
        note = " ".join(note.replace("\0", "").split())
        return await _save(request, on, note, given, lambda before: _merged(before, wanted))

    @router.post(
        "/history/{number}/restore",
        summary="Go back to an earlier version of the settings",
        response_model=SettingsSaved,
        openapi_extra=RESTORE,
        responses=ANSWERS,
    )
    @needs(Right.SETTINGS)
    async def restore(number: Number, request: Request) -> SettingsSaved | Response:  # pyright: ignore[reportUnusedFunction]
        on, given = await _asked(request, ("on", "dry"))
        try:
            earlier = (await desk.version(number)).settings
        except NoSuchVersion:
            raise Refused(NOT_THERE) from None
        except SettingsError as error:
            raise _unreadable(error) from None
        return await _save(request, on, f"undo: back to version {number}", given, lambda _: earlier)

    async def _newest() -> Version:
        try:
            return await desk.now()
        except SettingsError as error:
            raise _unreadable(error) from None

    async def _save(
        request: Request, on: int, note: str, given: dict[str, Any], make: Callable[[Settings], Settings]
    ) -> SettingsSaved | Response:
        before = await _newest()
        if before.id != on:
            raise Refused(MEANWHILE)
        word = catalog(spoken(request)).gettext
        try:
            after = make(before.settings)
            warnings = [told(one, word) for one in await desk.check(before.settings, after)]
            if given.get("dry", False):
                found, version = changes(before.settings, after), before.id
            else:
                saved = await desk.save(before, after, visitor_of(request).name, note)
                found, version = saved.changes, saved.version.id
        except InvalidSettings as error:
            return JSONResponse(_invalid(error.mistakes, told(error.reason, word), word), 422)
        except SavedMeanwhile:
            raise Refused(MEANWHILE) from None
        except SettingsError as error:
            raise _unreadable(error) from None
        return SettingsSaved(version=version, changes=[_change(one) for one in found], warnings=warnings)

    return router


def _merged(before: Settings, named: dict[str, Any]) -> Settings:
    """Raises InvalidSettings; Refused for what is nested too deeply to be settings."""
    try:
        return merged(before, upgraded(named))
    except RecursionError:
        raise Refused(NO_OBJECT) from None


async def _asked(request: Request, fields: Sequence[str]) -> tuple[int, dict[str, Any]]:
    """The version that the body is about, and the body. Raises Refused."""
    given = await object_of(request, LARGEST_BODY, SLOWEST_BODY)
    on, dry = given.get("on"), given.get("dry", False)
    if not isinstance(on, int) or isinstance(on, bool) or not isinstance(dry, bool) or not given.keys() <= set(fields):
        raise _malformed(*fields)
    return on, given


def _malformed(*fields: str) -> Refused:
    return Refused(Refusal(400, "malformed", Reason(FIELDS.text, {"fields": ", ".join(fields)})))


def _unreadable(error: SettingsError) -> Refused:
    return Refused(Refusal(503, "settings_unreadable", error.reason))


def _invalid(mistakes: Sequence[Mistake], message: str, word: Callable[[str], str]) -> dict[str, Any]:
    named = [{"path": one.path, "message": told(one.reason, word)} for one in mistakes]
    return {"error": "settings_invalid", "message": message, "mistakes": named}


def _change(one: Change) -> ChangeTold:
    return ChangeTold.model_validate(one.as_json())


def _version(one: HistoryEntry) -> VersionTold:
    found = None if one.changes is None else [_change(change) for change in one.changes]
    return VersionTold(id=one.id, at=iso(one.at) or "", who=one.who, note=one.note, changes=found)
