"""The wizard's two connections: Asterisk and the portal, tried while one types."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from perezvon.web.frame import Frame, is_secure
from perezvon.web.gate import form_of, visitor_of
from perezvon.web.rights import Right, needs
from perezvon.web.setup_desk import AsteriskForm, Place, PortalForm, SetupDesk, Unfit

Shown = Callable[..., Awaitable[Response]]
"""The page of a step: request, place, status, and what the template wants."""

SCOPES = ("telephony", "crm", "user_brief", "im", "task", "placement")
MORE_SCOPES = ("timeman", "calendar", "bizproc")
"""Of the application: what it needs, and what some functions need besides."""


def routes(desk: SetupDesk, frame: Frame, shown: Shown) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    # ---- Asterisk

    @router.get("/setup/asterisk")
    @needs(Right.SETTINGS)
    async def asterisk(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = await desk.asterisk()
        return await shown(request, Place.ASTERISK, form=form, offer=await desk.wiring(form), done=None)

    @router.post("/setup/asterisk/test")
    @needs(Right.SETTINGS)
    async def try_asterisk(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = asterisk_form(await form_of(request))
        tried = await desk.try_asterisk(form)
        kept = await desk.asterisk()
        return frame.page(request, "setup_asterisk_found.html", form=kept, tried=tried, offer=await desk.wiring(form))

    @router.post("/setup/asterisk/secret")
    @needs(Right.SETTINGS)
    async def another_secret(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        await desk.another_secret()
        return RedirectResponse("/setup/asterisk", 303)

    @router.post("/setup/asterisk/write")
    @needs(Right.SETTINGS)
    async def write(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        typed = asterisk_form(await form_of(request))
        why, done = (), None
        try:
            done = await desk.write_wiring(typed, visitor_of(request).name)
        except Unfit as unfit:
            why = unfit.reasons
        form = await desk.asterisk()
        offer = await desk.wiring(form)
        return await shown(request, Place.ASTERISK, 400 if why else 200, form=form, offer=offer, why=why, done=done)

    @router.post("/setup/asterisk")
    @needs(Right.SETTINGS)
    async def save_asterisk(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        typed = asterisk_form(await form_of(request))
        try:
            await desk.save_asterisk(typed, visitor_of(request).name)
        except Unfit as unfit:
            offer = await desk.wiring(typed)
            return await shown(request, Place.ASTERISK, 400, form=typed, offer=offer, why=unfit.reasons, done=None)
        return RedirectResponse("/setup/portal", 303)

    # ---- the portal

    async def portal_page(request: Request, form: PortalForm, code: int = 200, **told: Any) -> Response:
        now = await desk.portal_now(look=False)
        values = {"form": form, "now": now, "scopes": SCOPES, "more_scopes": MORE_SCOPES}
        return await shown(request, Place.PORTAL, code, **(values | told))

    @router.get("/setup/portal")
    @needs(Right.SETTINGS)
    async def portal(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return await portal_page(request, await desk.portal(reached_at(request)))

    @router.post("/setup/portal/test")
    @needs(Right.SETTINGS)
    async def try_portal(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = portal_form(await form_of(request), await desk.portal(reached_at(request)))
        checks = await desk.try_portal(form)
        return frame.page(
            request, "setup_portal_found.html", form=form, checks=checks, scopes=SCOPES, more_scopes=MORE_SCOPES
        )

    @router.post("/setup/portal")
    @needs(Right.SETTINGS)
    async def save_portal(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        form = portal_form(await form_of(request), await desk.portal(reached_at(request)))
        try:
            await desk.save_portal(form, visitor_of(request).name)
        except Unfit as unfit:
            return await portal_page(request, form, 400, why=unfit.reasons)
        return RedirectResponse("/setup/portal#now", 303)

    @router.get("/setup/portal/now")
    @needs(Right.SETTINGS)
    async def portal_now(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return frame.page(request, "setup_portal_now.html", now=await desk.portal_now())

    @router.post("/setup/portal/now")
    @needs(Right.SETTINGS)
    async def portal_anew(request: Request) -> Response:  # pyright: ignore[reportUnusedFunction]
        return frame.page(request, "setup_portal_now.html", now=await desk.portal_now(anew=True))

    return router


def reached_at(request: Request) -> str:
    """The address at which this browser has reached us."""
    return f"{'https' if is_secure(request) else 'http'}://{request.headers.get('host', '')[:253]}"


def asterisk_form(form: Mapping[str, str]) -> AsteriskForm:
    return AsteriskForm(
        host=_line(form, "host"),
        port=_line(form, "port")[:6],
        tls="tls" in form,
        user=_line(form, "user"),
        secret=form.get("secret", "")[:500],
        etc=_line(form, "etc").rstrip("/") or "/etc/asterisk",
        context=_line(form, "context") or "from-internal",
    )


def portal_form(form: Mapping[str, str], kept: PortalForm) -> PortalForm:
    """`kept`: what is known of it, for what the form does not show."""
    return PortalForm(
        kind="webhook" if form.get("kind") == "webhook" else "application",
        domain=_line(form, "domain"),
        client_id=_line(form, "client_id"),
        secret=form.get("secret", "").strip()[:500],
        webhook=form.get("webhook", "").strip()[:500],
        public_url=_line(form, "public_url").rstrip("/"),
        oauth_server=_line(form, "oauth_server").rstrip("/") or PortalForm().oauth_server,
        name=kept.name,
        has_secret=kept.has_secret,
        has_webhook=kept.has_webhook,
    )


def _line(form: Mapping[str, str], name: str) -> str:
    return form.get(name, "").strip()[:300]
