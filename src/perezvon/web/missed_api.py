"""Clients who wait for a call back, for programs; and calling them back, by the same desk as the page's button."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from perezvon.calls.call import iso
from perezvon.rules.missed import Missed
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import told
from perezvon.web.call_back_desk import NO_PHONE, NOT_HIS, OLD_PAGE, CallBackDesk, Cell
from perezvon.web.gate import visitor_of
from perezvon.web.json_body import BODY_ANSWERS, described_body, object_of
from perezvon.web.refusals import Refusal, Refused
from perezvon.web.rights import Right, needs
from perezvon.web.switchroom import Telephone
from perezvon.web.translations import Language, catalog

LARGEST_BODY = 4096
SLOWEST_BODY = 5.0
"""Seconds."""

FIELDS: Mapping[str, int] = {"portal": 100, "client": 40, "telephone": 100, "ticket": 100}
"""And how long they may be. `telephone`: a `user` of the list, else that of the responsible rings."""

CALL_BACK = {
    **described_body({name: {"type": "string", "maxLength": most} for name, most in FIELDS.items()}, "portal", "client"),
    "x-actions": {"call-back": list(FIELDS)},
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    **BODY_ANSWERS,
    404: {"description": "This client was never missed"},
    409: {"description": "He cannot be called back now, or not by this telephone"},
}

CODES: Mapping[str, str] = {NO_PHONE.text: "no_telephone", NOT_HIS.text: "no_telephone", OLD_PAGE.text: "old_ticket"}
MALFORMED = Refusal(400, "malformed", Reason("the body must have portal and client, and may have telephone and ticket"))


class CallBackTold(BaseModel):
    """What became of the last call back of the last hour. `state`: new, dialling, calling, finished, dropped; `who`: whose
    telephone rings; `call`: the id in the journal; `why`: nothing came of it."""

    state: str
    who: str
    call: str
    why: str


class MissedTold(BaseModel):
    """`first`: the missed call since which nobody has talked with him; `misses`: how many there were. `task`,
    `responsible`: of the portal. `ticket`: for calling back; two orders with the same are one."""

    portal: str
    client: str
    first: str
    last: str
    misses: int
    task: str
    responsible: str
    responsible_name: str
    called_back: str | None
    ticket: str
    call_back: CallBackTold | None


class TelephoneTold(BaseModel):
    portal: str
    user: str
    name: str
    extension: str


class MissedCalls(BaseModel):
    """`waiting`: who waits longest first; `called_back`: of the last day, the last first. `telephones`: which can ring, for
    who may call back."""

    waiting: list[MissedTold]
    called_back: list[MissedTold]
    telephones: list[TelephoneTold]


class Ordered(BaseModel):
    """His telephone rings first; what becomes of it is in the list."""

    telephone: TelephoneTold


def routes(desk: CallBackDesk, spoken: Callable[[Request], Language]) -> APIRouter:
    router = APIRouter(prefix="/api/missed", tags=["missed"])

    @router.get("", summary="Clients who wait for a call back")
    @needs(Right.CALLS)
    async def look(request: Request) -> MissedCalls:  # pyright: ignore[reportUnusedFunction]
        seen, word = await desk.look(), catalog(spoken(request)).gettext

        def one(missed: Missed) -> MissedTold:
            name = seen.people.get(missed.responsible, "")
            return _missed(missed, name, desk.cell(missed.portal, missed.client, seen.ordered), word)

        may = visitor_of(request).may(Right.CALL_BACK)
        portals = dict.fromkeys(missed.portal for missed in seen.waiting) if may else ()
        phones = [_telephone(portal, phone) for portal in portals for phone in desk.telephones(portal)]
        return MissedCalls(
            waiting=[one(missed) for missed in seen.waiting],
            called_back=[one(missed) for missed in seen.back],
            telephones=phones,
        )

    @router.post(
        "/call-back",
        summary="Ring an employee, then the client who was missed",
        status_code=202,
        openapi_extra=CALL_BACK,
        responses=ANSWERS,
    )
    @needs(Right.CALL_BACK)
    async def call_back(request: Request) -> Ordered:  # pyright: ignore[reportUnusedFunction]
        given = await object_of(request, LARGEST_BODY, SLOWEST_BODY)
        texts = {name: one.replace("\0", "") for name, one in given.items() if isinstance(one, str)}
        fits = all(name in FIELDS and len(one) <= FIELDS[name] for name, one in texts.items())
        if len(texts) < len(given) or not fits or not texts.get("portal") or not texts.get("client"):
            raise Refused(MALFORMED)
        portal, ticket = texts["portal"], texts.get("ticket") or desk.ticket()
        actor = visitor_of(request).actor
        phone, why = await desk.call_back(actor, portal, texts["client"], texts.get("telephone", ""), ticket)
        if why is not None or phone is None:
            why = why or NO_PHONE
            raise Refused(Refusal(409, CODES.get(why.text, "refused"), why))
        return Ordered(telephone=_telephone(portal, phone))

    return router


def _telephone(portal: str, phone: Telephone) -> TelephoneTold:
    return TelephoneTold(portal=portal, user=phone.user, name=phone.name, extension=phone.extension)


def _missed(one: Missed, name: str, cell: Cell, word: Callable[[str], str]) -> MissedTold:
    why = told(cell.why, word) if cell.why else ""
    return MissedTold(
        portal=one.portal,
        client=one.client,
        first=iso(one.first) or "",
        last=iso(one.last) or "",
        misses=one.misses,
        task=one.task,
        responsible=one.responsible,
        responsible_name=name,
        called_back=iso(one.called_back),
        ticket=cell.ticket,
        call_back=CallBackTold(state=cell.state, who=cell.who, call=cell.call, why=why) if cell.state else None,
    )
