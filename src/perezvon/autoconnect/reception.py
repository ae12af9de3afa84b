"""The dialplan's question before any phone rings: whom shall this caller be connected with? And the answer, in time.

What has to be waited for (the portal, our own tables) ends with the patience of the settings; what is not known by then
counts as unknown, and a caller of whom nothing is known goes his usual way. The dialplan has a limit of its own, for the
case that we hang, and it owns the Dial.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import structlog

from perezvon.asking import OwnTables
from perezvon.asterisk.agi import AgiCall
from perezvon.autoconnect.clients import Clients, Known, Told
from perezvon.autoconnect.presence import Presence
from perezvon.calls import Numbering
from perezvon.rules.caller_name import MOST_BYTES, caller_name, cleaned
from perezvon.rules.connecting import (
    EXTENSION,
    Asked,
    Choice,
    Connecting,
    Device,
    Office,
    Person,
    account_of,
    choose,
    in_order,
    people_asked,
)
from perezvon.rules.working_time import week_of
from perezvon.settings.autoconnect import AutoconnectSettings
from perezvon.settings.model import LineSettings, Settings
from perezvon.storage import calls

EVENT = "PerezvonConnect"
"""Told of each choice to whoever watches the PBX: calls/noting.py."""

SHARE = 0.9
"""Of the patience, for the portal; the rest is ours."""

AT_ONCE = 0.25
"""Seconds within which a client who is known from an earlier call is connected, whatever the portal does."""

_BUSY = frozenset({"INUSE", "BUSY", "RINGING", "RINGINUSE", "ONHOLD", "HOLDINUSE"})
_AWAY = frozenset({"UNAVAILABLE", "INVALID"})
_NO = frozenset({"", "0", "NO", "OFF", "FALSE", "NOT_INUSE", "UNKNOWN", "INVALID"})

Function = Callable[[str], Awaitable[str]]
"""The value of a function of the dialplan."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Desk:
    """What is known at one portal. `people()`: its active employees by user and by extension or own phone. `phone`: how a
    client's number (E.164) is written there for calls to a number of the company."""

    clients: Clients
    presence: Presence
    people: Callable[[], tuple[Mapping[str, Person], Mapping[str, Person]]]
    phone: Callable[[str, str], str]


@dataclass(frozen=True, slots=True)
class Hook:
    """The integrator's word on whom a caller is connected with. `seconds()`: that it may take, 0 where there is none.
    `ask(environment, found, deadline)`: `found` as it shall be, None for the usual way; `environment` the AGI call's,
    `deadline` in the event loop's seconds. It never raises for what a hook does."""

    seconds: Callable[[], float]
    ask: Callable[[Mapping[str, str], Mapping[str, Any], float], Awaitable[Mapping[str, Any] | None]]


@dataclass(frozen=True, slots=True)
class Decided:
    """`name`: what phones shall show, "" for what they would anyway. `seconds`: that it took."""

    choice: Choice
    name: str
    client: str
    line: str
    seconds: float


