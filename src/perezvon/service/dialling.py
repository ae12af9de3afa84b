"""How we place a call: an employee's phone is rung first, then the client is dialled. For clicks and for orders.

Source: the Originate action of Asterisk's AMI.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from perezvon.asterisk import AmiError, Fate, Originate, Supervisor
from perezvon.bitrix24.directory import Directory
from perezvon.calls import ExpectedCall, Numbering
from perezvon.conference import Control, Matching, RoomBook
from perezvon.rules import NumberRule, Reason, Towards
from perezvon.rules.numbers import Formatted, formatted
from perezvon.service.switchboard import Switchboard
from perezvon.settings.pbx import AsteriskSettings
from perezvon.storage.errors import Unavailable

log = structlog.get_logger(__name__)

APPEARANCE = 3.0
"""Seconds that the events of a call get to be read after Asterisk said that it failed."""
BEHIND = 300.0
"""Seconds that the events of an answered call may be behind: until then it is known whose click it is. A phone that answers
by itself is faster than we are when we are busy."""
PBX_PATIENCE = 3.0
"""Seconds that a PBX which is just being reconnected gets."""

STOPPED = Reason("the service stopped while it was dialling: not dialled a second time")

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
    """The call cannot be placed. `status`: what the portal's call is finished with."""

    def __init__(self, status: str, reason: Reason) -> None:
        super().__init__(str(reason))
        self.status = status
        self.reason = reason


async def guarded(
    work: Callable[[], Awaitable[None]], give_up: Callable[[Refused], Awaitable[None]], **placed: str
) -> None:
    """A defect in one call never stops the next. `placed`: which it is, for the log."""
    try:
        await work()
    except Refused as refused:
        await give_up(refused)
    except Unavailable as error:
        await give_up(Refused("503", Reason("the database was gone: {why}", {"why": str(error)})))
    except Exception:
        log.exception("a call could not be placed, unexpectedly", **placed)
        await give_up(Refused("503", Reason("an unexpected error, see the log")))


async def live(exchange: Exchange | None, patience: float | None = PBX_PATIENCE) -> Exchange:
    """The PBX, once it can be dialled through. `patience`: seconds, None for ever. Raises Refused."""
    if exchange is None:
        raise Refused("503", Reason("no PBX is set for this portal"))
    try:
        async with asyncio.timeout(patience):
            await exchange.supervisor.until_live()
    except TimeoutError:
        why = exchange.supervisor.status.error or str(exchange.supervisor.status.state)
        raise Refused("503", Reason("the PBX is not connected: {why}", {"why": why})) from None
    return exchange


async def ring(exchange: Exchange, call: Originate, extension: str) -> Refused | None:
    """Rings the employee's phone until he answers (None) or does not."""
    try:
        outcome = await exchange.supervisor.originate(call)
    except AmiError as error:
        return Refused("503", Reason("the PBX did not dial: {why}", {"why": error.why}))
    if outcome.fate is Fate.ANSWERED:
        return None
    why = {"extension": extension, "why": outcome.reason}
    return Refused(STATUS[outcome.fate], Reason("the phone {extension} was not reached: {why}", why))


async def came_about(exchange: Exchange, uniqueid: str) -> bool:
    """Whether the PBX has made a channel for a call that failed: then the call's own end tells what became of it. Else it
    is expected no more."""
    if await appeared(exchange.switchboard, uniqueid, APPEARANCE):
        return True
    await exchange.switchboard.forget(uniqueid)
    return False


async def appeared(switchboard: Switchboard, uniqueid: str, patience: float) -> bool:
    """Whether the call has begun, or begins to be seen in time."""
    return await _seen(switchboard, lambda: switchboard.began(uniqueid), patience)


async def over(switchboard: Switchboard, uniqueid: str, patience: float) -> bool:
    """Whether the call is over, or ends in time."""
    return await _seen(switchboard, lambda: not switchboard.going_on(uniqueid), patience)


async def _seen(switchboard: Switchboard, condition: Callable[[], bool], patience: float) -> bool:
    seen = asyncio.Event()

    def look() -> None:
        if condition():
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


async def expect_again(
    exchange: Exchange | None, directory: Directory, user: str, at: float, uniqueid: str, number: str
) -> None:
    """After a restart: a call that came about nevertheless is known by its channel. `at`: POSIX seconds."""
    if exchange is not None and (employee := directory.by_user(user)):
        await exchange.switchboard.expect(ExpectedCall(at, uniqueid, employee.extension, number))


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


def to_dial(number: str, exchange: Exchange, line: str, rules: Sequence[NumberRule]) -> Formatted:
    """What `dialled` says. Raises Refused for what is no number."""
    told = dialled(number, exchange.numbering, line, rules)
    if not told.number:
        raise Refused("484", Reason("{number} is no number that can be dialled", {"number": _shown(number)}))
    return told


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


def _shown(number: str) -> str:
    """Foreign text, fit for a sentence."""
    return repr(number if len(number) <= 40 else f"{number[:40]}…")


def _caller_id(shown: str) -> tuple[str, str]:
    """`"Name" <number>`, or a bare number."""
    if match := re.fullmatch(r'\s*"?([^"<]*)"?\s*<([^>]*)>\s*', shown):
        return match[1].strip(), match[2].strip()
    return "", shown.strip()
