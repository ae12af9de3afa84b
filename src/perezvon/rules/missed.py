"""Missed calls: one open task a client, which counts them, and is closed when somebody has talked with him. Pure.

`after(known, call, …)` is a reducer over the ended calls of one client (by his number, never by a title): what is known of
him and a call in; what is known then, and decisions out. Their steps go into a lane of the episode, in order; what has
become of the task meanwhile (an employee may close, pass on or delete it) is read there before anything is written
(delivery/tasks.py), so each step brings along what both cases want.

Source: contract.json, methods tasks.task.add, update; bitrix24/README 4.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from perezvon.calls.call import Call, Direction, Outcome, iso
from perezvon.rules.account import plain
from perezvon.rules.call_words import who
from perezvon.rules.policy import MissedTasks, People, Policy, Telling
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, StepDraft

PLACES = ("client", "name", "line", "time", "date", "rung", "count", "again", "queue", "waited")
"""What the templates may name. `again`: " ×3" for the third missed call, "" for the first."""

OWNER = "owner"
"""In a chain of users: whoever the portal says that the client belongs to."""

IMPORTANT = "2"
NORMAL = "1"

_PHONE = re.compile(r"\+?[0-9]{5,20}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Missed:
    """One episode of a client whom nobody answered; times are POSIX seconds. `first`: the missed call since which nobody
    has talked with him, `called_back`: the first talk after it. `task`, `responsible`: as far as the portal has told.
    `closed`: the end of the talk after which the task is closed, or shall be. `remind`: when it shall be brought to mind.
    """

    portal: str
    client: str
    episode: int
    lane: str
    misses: int
    first: float
    last: float
    task: str = ""
    responsible: str = ""
    called_back: float | None = None
    closed: float | None = None
    remind: float | None = None


Outcomes = tuple[Missed | None, Reason | None, StepDraft | None]
"""What is known then (None: nothing has changed), what was decided, and the step that comes of it."""

NOTHING: Outcomes = (None, None, None)


def concerns(call: Call) -> bool:
    """Whether a call may change anything."""
    if call.absorbed_into or call.direction is Direction.INTERNAL:
        return False
    return call.outcome is Outcome.ANSWERED or call.direction is Direction.INCOMING


def after(known: Missed | None, call: Call, portal: str, policy: Policy, people: People) -> Outcomes:
    """`known`: the client's last episode."""
    tasks = policy.missed
    if tasks is None or not concerns(call):
        return NOTHING
    if call.outcome is Outcome.ANSWERED:
        return _talked(known, call, tasks, policy, people)
    if not _PHONE.fullmatch(call.client):
        return None, Reason("missed call of a hidden number: there is nobody to call back, no task"), None
    if people.user(call.client):
        return None, Reason("missed call of an employee: no task"), None
    if pattern := policy.filters.of_staff(call.client, call.client_raw):
        return None, Reason("missed call of a colleague (filters.staff has {pattern}): no task", {"pattern": pattern}), None
    return _missed(known, call, portal, tasks, policy, people)


def remind(known: Missed, policy: Policy) -> tuple[Missed, StepDraft | None]:
    """The client has waited for too long."""
    done = replace(known, remind=None)
    tasks = policy.missed
    if tasks is None or not tasks.remind_after or known.called_back is not None or known.closed is not None:
        return done, None
    translate = tasks.telling.translate
    told = translate("Nobody has called back for {span}. Missed calls: {count}.").format(
        span=span(tasks.remind_after, tasks.telling), count=known.misses
    )
    key = f"{known.lane}:remind:{known.first:.3f}"
    params: dict[str, Json] = {
        "comment": _signed(told, mark := _mark(policy.installation, key)),
        "mark": mark,
        "change": {"PRIORITY": IMPORTANT},
        "observer": tasks.remind_user,
    }
    reason = Reason("nobody has called the client back for {seconds} seconds", {"seconds": f"{tasks.remind_after:.0f}"})
    return done, StepDraft(key, Kind.REMIND_TASK, params, Priority.CRM, reason)