class Reception:
    """Of one PBX. All the functions give what applies now; `desk()`: None while no portal is set."""

    def __init__(
        self,
        pbx: str,
        settings: Callable[[], Settings],
        desk: Callable[[], Desk | None],
        connecting: Callable[[], Connecting],
        numbering: Numbering,
        own: OwnTables,
        *,
        clock: Callable[[], float] = time.time,
        hook: Hook | None = None,
    ) -> None:
        self._hook = hook
        self._pbx = pbx
        self._settings = settings
        self._desk = desk
        self._connecting = connecting
        self._numbering = numbering
        self._own = own
        self._clock = clock
        self._lines: tuple[Settings, Mapping[str, LineSettings]] | None = None

    async def connect(self, call: AgiCall) -> None:
        """The script `connect`. Its arguments: the company's number, the caller's; both as the PBX has them."""
        number, client = (*call.args, "", "")[:2]
        settings = self._settings()
        number = number or call.environment.get("dnid", "").replace("unknown", "")
        decided = await self.decide(number, client, call.get, environment=call.environment)
        if decided is None:
            await call.end({"TIMEOUT(absolute)": "0", "PEREZVON_CONNECT": "off"})
            return
        choice = decided.choice
        values = {
            "TIMEOUT(absolute)": "0",
            "PEREZVON_CONNECT": "told",
            "PEREZVON_RING": str(choice.ring),
            **({"PEREZVON_CALLERNAME": decided.name} if decided.name else {}),
            "PEREZVON_TO": choice.extension,
        }
        await call.end(values, EVENT, Step="chosen", To=choice.extension, Line=number[:40], Why=account_of(choice.told))
        log.info(
            "autoconnect",
            pbx=self._pbx,
            client=decided.client,
            line=decided.line,
            to=choice.extension,
            why="; ".join(map(str, choice.reasons)),
            ms=round(decided.seconds * 1000),
            patience=settings.autoconnect.patience,
        )

    async def decide(
        self,
        number: str,
        client_raw: str,
        function: Function,
        at: float | None = None,
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Decided | None:
        """None where callers of this number are left to the PBX. `at`: POSIX seconds; now, if not given. `environment`: of
        the AGI call, where there is one; else no hook is asked."""
        began = time.monotonic()
        settings = self._settings()
        wanted = settings.autoconnect
        arrived = asyncio.get_running_loop().time()
        hook = self._hook if environment is not None and self._hook is not None and self._hook.seconds() else None
        kept = 0.0 if hook is None else min(hook.seconds(), wanted.patience / 2)
        deadline = arrived + wanted.patience * SHARE - kept
        line = self._line(settings, number)
        if not settings.autoconnects(line):
            return None
        rules, desk = self._connecting(), self._desk()
        client = self._numbering.international(client_raw)
        office = Office(*desk.people()) if desk is not None else Office()
        named = (line.name or line.number) if line is not None else number
        asked = Asked(
            self._clock() if at is None else at,
            line=named,
            first=line.first_employee if line is not None else "",
            hours=week_of(line.working_time) if line is not None else (),
            colleague=client in office.extensions,
        )
        told = Told(None)
        if client and not asked.colleague:
            asked, told = await self._look_up(asked, client, number, rules, office, desk, deadline, wanted)
        if desk is not None and not asked.colleague:
            until = min(deadline, arrived + AT_ONCE) if told.before else deadline
            await desk.presence.ask(people_asked(asked, office, rules), until)
            presence = desk.presence
            office = replace(office, workday=presence.workday(), absent=presence.absent(asked.at))
        choice = _with_trouble(await _choose(asked, office, rules, wanted, function), told, rules)
        name = _name(wanted, told.known, choice, named, client)
        if hook is not None and environment is not None:
            found = {"extension": choice.extension, "name": name, "entity": _entity(asked, rules)}
            choice, name = await self._final(hook, environment, found, choice, office, arrived + wanted.patience)
        return Decided(choice, name, client, named, time.monotonic() - began)

    async def _final(
        self,
        hook: Hook,
        environment: Mapping[str, str],
        found: Mapping[str, Any],
        choice: Choice,
        office: Office,
        deadline: float,
    ) -> tuple[Choice, str]:
        """The one place where a choice becomes final, with the name: as the integrator's hook wants it."""
        name = str(found["name"])
        try:
            async with asyncio.timeout_at(deadline):
                wanted = await hook.ask(environment, found, deadline)
        except TimeoutError:
            log.warning("customize_autodistribution took longer than a caller waits", pbx=self._pbx)
            return choice, name
        if wanted is None:
            return replace(choice, extension="", told=(*_considered(choice), ("custom", {}), ("nobody", {}))), name
        extension = str(wanted["extension"])
        if extension and not EXTENSION.fullmatch(extension):
            log.warning("a hook's extension cannot be rung, the choice stands", pbx=self._pbx, extension=extension[:40])
            return choice, name
        name = _fitting(str(wanted["name"])) if wanted["name"] != name else name
        if extension == choice.extension:
            return choice, name
        code, args = "nobody", dict[str, str]()
        if extension:
            code, args = "rung", {"who": str(office.of_extension(extension)), "seconds": str(choice.ring)}
        return replace(choice, extension=extension, told=(*_considered(choice), ("custom", {}), (code, args))), name

    async def _look_up(
        self,
        asked: Asked,
        client: str,
        number: str,
        rules: Connecting,
        office: Office,
        desk: Desk | None,
        deadline: float,
        wanted: AutoconnectSettings,
    ) -> tuple[Asked, Told]:
        """What is known of the client."""

        async def whose() -> Told:
            of_name = any(f"{{{place}}}" in wanted.caller_name for place in ("person", "company", "responsible"))
            if desk is None or not ("responsible" in rules.chain or of_name):
                return Told(None)
            phone = desk.phone(client, number)
            company = "{company}" in wanted.caller_name
            return await desk.clients.ask(client, phone, deadline, deals="deal" in rules.objects, company=company)

        async def talked() -> tuple[str, float] | None:
            if "last_talked" not in rules.chain:
                return None
            return await self._own.read(lambda conn: calls.last_talk(conn, self._pbx, client), deadline)

        told, last = await asyncio.gather(whose(), talked())
        if told.known is not None:
            asked = replace(asked, objects=told.known.objects)
        if last is not None:
            asked = replace(asked, talked=last[0], talked_at=last[1])
            person = office.extensions.get(last[0])
            if person is not None and person.extension:
                asked = replace(asked, talked=person.extension)
        return asked, told

    def _line(self, settings: Settings, number: str) -> LineSettings | None:
        if self._lines is None or self._lines[0] is not settings:
            known: dict[str, LineSettings] = {}
            for line in settings.line:
                for name in (line.number, *line.aliases):
                    known[name] = line
                    known.setdefault(self._numbering.international(name), line)
            known.pop("", None)
            self._lines = (settings, known)
        return self._lines[1].get(number) or self._lines[1].get(self._numbering.international(number))


async def _choose(
    asked: Asked, office: Office, rules: Connecting, wanted: AutoconnectSettings, function: Function
) -> Choice:
    """Only the phones of those are asked for their state who would be rung: mostly one."""
    states: dict[str, Device] = {}
    while True:
        choice = choose(asked, replace(office, devices=states), rules)
        extension = choice.extension
        if not extension or extension in states or "device" not in rules.checks:
            return choice
        state = await function(wanted.device.format(number=extension))
        quiet = await function(wanted.do_not_disturb.format(number=extension)) if wanted.do_not_disturb else ""
        states[extension] = device_of(state, quiet)


def device_of(state: str, quiet: str) -> Device:
    """`state`: of DEVICE_STATE or EXTENSION_STATE; `quiet`: what the function for do-not-disturb gives."""
    state = state.strip().upper()
    if state in _AWAY:
        return Device.UNREACHABLE
    if quiet.strip().upper() not in _NO:
        return Device.DND
    if state in _BUSY:
        return Device.BUSY
    return Device.FREE if state == "NOT_INUSE" else Device.UNKNOWN


def _with_trouble(choice: Choice, told: Told, rules: Connecting) -> Choice:
    if not told.late or "responsible" not in rules.chain:
        return choice
    return replace(choice, told=(("slow" if told.known is None else "kept", {}), *choice.told))


def _considered(choice: Choice) -> tuple[tuple[str, Mapping[str, str]], ...]:
    """The account without its end, which is another one now."""
    ends = choice.told[-1:] and choice.told[-1][0] in ("rung", "deputy", "nobody")
    return choice.told[:-1] if ends else choice.told


def _entity(asked: Asked, rules: Connecting) -> dict[str, Any] | None:
    """The first of the client's CRM objects, as hooks are told of it."""
    found = in_order(asked.objects, rules.objects)
    return {"type": found[0].kind, "id": found[0].id} if found else None


def _fitting(name: str) -> str:
    """For the phones: as every name, nothing that means something to a dialplan."""
    return cleaned(name).encode()[:MOST_BYTES].decode(errors="ignore")


def _name(wanted: AutoconnectSettings, known: Known | None, choice: Choice, line: str, client: str) -> str:
    places = {"line": line, "client": client, "responsible": choice.responsible}
    if known is not None:
        places |= {"person": known.person, "company": known.company}
    return caller_name(wanted.caller_name, places, wanted.letters, wanted.name_length) if wanted.caller_name else ""
