"""Calls that are ordered of us: a robot of the portal's funnels, a visitor by a callback form, or somebody who looks at the
page of missed clients, wants a client called.

An employee's phone rings first, then the client is dialled, as after a click. A robot names one employee, or means the
object's responsible, and is answered in every case. The page names one too, and looks what becomes of it. For a form the
responsible of the object is rung, then those of the settings, at last the fall-back user; all of them again after a pause,
until somebody comes to the phone, or the time is up.
An order is dialled by one at a time; after a restart that leaves open whether it was dialled it is not dialled again.
Source: contract.json, ONEXTERNALCALLBACKSTART and bizproc.robot.add.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asterisk import Originate
from perezvon.bitrix24 import Portal
from perezvon.bitrix24 import methods as rest
from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.errors import PortalError
from perezvon.bitrix24.events import CallbackRequested, RobotCall
from perezvon.calls import ExpectedCall
from perezvon.rules import NumberRule, Order, Ordered, Reason, StepDraft
from perezvon.rules.account import plain
from perezvon.rules.numbers import PHONE, Towards, formatted
from perezvon.rules.orders import NOT_CALLED, answer, not_called
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
    over,
    ring,
    to_dial,
)
from perezvon.service.policies import PortalRules
from perezvon.settings.automation import AutomationSettings
from perezvon.storage import lanes, orders
from perezvon.storage.clicks import ClickState
from perezvon.storage.database import Database
from perezvon.storage.insist import insist
from perezvon.storage.orders import StoredOrder

log = structlog.get_logger(__name__)

ALIKE = 600.0
"""Seconds within which the same form, or robot's call without a token, is the same event come twice."""
STALE = 120.0
"""Seconds after which a robot's call that a restart has held up is not dialled any more."""
ASKING = 5.0
"""Seconds that the portal gets to tell who is responsible."""
OVER = 3 * 3600.0
"""Seconds for which the end of an attempt is waited for whose outcome the PBX did not tell."""

MOST_REFUSALS = 200
"""Of which it is remembered why, in a form that can be told in any language."""

ALREADY = Reason("this client is being called already")

LONGEST_TEXT = 2000
"""Characters of an order's text that are kept."""

_SHOWN = 60
"""Characters of the order's text on a phone's display."""


@dataclass(frozen=True, slots=True)
class Employee:
    user: str
    extension: str