def _missed(known: Missed | None, call: Call, portal: str, tasks: MissedTasks, policy: Policy, people: People) -> Outcomes:
    at = call.ended if call.ended is not None else call.started
    if known is not None and known.closed is not None and at < known.closed:
        return None, Reason("missed call before the last talk with {client}: no task", {"client": call.client}), None
    again = known is not None and known.closed is None
    reopened = known is not None and known.closed is not None and _reopens(tasks, known.closed, at)
    if known is not None and again:
        row = replace(known, misses=known.misses + 1, last=at)
        if known.called_back is not None:  # somebody has talked with him since, the task is kept open for all that
            row = replace(row, first=at, called_back=None)
    elif known is not None and reopened:
        row = replace(known, misses=known.misses + 1, first=at, last=at, called_back=None, closed=None)
    else:
        episode = known.episode + 1 if known is not None else 1
        row = Missed(portal, call.client, episode, f"missed:{portal}:{call.client}:{episode}", 1, at, at)
    if tasks.remind_after and row.first == at:
        row = replace(row, remind=at + tasks.remind_after)
    key = f"{call.id}:missed"
    mark = _mark(policy.installation, key)
    places = _places(call, row.misses, policy, people, tasks.telling)
    important = tasks.important or bool(tasks.raise_after and row.misses >= tasks.raise_after)
    change: dict[str, Json] = {"TITLE": _title(tasks, places)} if row.misses > 1 else {}
    if row.misses > 1 and tasks.raise_after and row.misses >= tasks.raise_after:
        change["PRIORITY"] = IMPORTANT
    params: dict[str, Json] = {
        "phone": call.client,
        "at": at,
        "chain": _chain(call, policy, people),
        "task": _task(tasks, at, mark, _places(call, 1, policy, people, tasks.telling), important=important),
        "comment": _signed(_filled(tasks.comment or _usual_comment(tasks.telling), places), mark),
        "mark": mark,
        "change": change,
        "remind": at + tasks.remind_after if tasks.remind_after else None,
        "reopen": at - tasks.reopen_within if tasks.again == "reopen" else None,
    }
    reason = Reason("missed call: a task for whoever shall call {client} back", {"client": call.client})
    if row.misses > 1:
        args = {"client": call.client, "count": str(row.misses)}
        reason = Reason("missed call: {count} of {client} by now, his task shall tell of it", args)
    return row, reason, StepDraft(key, Kind.MISSED_TASK, params, Priority.CRM, reason)


def _talked(known: Missed | None, call: Call, tasks: MissedTasks, policy: Policy, people: People) -> Outcomes:
    if known is None or known.closed is not None or (call.ended is not None and call.ended < known.first):
        return NOTHING
    at = call.answered if call.answered is not None else call.started
    if known.called_back is not None and tasks.close == "off":
        return NOTHING
    known_users = [user for extension in call.talkers if (user := people.user(extension))]
    row = known
    reason = Reason("talked with {client}: the task of his missed calls is closed", {"client": call.client})
    if tasks.close == "responsible":
        args = {"client": call.client}
        reason = Reason("talked with {client}: the task of his missed calls is closed if it is theirs who talked", args)
    elif tasks.close == "off":
        reason = Reason("talked with {client}: told in the task of his missed calls", {"client": call.client})
        row = replace(known, called_back=at, remind=None)
    else:
        closed = call.ended if call.ended is not None else at
        row = replace(known, called_back=_first(known, at), closed=closed, remind=None)
    translate = tasks.telling.translate
    named = ", ".join(who(extension, people) for extension in call.talkers) or "?"
    text = (
        translate("{time}: {who} talked with the client, {span} after the missed call.")
        if call.direction is Direction.INCOMING
        else translate("{time}: {who} called the client back, {span} after the missed call.")
    )
    told = text.format(time=_clock(at, tasks.telling), who=named, span=span(at - known.first, tasks.telling))
    key = f"{call.id}:called_back"
    mark = _mark(policy.installation, key)
    params: dict[str, Json] = {
        "at": at,
        "comment": _signed(told, mark),
        "mark": mark,
        "only": known_users if tasks.close == "responsible" else None,
        "close": tasks.close != "off",
    }
    return row, reason, StepDraft(key, Kind.CLOSE_TASK, params, Priority.CRM, reason)


def _first(known: Missed, at: float) -> float:
    return known.called_back if known.called_back is not None else at


