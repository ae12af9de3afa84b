"""Keeps one grant alive: one refresh at a time, stored before it is used, never lost by a cancelled caller."""

from __future__ import annotations

import asyncio
import copy
import math
import time
from collections.abc import Awaitable, Callable

import structlog

from perezvon.bitrix24.address import OAuthGrant
from perezvon.bitrix24.errors import AuthRefused, PortalError, Temporary
from perezvon.bitrix24.oauth import AuthorizationServer

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

SaveGrant = Callable[[OAuthGrant], Awaitable[None]]
LoadGrant = Callable[[], Awaitable[OAuthGrant | None]]

REFUSED_FOR = 60.0
"""Seconds for which a refusal of the authorization server is believed without asking again: it may be mistaken."""

ASK_AGAIN = 3600.0
"""Seconds after which the authorization server is asked again where a portal is: as often as a token in use is refreshed
anyway. More may get an application blocked."""


class GrantKeeper:
    """`save` is awaited before a new grant is used. `load` reads the stored grant: before a refresh, because another
    process (`perezvon doctor`) may have refreshed meanwhile.

    A refresh runs in a task of its own that this object owns: a caller who gives up does not lose the new token.
    """

    def __init__(
        self,
        grant: OAuthGrant,
        *,
        server: AuthorizationServer | None = None,
        save: SaveGrant | None = None,
        load: LoadGrant | None = None,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._grant = grant
        self._unsaved: OAuthGrant | None = None
        self._server = server or AuthorizationServer()
        self._save = save
        self._load = load
        self._running: asyncio.Task[PortalError | None] | None = None
        self._ticks = ticks
        self._refused: tuple[str, AuthRefused, float] | None = None
        self._changing = asyncio.Lock()
        self._asked = -math.inf
        self.refreshes = 0

    @property
    def grant(self) -> OAuthGrant:
        """The stored grant; never one that is not stored yet."""
        return self._grant

    @property
    def server(self) -> AuthorizationServer:
        return self._server

    async def close(self) -> None:
        if self._running is not None:
            await asyncio.gather(self._running, return_exceptions=True)
        await self._server.close()

    async def replace(self, grant: OAuthGrant) -> None:
        """A new installation: stored, then used."""
        async with self._changing:
            await self._store(grant)

    async def ask_where(self, used: OAuthGrant) -> bool:
        """The portal cannot be found where `used` says, or redirects: the authorization server knows where it is. Gives
        whether another address is in use now. It is not asked again within ASK_AGAIN. Raises a PortalError."""
        if self._grant.rest == used.rest and self._ticks() >= self._asked + ASK_AGAIN:
            await self.renew(used)
            self._asked = self._ticks()
        return self._grant.rest != used.rest

    async def renew(self, used: OAuthGrant) -> None:
        """Returns when a grant with another access token than that of `used` is in use. Raises a PortalError, the same to
        everybody who waits."""
        if self._grant.access_token != used.access_token:
            return
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._renew(used), name=f"refresh the token of {used.domain}")
            self._running.add_done_callback(self._finished)
        error = await asyncio.shield(self._running)
        if error is not None:
            raise copy.copy(error)  # each waiter raises its own: a shared one would gather all their tracebacks

    async def keep_alive(self) -> bool:
        """To be called once a day: refreshes an application so long idle that its grant would die. True: it did."""
        grant = self._grant
        if not self._server.due(grant):
            return False
        await self.renew(grant)
        return True

    def _finished(self, task: asyncio.Task[PortalError | None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("refresh of the access token failed unexpectedly", domain=self._grant.domain, error=repr(error))

    async def _renew(self, used: OAuthGrant) -> PortalError | None:
        async with self._changing:
            if self._grant.access_token != used.access_token:
                return None
            try:
                if self._unsaved is None and not await self._adopt_stored(used):
                    if (known := self._refusal(used)) is not None:
                        return known
                    self.refreshes += 1
                    self._unsaved = await self._server.refresh(self._grant)
                if self._unsaved is not None:
                    await self._store(self._unsaved)
            except AuthRefused as error:
                self._refused = (used.refresh_token, error, self._ticks() + REFUSED_FOR)
                return self._told(used, error)
            except PortalError as error:
                return self._told(used, error)
            log.info("access token refreshed", domain=used.domain)
            if self._grant.rest != used.rest:
                log.warning("portal moved", domain=used.domain, to=self._grant.domain)
            return None

    def _refusal(self, used: OAuthGrant) -> AuthRefused | None:
        if self._refused is None:
            return None
        token, error, until = self._refused
        return error if token == used.refresh_token and self._ticks() < until else None

    def _told(self, used: OAuthGrant, error: PortalError) -> PortalError:
        log.warning("access token not refreshed", domain=used.domain, error=str(error))
        return error

    async def _adopt_stored(self, used: OAuthGrant) -> bool:
        if self._load is None:
            return False
        try:
            stored = await self._load()
        except Exception:
            log.exception("the stored grant could not be read, refreshing the one in memory", domain=used.domain)
            return False
        if stored is None or stored.access_token in ("", used.access_token):
            return False
        self._grant = stored
        return True

    async def _store(self, grant: OAuthGrant) -> None:
        if self._save is not None:
            self._unsaved = grant
            try:
                await self._save(grant)
            except Exception as error:
                log.exception("the grant could not be stored", domain=grant.domain)
                raise Temporary(f"the portal's new token could not be stored: {type(error).__name__}") from error
        self._grant = grant
        self._unsaved = None
        self._refused = None
