"""The journal for programs: calls found by the same filters as on the page, and the story of one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from perezvon.calls.call import iso
from perezvon.settings.errors import told
from perezvon.storage import search
from perezvon.storage.calls import StoredCall
from perezvon.storage.database import Database
from perezvon.storage.steps import Step
from perezvon.web.asked_of_portal import asking, plain
from perezvon.web.call_desk import CallDesk, Foretold, check
from perezvon.web.call_story import sentences
from perezvon.web.call_support import clean
from perezvon.web.calls_pages import PAGE, asked, narrowing
from perezvon.web.gate import visitor_of
from perezvon.web.kept_call import kept_call
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Switchroom
from perezvon.web.translations import Language, catalog

FILTERS: Mapping[str, str] = {
    "client": "digits anywhere in the client's number",
    "line": "digits anywhere in the company's number that was dialled",
    "employee": "the extension that talked last",
    "direction": "incoming, outgoing, internal",
    "outcome": "answered, missed, busy, no_answer, cancelled, failed; live: under way",
    "since": "the first day, 2026-09-21, of the time zone of the machine that Perezvon runs on",
    "until": "the last day",
    "after": "`older` of the page before",
}
"""What a query may have; what is not understood does not narrow."""


MASKED = {
    "parameters": [
        {
            "name": "masked",
            "in": "query",
            "description": "1: numbers and names cannot be recognised",
            "schema": {"type": "string"},
        }
    ]
}


class CallTold(BaseModel):
    """Times are ISO 8601, UTC; `duration`: seconds of talk. `portal`: empty when no portal was told of the call."""

    id: str
    pbx: str
    portal: str
    direction: str
    client: str
    line: str
    started: str
    answered: str | None
    ended: str | None
    live: bool
    outcome: str | None
    duration: float
    last_talker: str
    last_talker_name: str


class CallsFound(BaseModel):
    """Newest first. `older`: for the next page's `after`, empty on the last one."""

    calls: list[CallTold]
    older: str


class FactTold(BaseModel):
    """`told`: in a sentence; `values`: of this kind of fact, times in them are POSIX seconds."""

    at: str
    kind: str
    told: str
    values: dict[str, Any]


class DecisionTold(BaseModel):
    """`requests`: keys of what was asked of the portal because of it."""

    at: str
    why: str
    requests: list[str]


class RequestTold(BaseModel):
    """One request to a portal, without secrets. `id`: for /api/deliveries/steps/. `fix`: what to do about a refusal."""

    id: int
    key: str
    kind: str
    state: str
    why: str
    attempts: int
    created: str
    sent: str | None
    finished: str | None
    params: Any
    answer: Any
    error: str
    note: str
    fix: str
    may_be_sent_again: bool
    may_be_left_out: bool


class RecordingTold(BaseModel):
    """Where `seconds` are told, there is the sound: /calls/{call}/recordings/{id}, with the right `recordings`."""

    id: int
    state: str
    seconds: float | None


class Story(BaseModel):
    """What happened, what was decided and why, what was sent and answered. `record`: of an ended call."""

    call: CallTold
    record: dict[str, Any]
    facts: list[FactTold]
    decisions: list[DecisionTold]
    requests: list[RequestTold]
    recordings: list[RecordingTold]
    hooks: list[dict[str, Any]]


class ForetoldRequest(BaseModel):
    """`params`: without secrets."""

    method: str
    params: Any


class ForetoldDecision(BaseModel):
    """`as_then`: the same was decided in the call."""

    why: str
    as_then: bool
    requests: list[ForetoldRequest]


class WhatIfTold(BaseModel):
    """`decisions`: null where nothing can be foretold: the call goes on, or its PBX has no portal now. `missing`: decided
    then, but not now."""

    same: bool
    decisions: list[ForetoldDecision] | None
    missing: list[str]


class SupportFile(BaseModel):
    """As the page gives it. `version`: of Perezvon; `events`: the PBX's own, as long as they are remembered."""

    version: str
    call: dict[str, Any]
    facts: list[dict[str, Any]]
    decisions: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    recordings: list[dict[str, Any]]
    hooks: list[dict[str, Any]]
    events: list[dict[str, Any]]


