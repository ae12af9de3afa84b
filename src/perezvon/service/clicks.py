"""Click-to-call: the portal says that somebody clicked a number; his phone rings, then the client is dialled.

The portal has registered the call already and shows its card: whatever happens here, that CALL_ID is finished, once. A
click is dialled at most once, whichever way and however often its event arrives, and never after a restart that leaves open
whether it was dialled. Source: the telephony tutorial of the Bitrix24 REST documentation, ONEXTERNALCALLSTART.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.events import CallStartClick
from perezvon.calls import ExpectedCall
from perezvon.customisation import Customiser, Point
from perezvon.rules import NumberRule, Reason, refuse_click
from perezvon.service.clickbook import ClickBook
from perezvon.service.dialling import (
    BEHIND,
    STOPPED,
    Exchange,
    Refused,
    appeared,
    came_about,
    dialling,
    expect_again,
    guarded,
    live,
    originate,
    ring,
    to_dial,
)
from perezvon.storage import clicks, lanes
from perezvon.storage.clicks import OPEN, Click, ClickState
from perezvon.storage.database import Database
from perezvon.storage.insist import insist

log = structlog.get_logger(__name__)

DOUBLE = 5.0
"""Seconds in which a second click of the same user on the same number is a slip of the finger."""
STALE = 45.0
"""Seconds after which a click is not dialled any more: its author has long turned to something else."""


class Clicks:
    """The clicks of one portal. `exchange()` is None while no PBX is set for it; `stored` wakes the portal's sender;
    `to_pbx()`: how numbers are dialled."""

    def __init__(
        self,
        portal: str,
        database: Database,
        book: ClickBook,
        *,
        directory: Callable[[], Directory],
        exchange: Callable[[], Exchange | None],
        stored: Callable[[], None],
        clock: Callable[[], float],
        to_pbx: Callable[[], Sequence[NumberRule]] = tuple,
        customiser: Customiser | None = None,
    ) -> None:
        self._portal = portal
        self._database = database
        self._book = book
        self._directory = directory
        self._exchange = exchange
        self._stored = stored
        self._clock = clock
        self._to_pbx = to_pbx
        self._customiser = customiser
        self._waiting: asyncio.Queue[Click] = asyncio.Queue()
        self._unsure: list[Click] = []

    async def accept(self, event: CallStartClick) -> None:
        """Returns when the click is stored: from then on it survives us. A click that came before changes nothing."""
        now = self._clock()
        click = Click(
            portal=self._portal,
            portal_call=event.portal_call,
            user_id=event.user_id,
            # Of what is no valid number, the portal too gathers the digits; a valid one it writes with a plus.
            number=event.international if event.international.startswith("+") else event.number,
            received=now,
            line=event.line,
            call_list=event.call_list_id[:32] if event.call_list_id.isdecimal() else "",
        )

        async def work(conn: AsyncConnection) -> Reason | bool:
            if not await clicks.take(conn, click):
                return False
            earlier = await clicks.recent(conn, self._portal, click.user_id, click.number, now - DOUBLE)
            if any(other.portal_call != click.portal_call and other.state in OPEN for other in earlier):
                return await self._refuse(
                    conn, click, Refused("603-S", Reason("a double click: the first is being dialled"))
                )
            if now - event.at > STALE:
                age = {"seconds": str(round(now - event.at))}
                return await self._refuse(
                    conn, click, Refused("603-S", Reason("clicked {seconds} s ago: too late to dial it now", age))
                )
            return True

        outcome = await self._database.write(work)
        if outcome is False:
            log.info("click came again", portal=self._portal, portal_call=click.portal_call)
        elif outcome is True:
            log.info("click -> new", portal=self._portal, portal_call=click.portal_call, user=click.user_id)
            self._waiting.put_nowait(click)
        else:
            log.info("click -> dropped", portal=self._portal, portal_call=click.portal_call, why=str(outcome))
            self._stored()

    async def restore(self) -> None:
        """What an earlier run left. Before the PBX is connected, so that a call that came about is known by its channel."""
        async with self._database.read() as conn:
            left = await clicks.unfinished(conn, self._portal)
        exchange = self._exchange()
        for click in left:
            if click.state is ClickState.NEW:
                self._waiting.put_nowait(click)
            elif click.state is ClickState.DIALLING:
                self._unsure.append(click)
                self._book.expect(click.uniqueid, click)
                told = click.user_id, click.received, click.uniqueid, click.number
                await expect_again(exchange, self._directory(), *told)

    async def run(self) -> None:
        """Dials until cancelled."""
        async with asyncio.TaskGroup() as placing:
            for click in self._unsure:
                placing.create_task(self._guarded(click, self._settle), name=f"settle click {click.portal_call}")
            while True:
                click = await self._waiting.get()
                placing.create_task(self._guarded(click, self._try), name=f"dial click {click.portal_call}")

    async def _guarded(self, click: Click, work: Callable[[Click], Awaitable[None]]) -> None:
        give_up = partial(self._give_up, click)
        await guarded(partial(work, click), give_up, portal=self._portal, portal_call=click.portal_call)

    async def _try(self, click: Click) -> None:
        if self._clock() - click.received > STALE:
            raise Refused("603-S", Reason("the service was down when the number was clicked: too late to dial it now"))
        extension = self._extension(click)
        exchange = await live(self._exchange())
        told = to_dial(click.number, exchange, click.line, self._to_pbx())
        params = dialling(exchange.settings, extension, click.number, told.number)
        params, notes = await self._customised(click, extension, params)
        uniqueid = f"perezvon-{secrets.token_hex(8)}"
        click = replace(click, uniqueid=uniqueid, state=ClickState.DIALLING)
        if not await self._database.write(
            lambda conn: clicks.move(
                conn, self._portal, click.portal_call, ClickState.DIALLING, only_from=(ClickState.NEW,), uniqueid=uniqueid
            )
        ):
            return  # somebody has dropped it
        log.info(
            "click -> dialling", portal=self._portal, portal_call=click.portal_call, extension=extension, channel=uniqueid
        )
        self._book.expect(uniqueid, click, [*([told.reason] if told.reason is not None else []), *notes])
        try:
            await exchange.switchboard.expect(ExpectedCall(self._clock(), uniqueid, extension, click.number))
            refused = await ring(exchange, originate(params, extension, uniqueid), extension)
            if refused is not None:
                # The call's own end finishes the click where the PBX has made a channel for it.
                if not await came_about(exchange, uniqueid):
                    raise refused
            elif not await appeared(exchange.switchboard, uniqueid, BEHIND):
                log.warning("click answered, but its call is not seen", portal=self._portal, portal_call=click.portal_call)
        finally:
            self._book.forget(uniqueid)

    async def _customised(
        self, click: Click, extension: str, params: dict[str, Any]
    ) -> tuple[dict[str, Any], list[Reason]]:
        """As the integrator's hook wants it dialled, and what there is to tell of that. Raises Refused."""
        if self._customiser is None:
            return params, []
        told = {"user_id": click.user_id, "extension": extension, "number": click.number, "line": click.line}
        data = {"click": told, "params": params}
        answer = await self._customiser.ask(Point.PROCESS_ORIGINATE_PARAMS, data, call=click.portal_call)
        if answer.cancelled and answer.note is not None:
            raise Refused("603-S", answer.note)
        return answer.value, [answer.note] if answer.note is not None else []

    async def _settle(self, click: Click) -> None:
        """We stopped between writing that it will be dialled and knowing what came of it: look, but never dial again."""
        try:
            exchange = await live(self._exchange(), patience=None)
            if not await came_about(exchange, click.uniqueid):
                raise Refused("503", STOPPED)
        finally:
            self._book.forget(click.uniqueid)

    def _extension(self, click: Click) -> str:
        employee = self._directory().by_user(click.user_id)
        if employee is None or not employee.active:
            raise Refused("480", Reason("user {user} is not among the portal's employees", {"user": click.user_id}))
        if not employee.extension:
            raise Refused("480", Reason("{name} has no extension in the portal", {"name": employee.name}))
        return employee.extension

    async def _give_up(self, click: Click, refused: Refused) -> None:
        log.warning("click -> dropped", portal=self._portal, portal_call=click.portal_call, why=str(refused))
        refuse = lambda: self._database.write(lambda conn: self._refuse(conn, click, refused))  # noqa: E731
        await insist(refuse, "click", portal=self._portal)
        self._stored()

    async def _refuse(self, conn: AsyncConnection, click: Click, refused: Refused) -> Reason:
        moved = await clicks.move(conn, self._portal, click.portal_call, ClickState.DROPPED, error=str(refused))
        if moved:
            step = refuse_click(click.portal_call, click.user_id, refused.status, refused.reason)
            await lanes.append(conn, self._portal, f"click:{click.portal_call}", [step], self._clock())
        return refused.reason
