"""Click-to-call: the portal says that somebody clicked a number; his phone rings, then the client is dialled.

The portal has registered the call already and shows its card: whatever happens here, that CALL_ID is finished, once. A
click is dialled at most once, whichever way and however often its event arrives, and never after a restart that leaves open
whether it was dialled. Source: the telephony tutorial of the Bitrix24 REST documentation, ONEXTERNALCALLSTART.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from perezvon.asterisk import AmiError, Fate, Originate, Originated, Supervisor
from perezvon.bitrix24.directory import Directory
from perezvon.bitrix24.events import CallStartClick
from perezvon.calls import ExpectedCall, Numbering
from perezvon.conference import Control, Matching, RoomBook
from perezvon.customisation import Customiser, Point
from perezvon.rules import NumberRule, Reason, Towards, refuse_click
from perezvon.rules.numbers import Formatted, formatted
from perezvon.service.clickbook import ClickBook
from perezvon.service.switchboard import Switchboard
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage import clicks, lanes
from perezvon.storage.clicks import OPEN, Click, ClickState
from perezvon.storage.database import Database
from perezvon.storage.errors import Unavailable
from perezvon.storage.insist import insist

log = structlog.get_logger(__name__)

DOUBLE = 5.0
"""Seconds in which a second click of the same user on the same number is a slip of the finger."""
STALE = 45.0
"""Seconds after which a click is not dialled any more: its author has long turned to something else."""
APPEARANCE = 3.0
"""Seconds that the events of a call get to be read after Asterisk said that it failed."""
BEHIND = 300.0
"""Seconds that the events of an answered call may be behind: until then it is known whose click it is. A phone that answers
by itself is faster than we are when we are busy."""
PBX_PATIENCE = 3.0
"""Seconds that a PBX which is just being reconnected gets."""

LONGEST = 20
"""Digits: a number has at most 15 (E.164), and some more to get at an outside line."""
_NUMBER = re.compile(
    r"([ \t\u00a0]*\+?[0-9(][0-9 \t\u00a0().\-\u2010-\u2015/]*)"
    r"(?:(?:,|;|доб|вн|ext|x)[a-z=.: \u00a0]{0,8}[0-9]{1,8}[ \t\u00a0]*)?",
    re.IGNORECASE,
)

STATUS = {Fate.BUSY: "486", Fate.NO_ANSWER: "480", Fate.DECLINED: "603", Fate.CONGESTION: "503", Fate.UNREACHABLE: "480"}


@dataclass(frozen=True, slots=True)
class Exchange:
    """One PBX: watched, dialled through, who confers there, and how that is controlled."""

    settings: AsteriskSettings
    numbering: Numbering
    supervisor: Supervisor
    switchboard: Switchboard
    rooms: RoomBook
    matching: Matching
    control: Control


class Refused(Exception):
    """The click cannot be dialled. `status`: what the portal's call is finished with."""

    def __init__(self, status: str, reason: Reason) -> None:
        super().__init__(str(reason))
        self.status = status
        self.reason = reason


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
            call_list=event.call_list_id[:32] if event.call_list_id.isdigit() else "",
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
                if exchange is not None and (employee := self._directory().by_user(click.user_id)):
                    expected = ExpectedCall(click.received, click.uniqueid, employee.extension, click.number)
                    await exchange.switchboard.expect(expected)

    async def run(self) -> None:
        """Dials until cancelled."""
        async with asyncio.TaskGroup() as dialling:
            for click in self._unsure:
                dialling.create_task(self._settle(click), name=f"settle click {click.portal_call}")
            while True:
                click = await self._waiting.get()
                dialling.create_task(self._dial(click), name=f"dial click {click.portal_call}")

    async def _dial(self, click: Click) -> None:
        try:
            await self._try(click)
        except Refused as refused:
            await self._give_up(click, refused)
        except Unavailable as error:
            await self._give_up(click, Refused("503", Reason("the database was gone: {why}", {"why": str(error)})))
        except Exception:
            log.exception("click failed unexpectedly", portal=self._portal, portal_call=click.portal_call)
            await self._give_up(click, Refused("503", Reason("an unexpected error, see the log")))

    async def _try(self, click: Click) -> None:
        if self._clock() - click.received > STALE:
            raise Refused("603-S", Reason("the service was down when the number was clicked: too late to dial it now"))
        extension = self._extension(click)
        exchange = await live(self._exchange())
        told = dialled(click.number, exchange.numbering, click.line, self._to_pbx())
        if not told.number:
            raise Refused("484", Reason("{number} is no number that can be dialled", {"number": shown(click.number)}))
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
            try:
                outcome = await exchange.supervisor.originate(originate(params, extension, uniqueid))
            except AmiError as error:
                await self._unless_it_rings(
                    exchange, uniqueid, "503", Reason("the PBX did not dial: {why}", {"why": str(error)})
                )
                return
            if outcome.fate is not Fate.ANSWERED:
                await self._unless_it_rings(exchange, uniqueid, STATUS[outcome.fate], explained(outcome, extension))
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
        exchange = self._exchange()
        try:
            if exchange is None:
                raise Refused("503", Reason("no PBX is set for this portal"))
            await exchange.supervisor.until_live()
            reason = Reason("the service stopped while it was dialling: not dialled a second time")
            await self._unless_it_rings(exchange, click.uniqueid, "503", reason)
        except Refused as refused:
            await self._give_up(click, refused)
        finally:
            self._book.forget(click.uniqueid)

    async def _unless_it_rings(self, exchange: Exchange, uniqueid: str, status: str, reason: Reason) -> None:
        """The call's own end finishes the click when the PBX has made a channel for it; else we do."""
        if not await appeared(exchange.switchboard, uniqueid, APPEARANCE):
            await exchange.switchboard.forget(uniqueid)
            raise Refused(status, reason)

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


