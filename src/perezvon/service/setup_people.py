"""The wizard's third step: the extensions of the portal's employees beside those of the PBX. What is compared is pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perezvon.asterisk import AmiError
from perezvon.asterisk.message import Message
from perezvon.bitrix24.directory import Employee
from perezvon.rules.vocabulary import Reason
from perezvon.service.clicks import Exchange
from perezvon.web.setup_desk import Mark, Pair, People, Phone

_IN_PORTAL = Reason(
    "write the number into the employee's profile in the portal: Telephony, Telephony users, Extension number"
)
_AWAY = ("unavailable", "invalid", "unknown")
_ON_PBX = Reason("make this extension on the PBX, or take the number out of the employee's profile in the portal")


async def phones_of(exchange: Exchange) -> tuple[list[Phone], Reason | None]:
    """The extensions of one PBX; and why they are not known. The lists of PJSIP and chan_sip need the right `system`; the
    states of devices do not, and tell of each that is defined."""
    name, numbering = exchange.settings.name, exchange.numbering
    found: dict[str, Phone] = {}
    refused: list[str] = []
    for action, read in (("PJSIPShowEndpoints", _endpoint), ("SIPpeers", _peer), ("DeviceStateList", _device)):
        if action == "DeviceStateList" and found:
            break
        try:
            entries = await exchange.supervisor.collect(action, timeout=10.0)
        except AmiError as error:
            refused.append(str(error))
            continue
        for phone in (read(entry, name) for entry in entries):
            if phone is not None and numbering.is_extension(phone.extension):
                found.setdefault(phone.extension, phone)
    if not found:
        why = {"pbx": name, "why": refused[0] if refused else "—"}
        return [], Reason("the PBX {pbx} does not tell its extensions: {why}", why)
    return list(found.values()), None


def _endpoint(entry: Message, pbx: str) -> Phone | None:
    state = entry["DeviceState"].lower()
    return Phone(entry["ObjectName"], pbx, "PJSIP", None if not state else state not in _AWAY)


def _peer(entry: Message, pbx: str) -> Phone | None:
    state = entry["Status"].lower()
    return Phone(entry["ObjectName"], pbx, "SIP", None if state in ("", "unmonitored") else state.startswith("ok"))


def _device(entry: Message, pbx: str) -> Phone | None:
    kind, slash, extension = entry["Device"].partition("/")
    if not slash or kind not in ("PJSIP", "SIP", "IAX2", "SCCP"):
        return None
    return Phone(extension, pbx, kind, entry["State"].lower() not in _AWAY)


def paired(employees: Sequence[Employee], phones: Sequence[Phone], normal: Callable[[str], str] = str.strip) -> People:
    """Holes and doubles first, then by extension. `phones` may be empty when the PBX tells nothing: then nobody is told to
    lack one."""
    owners: dict[str, list[Employee]] = {}
    for employee in employees:
        if employee.active and employee.extension:
            owners.setdefault(normal(employee.extension), []).append(employee)
    there: dict[str, list[Phone]] = {}
    for phone in phones:
        there.setdefault(phone.extension, []).append(phone)
    pairs = [
        _pair(extension, owners.get(extension, []), there.get(extension, []), told=bool(phones))
        for extension in {*owners, *there}
    ]
    pairs.sort(key=lambda pair: (pair.mark is not Mark.TROUBLE, len(pair.extension), pair.extension))
    without = tuple(e.name or e.user_id for e in employees if e.active and not e.extension)
    return People(tuple(pairs), without)


def _pair(extension: str, owners: Sequence[Employee], phones: Sequence[Phone], *, told: bool) -> Pair:
    names = tuple(employee.name or employee.user_id for employee in owners)
    mark: Mark = Mark.TROUBLE
    seen: Reason | None
    fix: Reason | None = None
    if len(owners) > 1:
        seen = Reason("several employees have it: calls go to {name}", {"name": names[0]})
        fix = Reason("give each employee an extension of his own")
    elif not owners:
        seen, fix = Reason("no employee has it: its calls go to the fall-back user, without a card"), _IN_PORTAL
    elif told and not phones:
        seen, fix = Reason("the PBX has no such extension: clicks of this employee do not dial"), _ON_PBX
    elif phones and all(phone.there is False for phone in phones):
        mark = Mark.DONE
        seen = Reason("no telephone is registered just now")
    else:
        mark, seen = Mark.DONE, None
    return Pair(extension, names, tuple(phones), mark, seen, fix)
