"""The audit log for programs: who changed what, when, from where."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.requests import Request

from perezvon.calls.call import iso
from perezvon.web.people import People
from perezvon.web.people_pages import PAGE, after_of
from perezvon.web.rights import Right, needs

AFTER = {"name": "after", "in": "query", "description": "`older` of the page before", "schema": {"type": "string"}}


class EntryTold(BaseModel):
    """`action`: one word for each kind of change; `detail` never has a secret."""

    id: int
    at: str
    who: str
    action: str
    subject: str
    detail: str
    peer: str


class AuditLog(BaseModel):
    """Newest first. `older`: for the next page's `after`, empty on the last one."""

    entries: list[EntryTold]
    older: str


def routes(people: People) -> APIRouter:
    router = APIRouter(prefix="/api/audit", tags=["audit"])

    @router.get("", summary="The audit log", openapi_extra={"parameters": [AFTER]})
    @needs(Right.AUDIT)
    async def log(request: Request) -> AuditLog:  # pyright: ignore[reportUnusedFunction]
        entries = await people.entries(PAGE + 1, after_of(request.query_params.get("after", "")))
        last = entries[PAGE - 1] if len(entries) > PAGE else None
        return AuditLog(
            entries=[
                EntryTold(
                    id=one.id,
                    at=iso(one.at) or "",
                    who=one.who,
                    action=one.action,
                    subject=one.subject,
                    detail=one.detail,
                    peer=one.peer,
                )
                for one in entries[:PAGE]
            ],
            older="" if last is None else f"{last.at!r} {last.id}",
        )

    return router