class Orders:
    """The orders of one portal. `exchange()` is None while no PBX is set for it; `stored` wakes the portal's sender."""

    def __init__(
        self,
        portal: str,
        client: Portal,
        database: Database,
        book: ClickBook,
        *,
        directory: Callable[[], Directory],
        exchange: Callable[[], Exchange | None],
        rules: Callable[[], PortalRules],
        settings: Callable[[], AutomationSettings],
        stored: Callable[[], None],
        clock: Callable[[], float],
        to_pbx: Callable[[], Sequence[NumberRule]] = tuple,
    ) -> None:
        self._portal = portal
        self._client = client
        self._database = database
        self._book = book
        self._directory = directory
        self._exchange = exchange
        self._rules = rules
        self._settings = settings
        self._stored = stored
        self._clock = clock
        self._to_pbx = to_pbx
        self._waiting: asyncio.Queue[StoredOrder] = asyncio.Queue()
        self._unsure: list[StoredOrder] = []
        self._refusals: dict[str, Reason] = {}

    def refusal(self, key: str) -> Reason | None:
        """Why nothing came of an order of this run of ours."""
        return self._refusals.get(key)

    async def accept_page(self, order: Order) -> Reason | None:
        """Somebody wants a missed client called back. Returns when it is stored; gives why it is not taken: the client is
        being called already, whoever wants it. The same key again (a double click) changes nothing."""
        new = StoredOrder(self._portal, order, self._clock())

        async def work(conn: AsyncConnection) -> Reason | None:
            known = await orders.find(conn, self._portal, order.key)
            for one in await orders.unfinished(conn, self._portal):
                if known is None and one.order.number == order.number:
                    return ALREADY
            if known is None and await orders.take(conn, new, new.received):
                taken.append(new)
            return None

        taken: list[StoredOrder] = []
        reason = await self._database.write(work)
        for one in taken[-1:]:
            log.info("order -> new", portal=self._portal, order=order.key, by=str(order.ordered))
            self._waiting.put_nowait(one)
        return reason

    async def accept_robot(self, call: RobotCall) -> None:
        """Returns when it is stored. One that came before changes nothing."""
        type_, id_ = call.entity
        order = Order(
            call.key, Ordered.ROBOT, call.number, call.user, type_, id_, text=call.text[:LONGEST_TEXT], token=call.token
        )
        without_id = "" if call.token else call.key
        if without_id:
            order = replace(order, key=f"{call.key}:{call.received:.0f}")
        await self._accept(StoredOrder(self._portal, order, call.received, without_id))

    async def accept_callback(self, event: CallbackRequested) -> None:
        """The same for a form. The event has no id: the same text for the same number within minutes is the same event."""
        if not self._settings().callback:
            log.info("callback form left out by the settings", portal=self._portal)
            return
        digest = event.key.partition(":")[2]
        sent = min(event.at, event.received)  # it may have waited in the offline queue
        key = f"callback:{digest}:{sent:.0f}"
        where = (event.entity_type, event.entity_id, event.line)
        order = Order(key, Ordered.CALLBACK, event.number, "", *where, text=event.text[:LONGEST_TEXT])
        await self._accept(StoredOrder(self._portal, order, sent, digest))

    async def _accept(self, new: StoredOrder) -> None:
        if await self._database.write(lambda conn: orders.take(conn, new, new.received - ALIKE)):
            log.info("order -> new", portal=self._portal, order=new.order.key, by=str(new.order.ordered))
            self._waiting.put_nowait(new)
        else:
            log.info("order came again", portal=self._portal, order=new.order.key)

    async def restore(self) -> None:
        """What an earlier run left. Before the PBX is connected, so that a call that came about is known by its channel."""
        async with self._database.read() as conn:
            left = await orders.unfinished(conn, self._portal)
        exchange = self._exchange()
        for known in left:
            if known.state is ClickState.NEW:
                self._waiting.put_nowait(known)
            elif known.state is ClickState.DIALLING:
                self._unsure.append(known)
                self._book.expect_order(known.uniqueid, known.order)
                told = known.order.user, known.received, known.uniqueid, known.order.number
                await expect_again(exchange, self._directory(), *told)

    async def run(self) -> None:
        """Dials until cancelled."""
        async with asyncio.TaskGroup() as serving:
            for known in self._unsure:
                serving.create_task(self._guarded(known, self._settle), name=f"settle order {known.order.key}")
            while True:
                known = await self._waiting.get()
                serving.create_task(self._guarded(known, self._serve), name=f"order {known.order.key}")

    async def _guarded(self, known: StoredOrder, work: Callable[[StoredOrder], Awaitable[None]]) -> None:
        give_up = partial(self._give_up, known)
        await guarded(partial(work, known), give_up, portal=self._portal, order=known.order.key)

    # ---- whom to ring

    async def _serve(self, known: StoredOrder) -> None:
        """Rings one after another, until somebody comes to the phone. Raises Refused."""
        robot = known.order.ordered is not Ordered.CALLBACK
        settings = self._settings()
        patience = STALE if robot else settings.callback_within * 60
        reason = NOT_CALLED
        while True:
            pause = max(0.0, known.not_before - self._clock())
            age = self._clock() + pause - known.received
            if age > patience:
                late = Reason("ordered {seconds} s ago: too late", {"seconds": f"{age:.0f}"})
                raise Refused("603-S", late if robot or not known.tries else reason)
            await asyncio.sleep(pause)
            employees = await self._employees(known.order)
            rounds = 1 if robot else settings.callback_rounds
            if not employees or known.tries >= rounds * len(employees):
                nobody = Reason("no employee with an extension is known for it")
                raise Refused("480", reason if employees else nobody)
            employee = employees[known.tries % len(employees)]
            try:
                refused = await self._try(known, employee)
            except Refused as error:
                if robot or error.status != "503":
                    raise
                refused = error  # the PBX may be back for the next round
            if refused is None:
                return
            log.info("order: not reached", portal=self._portal, order=known.order.key, why=str(refused.reason))
            if robot:
                raise refused
            reason = refused.reason
            last_of_round = (known.tries + 1) % len(employees) == 0
            known = replace(
                known,
                state=ClickState.NEW,
                tries=known.tries + 1,
                not_before=self._clock() + (settings.callback_pause * 60 if last_of_round else 0.0),
            )
            if known.tries >= rounds * len(employees):
                known = replace(known, not_before=0.0)
            if not await insist(lambda known=known: self._database.write(lambda conn: self._again(conn, known)), "order"):
                return  # it has come about after all

    async def _again(self, conn: AsyncConnection, known: StoredOrder) -> bool:
        earlier = (ClickState.NEW, ClickState.DIALLING)
        return await orders.move(
            conn,
            self._portal,
            known.order.key,
            ClickState.NEW,
            only_from=earlier,
            tries=known.tries,
            not_before=known.not_before,
        )

    async def _employees(self, order: Order) -> list[Employee]:
        """Whom to ring, in order: active employees with an extension."""
        if order.ordered is not Ordered.CALLBACK and order.user:
            users = [order.user]
        else:
            fallback = self._rules().policy.fallback_user
            others = [] if order.ordered is not Ordered.CALLBACK else [*self._settings().callback_users, fallback]
            users = [await self._owner(order), *others]
        directory = self._directory()
        known = [directory.by_user(user) for user in dict.fromkeys(users) if user]
        return [Employee(one.user_id, one.extension) for one in known if one is not None and one.active and one.extension]

    async def _owner(self, order: Order) -> str:
        """The portal's responsible for the object, or for whatever has the number; "" when it does not say."""
        try:
            async with asyncio.timeout(ASKING):
                owner = ""
                if order.entity_type:
                    owner = await rest.responsible_of(self._client, order.entity_type, order.entity_id)
                return owner or await rest.responsible_by_number(self._client, order.number)
        except (PortalError, TimeoutError) as error:
            log.warning("responsible not known", portal=self._portal, order=order.key, error=str(error) or "time-out")
            return ""

    # ---- dialling

    async def _try(self, known: StoredOrder, employee: Employee) -> Refused | None:
        """Rings one employee. None when the order is on its way, or settled. Raises Refused when nobody else would do."""
        exchange = await live(self._exchange())
        order = replace(known.order, user=employee.user)
        told = to_dial(order.number, exchange, order.line, self._to_pbx())
        uniqueid = f"perezvon-{secrets.token_hex(8)}"
        key = order.key
        if not await self._database.write(
            lambda conn: orders.move(
                conn, self._portal, key, ClickState.DIALLING, only_from=(ClickState.NEW,), order=order, uniqueid=uniqueid
            )
        ):
            return None  # somebody has dropped it
        log.info("order -> dialling", portal=self._portal, order=key, extension=employee.extension, channel=uniqueid)
        self._book.expect_order(uniqueid, order, told.reason)
        try:
            await exchange.switchboard.expect(ExpectedCall(self._clock(), uniqueid, employee.extension, order.number))
            return await self._ring(exchange, order, employee, told.number, uniqueid)
        finally:
            self._book.forget(uniqueid)

    async def _ring(
        self, exchange: Exchange, order: Order, employee: Employee, number: str, uniqueid: str
    ) -> Refused | None:
        refused = await ring(exchange, self._originate(exchange, order, employee, number, uniqueid), employee.extension)
        if refused is not None:
            return await self._unless_told(exchange, order, uniqueid, refused)
        if not await appeared(exchange.switchboard, uniqueid, BEHIND):
            log.warning("order answered, but its call is not seen", portal=self._portal, order=order.key)
            return None
        if order.ordered is Ordered.CALLBACK and not await exchange.switchboard.pick_up(uniqueid):
            hung_up = Reason("{extension} hung up at once", {"extension": employee.extension})
            return await self._unless_told(exchange, order, uniqueid, Refused("603", hung_up))
        return None

    def _originate(self, exchange: Exchange, order: Order, employee: Employee, number: str, uniqueid: str) -> Originate:
        """The phone shows the order's text; for a form the employee hears what it is about before the client is dialled."""
        settings = exchange.settings
        told = plain(order.text)[:_SHOWN]
        params = dialling(settings, employee.extension, order.number, number)
        call = originate(params, employee.extension, uniqueid, told=told)
        if order.ordered is not Ordered.CALLBACK or not settings.callback_context:
            return call
        said = {"PEREZVON_SAY": self._settings().callback_sound, "PEREZVON_NEXT": call.context}
        variables = {**call.variables, **{name: value for name, value in said.items() if value}}
        return replace(call, context=settings.callback_context, variables=variables)

    async def _unless_told(self, exchange: Exchange, order: Order, uniqueid: str, refused: Refused) -> Refused | None:
        """A robot is answered by the end of a call that came about; for a form the attempt has to be over, untold."""
        if not await came_about(exchange, uniqueid):
            return refused
        if order.ordered is not Ordered.CALLBACK:
            return None
        if not await over(exchange.switchboard, uniqueid, OVER):
            log.warning("an attempt does not end", portal=self._portal, channel=uniqueid)
        async with self._database.read() as conn:
            known = await orders.find(conn, self._portal, order.key)
        return refused if known is not None and known.state is ClickState.DIALLING else None

    # ---- after a restart, and when nothing came of it

    async def _settle(self, known: StoredOrder) -> None:
        """We stopped between writing that it will be dialled and knowing what came of it: look, but never dial again.
        Raises Refused."""
        try:
            exchange = await live(self._exchange(), patience=None)
            if not await came_about(exchange, known.uniqueid):
                raise Refused("503", STOPPED)
            if known.order.ordered is not Ordered.CALLBACK:
                return
            # Told from now on, whether or not somebody is at the phone: it is one call for the portal in any case.
            if not await exchange.switchboard.pick_up(known.uniqueid):
                raise Refused("503", STOPPED)
        finally:
            self._book.forget(known.uniqueid)

    async def _give_up(self, known: StoredOrder, refused: Refused) -> None:
        reason = refused.reason
        log.warning("order -> dropped", portal=self._portal, order=known.order.key, why=str(reason))
        self._refusals[known.order.key] = reason
        while len(self._refusals) > MOST_REFUSALS:
            del self._refusals[next(iter(self._refusals))]
        drop = lambda: self._database.write(lambda conn: self._drop(conn, known, reason))  # noqa: E731
        await insist(drop, "order", portal=self._portal)
        self._stored()

    async def _drop(self, conn: AsyncConnection, known: StoredOrder, reason: Reason) -> None:
        earlier = (ClickState.NEW, ClickState.DIALLING)
        order = known.order
        if not await orders.move(conn, self._portal, order.key, ClickState.DROPPED, only_from=earlier, error=str(reason)):
            return
        if order.ordered is not Ordered.CALLBACK:
            steps: Sequence[StepDraft] = [answer(order, "refused", 0, str(reason), reason)] if order.token else []
        else:
            steps = self._untaken(order, known.received, reason)
        await lanes.append(conn, self._portal, order.lane, steps, self._clock())

    def _untaken(self, order: Order, at: float, reason: Reason) -> Sequence[StepDraft]:
        """What the portal is told of a form for which nobody came to the phone."""
        policy = self._rules().policy
        exchange = self._exchange()
        phone = order.number if exchange is None else exchange.numbering.international(order.number)
        line = policy.line(order.line, order.line, "") if order.line else None
        told = formatted(phone, line.number if line else "", policy.to_crm, Towards.CRM).number
        return not_called(
            order,
            order.user or self._default_user(policy.fallback_user),
            told if PHONE.fullmatch(told) else policy.anonymous_number,
            line.number if line is not None and (line.known or policy.unknown_lines) else "",
            line.source if line else "",
            at,
            policy.installation,
            late=policy.triggers.late,
            reason=reason,
        )

    def _default_user(self, fallback: str) -> str:
        users = [user for user in self._settings().callback_users if self._directory().by_user(user)]
        return users[0] if users else fallback
