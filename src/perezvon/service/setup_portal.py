"""The wizard's second step: a webhook or a local application as typed, tried, saved; and what the portal lets us do."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from perezvon.bitrix24 import Portal, Webhook, Wire
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.probe import Level, examine
from perezvon.doctor.check import Check, State
from perezvon.doctor.portal import examine_portal
from perezvon.rules.vocabulary import Reason
from perezvon.service.house import House
from perezvon.service.setup_book import SetupBook
from perezvon.settings.errors import SecretMissing
from perezvon.settings.portal import PortalSettings
from perezvon.web.setup_desk import Place, PortalForm, PortalNow, Unfit

PATIENCE = 8.0
FRESH = 30.0
"""Seconds for which what a portal has answered is shown again: each examination takes requests of its limit."""

_KEPT = ("kind", "domain", "client_id", "public_url", "oauth_server")
_SECRETS = ("secret", "webhook")
_STATES = {Level.OK: State.OK, Level.WARNING: State.WARNING, Level.FAILURE: State.PROBLEM}


class PortalSetup:
    """`house`: the running one, None while there is none."""

    def __init__(self, book: SetupBook, house: Callable[[], House | None]) -> None:
        self._book = book
        self._house = house
        self._found: tuple[float, str, tuple[Check, ...]] | None = None

    @property
    def _saved(self) -> PortalSettings | None:
        return next(iter(self._book.settings.portal), None)

    async def form(self, reached_at: str) -> PortalForm:
        draft, saved = await self._book.draft(Place.PORTAL), self._saved
        form = PortalForm(public_url=reached_at)
        if saved is not None:
            form = PortalForm(
                kind="webhook" if saved.webhook is not None else "application",
                domain=saved.domain,
                client_id=saved.client_id,
                public_url=saved.public_url or reached_at,
                oauth_server=saved.oauth_server,
                name=saved.name,
                has_secret=saved.client_secret is not None,
                has_webhook=saved.webhook is not None,
            )
        return replace(
            form,
            **{name: draft[name] for name in _KEPT if name in draft},
            has_secret=form.has_secret or "secret" in draft,
            has_webhook=form.has_webhook or "webhook" in draft,
        )

    async def tried(self, form: PortalForm) -> tuple[Check, ...]:
        await self._keep(form)
        if form.kind == "webhook":
            return await self._webhook(form)
        return await self._application(form)

    async def save(self, form: PortalForm, who: str) -> None:
        """Raises Unfit, Unavailable."""
        draft, saved = await self._book.draft(Place.PORTAL), self._saved
        ours = {"public_url": form.public_url}
        if form.kind == "webhook":
            address = form.webhook or draft.get("webhook") or (saved.webhook.raw if saved and saved.webhook else "")
            without = ("domain", "client_id", "client_secret", "oauth_server")
            await self._book.save_first("portal", {**ours, "webhook": address}, who, Place.PORTAL, without=without)
        else:
            secret = (
                form.secret or draft.get("secret") or (saved.client_secret.raw if saved and saved.client_secret else "")
            )
            given = {
                "domain": form.domain,
                "client_id": form.client_id,
                "client_secret": secret,
                "oauth_server": form.oauth_server,
            }
            lacking = [name for name, value in given.items() if not value]
            if lacking:
                raise Unfit((_still_to_type(lacking[0]),))
            await self._book.save_first("portal", {**ours, **given}, who, Place.PORTAL, without=("webhook",))
        await self._book.keep(Place.PORTAL, {})
        self._found = None

    async def now(self, *, look: bool, anew: bool) -> PortalNow:
        """What the saved portal is doing; once it lets us in, what it allows."""
        saved, house = self._saved, self._house()
        if saved is None:
            return PortalNow()
        link = house.portals.get(saved.name) if house is not None else None
        if link is None:
            return PortalNow("starting", saved.domain)
        way = "application" if link.client.is_application else "webhook"
        host = link.client.address.host
        if not link.installed:
            self._found = None
            return PortalNow("waiting for installation", host, way)
        mapped = sum(1 for one in link.directory.employees if one.active and one.extension)
        at = self._book.clock()
        known = self._found is not None and self._found[1] == saved.name
        if not look and not known:
            return PortalNow("ready", host, way, mapped)
        if anew or self._found is None or self._found[1] != saved.name or not 0 <= at - self._found[0] < FRESH:
            self._found = (at, saved.name, tuple(await examine_portal(saved, link.client)))
        checks = self._found[2]
        refused = any(check.name == "portal.auth" and check.state is State.PROBLEM for check in checks)
        return PortalNow("unreachable" if refused else "ready", host, way, mapped, checks)

    # ---- what was typed

    async def _keep(self, form: PortalForm) -> None:
        draft = await self._book.draft(Place.PORTAL)
        kept = {**draft, **{name: str(getattr(form, name)) for name in _KEPT}}
        kept |= {name: str(getattr(form, name)) for name in _SECRETS if getattr(form, name)}
        if kept != draft:
            await self._book.keep(Place.PORTAL, kept)

    async def _webhook(self, form: PortalForm) -> tuple[Check, ...]:
        draft, saved = await self._book.draft(Place.PORTAL), self._saved
        address = form.webhook or draft.get("webhook", "")
        try:
            if not address and saved is not None and saved.webhook is not None:
                address = saved.webhook.reveal()
            if not address:
                return (_hint(_still_to_type("webhook")),)
            identity = Webhook.parse(address)
        except (ValueError, SecretMissing):
            return (_hint(Reason("the address of a webhook looks like https://example.bitrix24.ru/rest/1/token/")),)
        async with Portal("wizard", identity, wire=Wire(total=PATIENCE, connect=PATIENCE)) as portal:
            findings = await examine(portal)
        return tuple(
            Check(f"portal.{one.check}", f"portal {identity.host}", _STATES[one.level], one.text, one.fix)
            for one in findings
        )

    async def _application(self, form: PortalForm) -> tuple[Check, ...]:
        draft = await self._book.draft(Place.PORTAL)
        if not form.domain:
            return (_hint(_still_to_type("domain")),)
        host = re.sub(r"^https?://", "", form.domain.strip()).rstrip("/").lower()
        if re.fullmatch(r"[a-z0-9.-]+(:\d{1,5})?", host) is None:
            return (_hint(Reason("must be the portal's host name, e.g. example.bitrix24.ru")),)
        checks = [await _answers(host, plain=form.domain.startswith("http://"))]
        kept = form.has_secret or bool(form.secret or draft.get("secret"))
        for name, given in (("client_id", bool(form.client_id)), ("client_secret", kept)):
            if not given:
                checks.append(_hint(_still_to_type(name)))
        if form.client_id and re.fullmatch(r"(local|app)\.[0-9a-z.]{8,60}", form.client_id) is None:
            checks.append(
                _hint(Reason("a client_id looks like local.65f0a1b2c3d4e5.12345678: copy it from the application"))
            )
        if form.public_url and not form.public_url.startswith("https://"):
            checks.append(_hint(Reason("a portal in the cloud reaches https addresses only: put a certificate before us")))
        return tuple(checks)


async def _answers(host: str, *, plain: bool) -> Check:
    """Whether there is a portal, asked without any rights: it says so."""
    subject = f"portal {host}"
    async with Wire(total=PATIENCE, connect=PATIENCE) as wire:
        reply = await wire.exchange("GET", f"{'http' if plain else 'https'}://{host}/rest/app.info.json", what="app.info")
    if isinstance(reply, PortalError):
        fix = Reason("look at the address, and at the way from this machine to it")
        return Check("portal.address", subject, State.PROBLEM, Reason("no answer: {why}", {"why": str(reply)}), fix)
    if b'"error"' not in reply.body[:2000]:
        fix = Reason("copy the address from the browser in which the portal is open")
        return Check("portal.address", subject, State.PROBLEM, Reason("this is no Bitrix24 portal"), fix)
    return Check(
        "portal.address", subject, State.OK, Reason("the portal answers; it lets us in once the application is installed")
    )


def _still_to_type(name: str) -> Reason:
    return Reason("still to fill in: {name}", {"name": name})


def _hint(reason: Reason) -> Check:
    return Check("portal.form", "portal", State.WARNING, reason)
