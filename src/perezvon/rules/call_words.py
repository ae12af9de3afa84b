"""What templates may name of a call: places and their values, each one line without anything that could be markup. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from perezvon.calls.call import Call, Direction, iso
from perezvon.rules.account import plain
from perezvon.rules.policy import People, Policy, Telling

CALL_PLACES = (
    "client",
    "client_name",
    "line",
    "line.name",
    "line.number",
    "line.source",
    "direction",
    "outcome",
    "date",
    "time",
    "started",
    "ended",
    "duration",
    "talked_for",
    "waited",
    "waited_for",
    "menu",
    "menu.last",
    "talked",
    "employee",
    "employee.extension",
    "rung",
    "queue",
    "third",
    "transferred",
    "call",
)
PLACES = (*CALL_PLACES, "recording", "link", "object")

_MOST_NAMES = 10


def words_of(call: Call, policy: Policy, people: People, telling: Telling) -> dict[str, str]:
    """`duration`, `waited`: seconds; `talked_for`, `waited_for`: the same in words. `started`, `ended`: ISO 8601."""
    translate = telling.translate
    at = datetime.fromtimestamp(call.started, UTC).astimezone(telling.zone)
    line = policy.line_of(call)
    until = call.answered if call.answered is not None else call.ended
    waited = max(0.0, (until if until is not None else call.started) - call.started)
    return {
        "client": plain(call.client),
        "client_name": plain(call.client_name) if call.client_name != call.client else "",
        "line": plain(line.name) or plain(line.number),
        "line.name": plain(line.name),
        "line.number": plain(line.number),
        "line.source": plain(line.source),
        "direction": translate("incoming call") if call.direction is Direction.INCOMING else translate("outgoing call"),
        "outcome": translate(call.outcome.value) if call.outcome is not None else "",
        "date": at.strftime("%d.%m.%Y"),
        "time": at.strftime("%H:%M"),
        "started": iso(call.started) or "",
        "ended": iso(call.ended) or "",
        "duration": str(round(call.duration)),
        "talked_for": span(call.duration, telling) if call.duration else "",
        "waited": str(round(waited)),
        "waited_for": span(waited, telling),
        "menu": plain(" ".join(call.menu)),
        "menu.last": plain(call.menu[-1]) if call.menu else "",
        "talked": ", ".join(who(one, people) for one in call.talkers[:_MOST_NAMES]),
        "employee": _name(call.last_talker, people),
        "employee.extension": plain(call.last_talker),
        "rung": ", ".join(who(one, people) for one in call.rung[:_MOST_NAMES]),
        "queue": plain(call.queue),
        "third": ", ".join(plain(one) for one in call.third_parties[:_MOST_NAMES]),
        "transferred": ", ".join(
            f"{who(one.from_, people)} -> {who(one.to, people)}" for one in call.transfers[:_MOST_NAMES]
        ),
        "call": plain(call.id),
    }


def who(extension: str, people: People) -> str:
    name = plain(people.names.get(extension, ""))
    return f"{name} ({plain(extension)})" if name else plain(extension)


def span(seconds: float, telling: Telling) -> str:
    minutes, rest = divmod(max(0, round(seconds)), 60)
    if minutes:
        return telling.translate("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    return telling.translate("{seconds} s").format(seconds=rest)


def _name(extension: str, people: People) -> str:
    return plain(people.names.get(extension, "")) or plain(extension)