async def live(exchange: Exchange | None) -> Exchange:
    """The PBX, once it can be dialled through. Raises Refused."""
    if exchange is None:
        raise Refused("503", Reason("no PBX is set for this portal"))
    try:
        async with asyncio.timeout(PBX_PATIENCE):
            await exchange.supervisor.until_live()
    except TimeoutError:
        why = exchange.supervisor.status.error or str(exchange.supervisor.status.state)
        raise Refused("503", Reason("the PBX is not connected: {why}", {"why": why})) from None
    return exchange


async def appeared(switchboard: Switchboard, uniqueid: str, patience: float) -> bool:
    """Whether the call has begun, or begins to be seen in time."""
    seen = asyncio.Event()

    def look() -> None:
        if switchboard.began(uniqueid):
            seen.set()

    stop = switchboard.on_progress(look)
    try:
        look()
        async with asyncio.timeout(patience):
            await seen.wait()
    except TimeoutError:
        return False
    finally:
        stop()
    return True


def dialling(settings: AsteriskSettings, extension: str, client: str, number: str) -> dict[str, Any]:
    """How a click, or an order, is dialled: the employee's phone (`channel`), then `number` in the dialplan. `caller_id`:
    what his phone shows."""
    return {
        "channel": settings.originate_channel.format(extension=extension),
        "context": settings.originate_context,
        "extension": number,
        "priority": 1,
        "caller_id": settings.originate_caller_id.format(client=client, extension=extension),
        "timeout": float(settings.originate_timeout),
        "variables": {},
    }


def originate(params: Mapping[str, Any], extension: str, uniqueid: str, *, told: str = "") -> Originate:
    """The employee's phone rings first and shows the client; then the dialplan dials, in the employee's name. `params`: of
    `dialling`. `told`: shown in the place of the client's name.

    The Originate action's own CallerID would be both: the client's number would go out on the trunk as the caller's. So the
    phone's display is the connected line, and the caller is the employee.
    """
    name, number_shown = _caller_id(params["caller_id"])
    variables = {
        "CALLERID(num)": extension,
        "CALLERID(name)": "",
        "CONNECTEDLINE(name,i)": told or name,
        "CONNECTEDLINE(num,i)": number_shown,
        **params["variables"],
        "__PEREZVON_CLICK": uniqueid,
    }
    return Originate(
        channel=params["channel"],
        context=params["context"],
        exten=params["extension"],
        priority=params["priority"],
        timeout=params["timeout"],
        variables={key: value for key, value in variables.items() if value or key == "CALLERID(name)"},
        channel_id=uniqueid,
    )


def dialled(number: str, numbering: Numbering, line: str = "", rules: Sequence[NumberRule] = ()) -> Formatted:
    """What is dialled: digits only, unless a rule says otherwise. `number` is "" for anything that is not a phone number as
    people write them (an extension behind it is left off): digits are not gathered out of other text. `line`: as the portal
    names it."""
    match = _NUMBER.fullmatch(number)
    understood = "" if match is None else numbering.international(match[1])
    digits = re.sub(r"[^0-9]", "", understood)
    if not 1 <= len(digits) <= LONGEST:
        return Formatted("")
    line = numbering.international(line) or line
    return formatted(f"+{digits}" if understood.startswith("+") else digits, line, rules, Towards.PBX)


def shown(number: str) -> str:
    """Foreign text, fit for a sentence."""
    return repr(number if len(number) <= 40 else f"{number[:40]}…")


def _caller_id(shown: str) -> tuple[str, str]:
    """`"Name" <number>`, or a bare number."""
    if match := re.fullmatch(r'\s*"?([^"<]*)"?\s*<([^>]*)>\s*', shown):
        return match[1].strip(), match[2].strip()
    return "", shown.strip()


def explained(outcome: Originated, extension: str) -> Reason:
    return Reason("the phone {extension} was not reached: {why}", {"extension": extension, "why": outcome.reason})