def _reopens(tasks: MissedTasks, closed: float, at: float) -> bool:
    return tasks.again == "reopen" and at - closed <= tasks.reopen_within


def _chain(call: Call, policy: Policy, people: People) -> list[str]:
    """Users in order; OWNER has to be asked of the portal. The last one is always somebody."""
    line = policy.line_of(call)
    rung = next((user for extension in reversed(call.rung) if (user := people.user(extension))), "")
    default = policy.missed_user or policy.fallback_user
    found = {OWNER: OWNER, "last_rung": rung, "line": line.missed_user, "default": default}
    return list(dict.fromkeys(user for who in (*policy.missed_chain, "default") if (user := found[who])))


def _task(tasks: MissedTasks, at: float, mark: str, places: Mapping[str, str], *, important: bool) -> dict[str, Json]:
    usual = tasks.description or _usual_description(tasks.telling)
    fields: dict[str, Json] = {
        "TITLE": _title(tasks, places),
        "DESCRIPTION": _signed(_filled(usual, places), mark),
        "PRIORITY": IMPORTANT if important else NORMAL,
    }
    if tasks.deadline:
        fields["DEADLINE"] = iso(at + tasks.deadline)
    if tasks.tags:
        fields["TAGS"] = list(tasks.tags)
    if tasks.group:
        fields["GROUP_ID"] = tasks.group
    if tasks.observers:
        fields["AUDITORS"] = list(tasks.observers)
    return fields


def _title(tasks: MissedTasks, places: Mapping[str, str]) -> str:
    usual = tasks.title or tasks.telling.translate("Missed call: {client} {name}{again}")
    return _filled(usual, places).replace("\n", " ")[:250] or places["client"]


def _usual_description(telling: Telling) -> str:
    return telling.translate(
        "{client} {name} called {line} on {date} at {time} and talked with nobody.\nRung: {rung}\nWaited: {waited}"
    )


def _usual_comment(telling: Telling) -> str:
    return telling.translate(
        "Missed again on {date} at {time}, line {line}. Rung: {rung}. Waited: {waited}. Missed calls: {count}."
    )


def _places(call: Call, count: int, policy: Policy, people: People, telling: Telling) -> dict[str, str]:
    """All are one line each, without anything that could be taken for markup."""
    at = datetime.fromtimestamp(call.started, UTC).astimezone(telling.zone)
    line = policy.line_of(call)
    rung = ", ".join(who(extension, people) for extension in call.rung[:10]) or telling.translate("nobody")
    ended = call.ended if call.ended is not None else call.started
    return {
        "client": plain(call.client),
        "name": plain(call.client_name) if call.client_name != call.client else "",
        "line": plain(line.name) or plain(line.number) or "?",
        "time": at.strftime("%H:%M"),
        "date": at.strftime("%d.%m.%Y"),
        "rung": rung,
        "count": str(count),
        "again": f" ×{count}" if count > 1 else "",
        "queue": plain(call.queue),
        "waited": span(ended - call.started, telling),
    }


def _filled(text: str, places: Mapping[str, str]) -> str:
    """Spaces that an empty place leaves behind are taken out."""
    filled = re.sub(r"\{(\w+)\}", lambda found: places.get(found[1], found[0]), text)
    return "\n".join(" ".join(line.split()) for line in filled.splitlines()).strip()


def _signed(text: str, mark: str) -> str:
    return f"{text}\n\nPerezvon {mark}"


def _mark(installation: str, key: str) -> str:
    """By which the task or the comment is found again when the portal's answer was lost."""
    return hashlib.sha256(f"{installation} {key}".encode("utf-8", "replace")).hexdigest()[:16]


def _clock(at: float, telling: Telling) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(telling.zone).strftime("%d.%m.%Y %H:%M")


def span(seconds: float, telling: Telling) -> str:
    """A length of time in words."""
    minutes, rest = divmod(max(0, round(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return telling.translate("{hours} h {minutes} min").format(hours=hours, minutes=minutes)
    if minutes:
        return telling.translate("{minutes} min {seconds} s").format(minutes=minutes, seconds=rest)
    return telling.translate("{seconds} s").format(seconds=rest)
