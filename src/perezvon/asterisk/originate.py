"""Places a call through AMI `Originate`, and tells what became of its first leg.

Source: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Actions/Originate/
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

import structlog

from perezvon.asterisk.errors import ActionTimeout, InjectionRefused
from perezvon.asterisk.message import Message
from perezvon.asterisk.session import Session

log = structlog.get_logger(__name__)

_EXTEN = re.compile(r"[\w*#+.:-]{1,79}", re.ASCII)
_CONTEXT = re.compile(r"[\w.-]{1,79}", re.ASCII)
_VARIABLE = re.compile(r"\w+(\([\w,-]*\))?", re.ASCII)
_SEPARATORS = re.compile(r'([\\,"()\[\]])')
_UNSHOWABLE = re.compile(r'[\x00-\x1f\x7f"<>\\]+')


class Fate(StrEnum):
    """What became of the leg that was dialled first."""

    ANSWERED = "answered"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    DECLINED = "declined"
    CONGESTION = "congestion"
    UNREACHABLE = "unreachable"


REASONS: Mapping[str, tuple[Fate, str]] = {
    "1": (Fate.DECLINED, "the called side hung up before an answer"),
    "3": (Fate.NO_ANSWER, "it rang until the time was over"),
    "5": (Fate.BUSY, "busy"),
    "8": (Fate.CONGESTION, "congestion: the line or the phone is not available"),
}
"""`OriginateResponse.Reason`, the number of an Asterisk control frame. A SIP phone that is busy or rejects gives 0 all the
same (seen on Asterisk 22): then the hang-up cause of its channel tells more."""

CAUSES: Mapping[str, Fate] = {
    "17": Fate.BUSY,
    "18": Fate.NO_ANSWER,
    "19": Fate.NO_ANSWER,
    "16": Fate.DECLINED,
    "21": Fate.DECLINED,
    "34": Fate.CONGESTION,
    "38": Fate.CONGESTION,
    "41": Fate.CONGESTION,
    "42": Fate.CONGESTION,
    "44": Fate.CONGESTION,
}
"""Hang-up causes of an unanswered leg (ITU-T Q.850); any other is UNREACHABLE."""

HANGUP_SECONDS = 2.0
"""How long after `OriginateResponse` the hang-up of the failed leg may take; usually a millisecond."""

NO_CHANNEL = "no such channel, extension or context, or the phone is not registered"


@dataclass(frozen=True, slots=True)
class Originate:
    """`channel` is dialled first; when it answers it goes to `exten@context`, or runs `application(data)` if given.

    `timeout`: seconds that `channel` may ring. `variables` are set on `channel` (a name with `__` in front is inherited).
    `channel_id` becomes the uniqueid of that channel, so that it can be told from others; it must be unique on that PBX.
    """

    channel: str
    context: str = ""
    exten: str = ""
    priority: int = 1
    application: str = ""
    data: str = ""
    caller_number: str = ""
    caller_name: str = ""
    timeout: float = 30.0
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    channel_id: str = ""
    account: str = ""

    def headers(self) -> list[tuple[str, str]]:
        """As `Originate` wants them. Raises InjectionRefused for a number, context or variable name that is none."""
        found = [("Channel", self.channel), ("Timeout", str(round(self.timeout * 1000))), ("Async", "true")]
        if self.application:
            found += [("Application", self.application), ("Data", self.data)]
        else:
            found += [
                ("Context", _checked(_CONTEXT, self.context, "context")),
                ("Exten", _checked(_EXTEN, self.exten, "extension or number")),
                ("Priority", str(self.priority)),
            ]
        if self.caller_number or self.caller_name:
            found.append(("CallerID", self._caller_id()))
        if self.account:
            found.append(("Account", self.account))
        if self.channel_id:
            found.append(("ChannelId", self.channel_id))
        found += [
            ("Variable", f"{_checked(_VARIABLE, name, 'variable name')}={_SEPARATORS.sub(_BACKSLASH, value)}")
            for name, value in self.variables.items()
        ]
        return found

    def _caller_id(self) -> str:
        name = " ".join(_UNSHOWABLE.sub(" ", self.caller_name).split())
        number = self.caller_number and _checked(_EXTEN, self.caller_number, "caller number")
        return f'"{name}" <{number}>'


_BACKSLASH = r"\\\1"


def _checked(pattern: re.Pattern[str], text: str, what: str) -> str:
    if not pattern.fullmatch(text):
        raise InjectionRefused(f"{text[:60]!r} is no {what}: the call was not placed")
    return text


@dataclass(frozen=True, slots=True)
class Originated:
    """`reason` explains `fate` in English; `uniqueid` and `channel` are those of the leg dialled first: the given
    `channel_id` (or one made up), and the name, which is incomplete when the channel never came to be."""

    fate: Fate
    reason: str
    uniqueid: str
    channel: str


async def place_call(session: Session, call: Originate, *, slack: float = 15.0) -> Originated:
    """Places the call, once, and waits until its first leg has been answered or has failed.

    `slack`: seconds that Asterisk gets beyond the ringing time. Raises ActionRefused (nothing dialled: a right is missing,
    or the call is malformed), InjectionRefused and NotConnected (nothing was sent), and ActionTimeout or ConnectionLost,
    after which the call may be going on: it is found by its `channel_id`.
    """
    action_id = session.new_action_id()
    call = replace(call, channel_id=call.channel_id or action_id)
    headers = call.headers()
    loop = asyncio.get_running_loop()
    told: asyncio.Future[Message] = loop.create_future()
    gone: asyncio.Future[Message] = loop.create_future()
    existed = False

    def take_response(message: Message, _length: int) -> None:
        if message["Event"] == "OriginateResponse" and not told.done():
            told.set_result(message)

    def take_leg(message: Message, _length: int) -> None:
        nonlocal existed
        existed = existed or message["Event"] != "OriginateResponse"
        if message["Event"] == "Hangup" and not gone.done():
            gone.set_result(message)

    deadline = call.timeout + slack
    with session.watch("ActionID", action_id, take_response), session.watch("Uniqueid", call.channel_id, take_leg):
        await session.action("Originate", headers, action_id=action_id)
        try:
            async with asyncio.timeout(deadline):
                response = await session.result(told)
        except TimeoutError:
            raise ActionTimeout(
                f"{session.address} did not tell within {deadline:g} s what became of the call to {call.channel}; the AMI "
                f"user {session.address.user!r} needs `call` in `read =` of manager.conf for it"
            ) from None
        if _is_vague(response) and existed:
            try:
                async with asyncio.timeout(HANGUP_SECONDS):
                    return _by_cause(call, await session.result(gone))
            except TimeoutError:
                log.warning("a failed leg is not hung up", channel=call.channel, channel_id=call.channel_id)
    return _by_reason(call, response)


def _is_vague(response: Message) -> bool:
    return response["Response"].lower() != "success" and response["Reason"] not in REASONS


def _by_reason(call: Originate, response: Message) -> Originated:
    if response["Response"].lower() == "success":
        fate, reason = Fate.ANSWERED, "answered"
    else:
        fate, reason = REASONS.get(response["Reason"], (Fate.UNREACHABLE, NO_CHANNEL))
    return Originated(fate, reason, call.channel_id, response["Channel"])


def _by_cause(call: Originate, hangup: Message) -> Originated:
    fate = CAUSES.get(hangup["Cause"], Fate.UNREACHABLE)
    reason = f"{hangup['Cause-txt'] or 'no cause given'} (cause {hangup['Cause']})"
    return Originated(fate, reason, call.channel_id, hangup["Channel"])