def routes(database: Database, spoken: Callable[[Request], Language], room: Switchroom | None = None) -> APIRouter:
    router = APIRouter(prefix="/api/journal", tags=["journal"])
    desk = CallDesk(database, room)
    queries = [{"name": n, "in": "query", "description": what, "schema": {"type": "string"}} for n, what in FILTERS.items()]

    @router.get("", summary="The journal of calls", openapi_extra={"parameters": queries})
    @needs(Right.CALLS)
    async def found(request: Request) -> CallsFound:  # pyright: ignore[reportUnusedFunction]
        wanted = asked(narrowing(request), request.query_params.get("after", ""))
        async with database.read() as conn:
            rows = await search.found(conn, wanted, PAGE + 1)
            names = await search.names(conn, {row.last_talker for row in rows if row.last_talker})
        last = rows[PAGE - 1] if len(rows) > PAGE else None
        older = "" if last is None else f"{last.started!r} {last.id}"
        return CallsFound(calls=[_call(row, names) for row in rows[:PAGE]], older=older)

    @router.get("/{call}", summary="What happened in a call, what was decided and why, what was sent")
    @needs(Right.CALLS)
    async def one(call: str, request: Request) -> Story:  # pyright: ignore[reportUnusedFunction]
        check(call)
        kept = await kept_call(database, call)
        word = catalog(spoken(request)).gettext
        lines = sentences(kept.facts, kept.row.started, kept.named, word)
        return Story(
            call=_call(kept.row, kept.names),
            record=clean(kept.record),
            facts=[
                FactTold(at=_at(line.at), kind=type(fact).__name__, told=told(line.what, word), values=clean(fact))
                for fact, line in zip(kept.facts, lines, strict=True)
            ],
            decisions=[DecisionTold(at=_at(at), why=told(why, word), requests=keys) for at, why, keys in kept.decisions],
            requests=[request_told(step, word) for step in kept.steps],
            recordings=[RecordingTold(id=one.id, state=one.state.value, seconds=one.seconds) for one in kept.recordings],
            hooks=[
                {"point": said.point, "fate": said.fate.value, "why": told(said.note, word) if said.note else ""}
                for said in (room.said(call) if room is not None else ())
            ],
        )

    @router.get("/{call}/what-if", summary="What would be decided with the present settings; nothing is sent")
    @needs(Right.CALLS)
    async def what_if(call: str, request: Request) -> WhatIfTold:  # pyright: ignore[reportUnusedFunction]
        found = await desk.what_if(call)
        word = catalog(spoken(request)).gettext
        return WhatIfTold(
            same=found.same,
            decisions=None if found.decisions is None else [_foretold(one, word) for one in found.decisions],
            missing=[told(why, word) for why in found.missing],
        )

    @router.get(
        "/{call}/support", summary="All that is known of a call as one file, for whoever is to help", openapi_extra=MASKED
    )
    @needs(Right.EXPORTS)
    async def support(call: str, request: Request) -> SupportFile:  # pyright: ignore[reportUnusedFunction]
        masked = request.query_params.get("masked", "") == "1"
        text = await desk.support(visitor_of(request).actor, call, masked=masked)
        return SupportFile.model_validate_json(text)

    return router


def _foretold(one: Foretold, word: Callable[[str], str]) -> ForetoldDecision:
    requests = [ForetoldRequest(method=method, params=params) for method, params in one.requests]
    return ForetoldDecision(why=told(one.reason, word), as_then=one.as_then, requests=requests)


def request_told(step: Step, word: Callable[[str], str]) -> RequestTold:
    seen = asking(step)
    return RequestTold(
        id=step.id,
        key=step.key,
        kind=step.kind.value,
        state=step.state.value,
        why=told(step.reason, word),
        attempts=step.attempts,
        created=_at(step.created),
        sent=iso(step.sent),
        finished=iso(step.finished),
        params=plain(step.params),
        answer=plain(step.result),
        error=seen.error,
        note=told(step.note, word) if step.note else "",
        fix=told(seen.fix, word) if seen.fix else "",
        may_be_sent_again=seen.again,
        may_be_left_out=seen.skip,
    )


def _call(row: StoredCall, names: Mapping[str, str]) -> CallTold:
    return CallTold(
        id=row.id,
        pbx=row.pbx,
        portal=row.portal,
        direction=row.direction.value,
        client=row.client,
        line=row.line,
        started=_at(row.started),
        answered=iso(row.answered),
        ended=iso(row.ended),
        live=row.live,
        outcome=row.outcome.value if row.outcome else None,
        duration=row.duration,
        last_talker=row.last_talker,
        last_talker_name=names.get(row.last_talker, ""),
    )


def _at(moment: float) -> str:
    return iso(moment) or ""
