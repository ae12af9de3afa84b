"""Who may sign in, added and changed by an administrator; and the audit log of every change."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.web.frame import Frame
from perezvon.web.gate import form_of, is_secure, visitor_of
from perezvon.web.people import People, PeopleError
from perezvon.web.refusals import NOT_THERE, Refused
from perezvon.web.rights import Right, Role, needs

PAGE = 50

PersonId = Annotated[int, Path(ge=1, le=2**53)]


def routes(people: People, frame: Frame) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    async def everybody(request: Request, code: int = 200, **told: Any) -> Response:
        values: dict[str, Any] = {"people": await people.everybody(), "roles": list(Role), "why": None, "given": {}}
        return frame.page(request, "people.html", code, **(values | told))

    async def one(request: Request, person_id: int, code: int = 200, **told: Any) -> Response:
        try:
            person = await people.get(person_id)
        except PeopleError:
            raise Refused(NOT_THERE) from None
        values: dict[str, Any] = {"person": person, "roles": list(Role), "why": None, "link": ""}
        values["sessions"] = await people.sessions(person_id)
        values["tokens"] = await people.tokens(person_id)
        return frame.page(request, "person.html", code, **(values | told))

    @router.get("/people")
    @needs(Right.PEOPLE)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await everybody(request)

    @router.post("/people")
    @needs(Right.PEOPLE)
    async def add(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        try:
            role = role_of(form)
            person, link = await people.add(form.get("login", ""), form.get("name", ""), role, visitor_of(request).actor)
        except PeopleError as error:
            return await everybody(request, 400, why=error.reason, given=form)
        return await one(request, person.id, link=link_of(request, link))

    @router.get("/people/{person_id}")
    @needs(Right.PEOPLE)
    async def person_page(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await one(request, person_id)

    @router.post("/people/{person_id}")
    @needs(Right.PEOPLE)
    async def change(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form, actor = await form_of(request), visitor_of(request).actor
        try:
            role = role_of(form)
            await people.change(person_id, actor, name=form.get("name", ""), role=role, active="active" in form)
        except PeopleError as error:
            return await one(request, person_id, 400, why=error.reason)
        return RedirectResponse("/people", 303)

    @router.post("/people/{person_id}/reset")
    @needs(Right.PEOPLE)
    async def reset(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            _, link = await people.reset((await people.get(person_id)).login, visitor_of(request).actor)
        except PeopleError:
            raise Refused(NOT_THERE) from None
        return await one(request, person_id, link=link_of(request, link))

    @router.post("/people/{person_id}/sessions/end")
    @needs(Right.PEOPLE)
    async def end_session(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            person = await people.get(person_id)
        except PeopleError:
            raise Refused(NOT_THERE) from None
        digest = (await form_of(request)).get("session", "")[:64]
        await people.end_session(person, digest, visitor_of(request).actor)
        return RedirectResponse(f"/people/{person_id}", 303)

    @router.post("/people/{person_id}/tokens/withdraw")
    @needs(Right.PEOPLE)
    async def withdraw(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        number = (await form_of(request)).get("token", "")
        try:
            person = await people.get(person_id)
        except PeopleError:
            raise Refused(NOT_THERE) from None
        if number.isascii() and number.isdigit() and len(number) < 19:
            await people.drop_token(person, int(number), visitor_of(request).actor)
        return RedirectResponse(f"/people/{person_id}", 303)

    @router.post("/people/{person_id}/remove")
    @needs(Right.PEOPLE)
    async def remove(person_id: PersonId, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            await people.remove(person_id, visitor_of(request).actor)
        except PeopleError as error:
            return await one(request, person_id, 400, why=error.reason)
        return RedirectResponse("/people", 303)

    @router.get("/audit")
    @needs(Right.AUDIT)
    async def audit(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        entries = await people.entries(PAGE + 1, after_of(request.query_params.get("after", "")))
        last = entries[PAGE - 1] if len(entries) > PAGE else None
        after = f"{last.at!r} {last.id}" if last is not None else ""
        return frame.page(request, "audit.html", entries=entries[:PAGE], after=after)

    return router


def role_of(form: dict[str, str]) -> Role:
    """The least one when the form names none of ours."""
    told = form.get("role", "")
    return next((role for role in Role if role.value == told), Role.OBSERVER)


def link_of(request: Request, link: str) -> str:
    """As the administrator's own browser has reached us."""
    scheme = "https" if is_secure(request) else "http"
    return f"{scheme}://{request.headers.get('host', '')}/welcome/{link}"


def after_of(told: str) -> tuple[float, int] | None:
    found = re.fullmatch(r"(\d{1,12}(?:\.\d{1,9})?) (\d{1,18})", told, re.ASCII)
    return None if found is None else (float(found[1]), int(found[2]))
