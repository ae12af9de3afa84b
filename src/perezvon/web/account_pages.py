"""One's own account: password, second factor, sessions, tokens for programs; and the description of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from perezvon.rules.vocabulary import Reason
from perezvon.storage.people import Person
from perezvon.web import passwords, qr
from perezvon.web.frame import Frame
from perezvon.web.gate import Visitor, form_of, texts_of, visitor_of
from perezvon.web.people import People, PeopleError
from perezvon.web.refusals import NOT_YOURS, Refused
from perezvon.web.rights import SCOPES, Right, needs

LIFETIMES = (30, 90, 365)
"""Days for which a token can be made; besides for ever."""


def routes(people: People, frame: Frame, described: Callable[[], dict[str, Any]]) -> APIRouter:
    """`described`: the OpenAPI description of everything."""
    router = APIRouter(include_in_schema=False)

    async def account(request: Request, code: int = 200, **told: Any) -> Response:
        visitor, person = signed_in(request)
        person = await people.get(person.id)
        values: dict[str, Any] = {
            "person": person,
            "sessions": await people.sessions(person.id),
            "tokens": await people.tokens(person.id),
            "happened": await people.about(person.login),
            "scopes": [scope for scope in SCOPES if visitor.may(scope)],
            "lifetimes": LIFETIMES,
            "shortest": passwords.SHORTEST,
            "why": None,
            "done": None,
            "token": "",
            "codes": [],
        }
        return frame.page(request, "account.html", code, **(values | told))

    @router.get("/account")
    @needs(Right.ACCOUNT)
    async def page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await account(request)

    @router.post("/account/password")
    @needs(Right.ACCOUNT)
    async def password(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        form = await form_of(request)
        try:
            if form.get("new", "") != form.get("again", ""):
                raise PeopleError(Reason("the two passwords are not the same"))
            await people.change_password(person, form.get("old", ""), form.get("new", ""), visitor.session, visitor.actor)
        except PeopleError as error:
            return await account(request, 400, why=error.reason)
        return await account(request, done=Reason("the password was changed; all other sessions are over"))

    @router.get("/account/second-factor")
    @needs(Right.ACCOUNT)
    async def second_factor(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        _, person = signed_in(request)
        key, sealed = people.new_key(person)
        return _show_key(request, person, key, sealed, None)

    @router.post("/account/second-factor")
    @needs(Right.ACCOUNT)
    async def confirm(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        form = await form_of(request)
        sealed = form.get("key", "")
        try:
            key = people.opened_key(person, sealed)
        except PeopleError as error:
            return await account(request, 400, why=error.reason)
        try:
            told = form.get("code", ""), visitor.actor, form.get("password", "")
            codes = await people.confirm_key(person, sealed, *told)
        except PeopleError as error:
            return _show_key(request, person, key, sealed, error.reason)
        return await account(request, codes=codes)

    def _show_key(request: Request, person: Person, key: str, sealed: str, why: Reason | None) -> Response:
        address = passwords.address(key, person.login)
        values: dict[str, Any] = {"key": key, "sealed": sealed, "address": address, "qr": qr.svg(address), "why": why}
        values["confirmed"] = person.totp is not None
        return frame.page(request, "second_factor.html", 400 if why else 200, **values)

    @router.post("/account/second-factor/off")
    @needs(Right.ACCOUNT)
    async def without(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        try:
            await people.drop_key(person, (await form_of(request)).get("password", ""), visitor.actor)
        except PeopleError as error:
            return await account(request, 400, why=error.reason)
        return await account(request, done=Reason("no code is asked for any more when you sign in"))

    @router.post("/account/sessions/end")
    @needs(Right.ACCOUNT)
    async def end_session(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        await people.end_session(person, (await form_of(request)).get("session", "")[:64], visitor.actor)
        return RedirectResponse("/account", 303)

    @router.post("/account/tokens")
    @needs(Right.ACCOUNT)
    async def make_token(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        form = await texts_of(request)
        wanted = {scope for scope in SCOPES if scope.value in form.get("scope", []) and visitor.may(scope)}
        days = {str(days): days for days in LIFETIMES}.get(form.get("days", [""])[-1])
        try:
            token = await people.make_token(person, form.get("name", [""])[-1], wanted, days, visitor.actor)
        except PeopleError as error:
            return await account(request, 400, why=error.reason)
        return await account(request, token=token)

    @router.post("/account/tokens/withdraw")
    @needs(Right.ACCOUNT)
    async def withdraw(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor, person = signed_in(request)
        number = (await form_of(request)).get("token", "")
        if number.isascii() and number.isdigit() and len(number) < 19:
            await people.drop_token(person, int(number), visitor.actor)
        return RedirectResponse("/account", 303)

    @router.get("/api")
    @needs(Right.API)
    async def described_page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return frame.page(request, "api.html", api=described())

    @router.get("/api/openapi.json")
    @needs(Right.API)
    async def described_json() -> Response:  # pyright: ignore[reportUnusedFunction]
        return JSONResponse(described())

    return router


def signed_in(request: Request) -> tuple[Visitor, Person]:
    """Raises Refused for a program: accounts are for people alone."""
    visitor = visitor_of(request)
    if visitor.person is None or not visitor.session:
        raise Refused(NOT_YOURS)
    return visitor, visitor.person
