"""Signing in and out, and the one-time link with which a password is set. Public pages, but for signing out."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.rules.vocabulary import Reason
from perezvon.web import people as peoples
from perezvon.web.frame import Frame, local_path
from perezvon.web.gate import Gate, cookie_of, form_of, is_secure, visitor_of
from perezvon.web.peers import peer_of
from perezvon.web.people import Actor, CodeWanted, People, PeopleError, SignedIn, TooManyTries
from perezvon.web.refusals import Refused
from perezvon.web.rights import Right, needs, rights_of


def routes(people: People, gate: Gate, frame: Frame) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    def actor(request: Request) -> Actor:
        return Actor("", peer_of(request))

    def agent(request: Request) -> str:
        return request.headers.get("user-agent", "")

    def failed(error: PeopleError) -> int:
        return 429 if isinstance(error, TooManyTries) else 400

    @router.get("/login", name="sign_in_page")
    async def sign_in_page(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        back = local_path(request.query_params.get("back", "/"))
        try:
            visitor = await gate.identify(request)
        except Refused:
            visitor = None
        if visitor is not None and visitor.session:
            return RedirectResponse(back, 303)
        return frame.page(request, "login.html", back=back, login="", why=None, nobody=not await people.anybody())

    @router.post("/login")
    async def sign_in(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        back, login = local_path(form.get("back", "/")), form.get("login", "")[:200]
        try:
            done = await people.sign_in(login, form.get("password", ""), actor(request), agent(request))
        except PeopleError as error:
            return frame.page(request, "login.html", failed(error), back=back, login=login, why=error.reason, nobody=False)
        if isinstance(done, CodeWanted):
            return frame.page(request, "login_code.html", back=back, ticket=done.ticket, why=None)
        return _in(request, done, back)

    @router.post("/login/code")
    async def code(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        back, ticket = local_path(form.get("back", "/")), form.get("ticket", "")
        try:
            done = await people.sign_in_with_code(ticket, form.get("code", ""), actor(request), agent(request))
        except PeopleError as error:
            return frame.page(request, "login_code.html", failed(error), back=back, ticket=ticket, why=error.reason)
        return _in(request, done, back)

    @router.post("/logout")
    @needs(Right.ACCOUNT)
    async def sign_out(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        visitor = visitor_of(request)
        await people.sign_out(visitor.session, visitor.actor)
        answer = RedirectResponse("/login", 303)
        answer.delete_cookie(cookie_of(request), path="/", secure=is_secure(request), httponly=True, samesite="lax")
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    @router.get("/welcome/{link}")
    async def welcome(link: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        try:
            whom = await people.invited(link)
        except PeopleError as error:
            return frame.page(request, "welcome.html", 404, whom=None, open=False, why=error.reason, given={})
        return frame.page(request, "welcome.html", whom=whom, open=True, why=None, given={})

    @router.post("/welcome/{link}")
    async def accept(link: str, request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await form_of(request)
        given = {name: form.get(name, "")[:200] for name in ("login", "name")}
        try:
            whom = await people.invited(link)
        except PeopleError as error:
            return frame.page(request, "welcome.html", 404, whom=None, open=False, why=error.reason, given={})
        try:
            if form.get("password", "") != form.get("again", ""):
                raise PeopleError(Reason("the two passwords are not the same"))
            done = await people.accept(
                link, form.get("password", ""), actor(request), given["login"], given["name"], agent(request)
            )
        except PeopleError as error:
            return frame.page(request, "welcome.html", 400, whom=whom, open=True, why=error.reason, given=given)
        return _in(request, done, "/setup" if whom is None and frame.has("/setup") else "/")

    return router


def _in(request: Request, done: SignedIn, back: str) -> Response:
    if back == "/" and Right.STATUS not in rights_of(done.person.role):
        back = "/calls"
    answer = RedirectResponse(back, 303)
    answer.set_cookie(
        cookie_of(request),
        done.cookie,
        max_age=round(peoples.LASTING),
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="lax",
    )
    return answer
