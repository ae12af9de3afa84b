"""The words in which a call's activity tells of the voice menu, of several who talked, of third persons and of pauses of
the recording. Pure: notes in, plain text out.

Names and numbers come from outside: whatever a portal could take for its BB code, for HTML or for a new line is taken out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from perezvon.calls.call import Call, Leg, LegOutcome, Party
from perezvon.calls.facts import MenuStep
from perezvon.rules.notes import MOST, Guest, Moment, Notes, Pause
from perezvon.rules.policy import People, Telling
from perezvon.rules.vocabulary import Json, Kind, Priority, Reason, Ref, StepDraft

DESCRIBED = Reason("what happened in the menu, the conference and the recording is written into the call's activity")
LEFT_OUT = Reason("what happened in the menu, the conference and the recording is left out of the activity by the settings")

LONGEST_NAME = 80
LONGEST_ORDER = 500
AT_ONCE = 1.0
"""Seconds: whoever is in the conference so soon after he answered has talked with nobody alone."""

_BRACKETS = str.maketrans("[]<>", "()‹›")
_DIALS = {
    "ANSWER": "answered",
    "BUSY": "busy",
    "NOANSWER": "no_answer",
    "CANCEL": "cancelled",
    "HANGUP": "cancelled",
}


def describe(finish: str, told: str) -> StepDraft:
    """The step that writes it into the activity which the portal makes at the finish with this key."""
    params: dict[str, Json | Ref] = {"id": Ref(Kind.FINISH, "CRM_ACTIVITY_ID", finish), "fields": {"DESCRIPTION": told}}
    return StepDraft(f"{finish}:describe", Kind.DESCRIBE, params, Priority.CRM, DESCRIBED)


def describe_own(call: str, phone: str, since: float, until: float, told: str) -> StepDraft:
    """The same for a call that the portal wrote down itself, through its own SIP line: its activity has to be found, by the
    client's number (E.164) and the time (POSIX seconds)."""
    params: dict[str, Json | Ref] = {
        "find": {"phone": phone, "since": since, "until": until},
        "fields": {"DESCRIPTION": told},
    }
    return StepDraft(f"{call}:describe", Kind.DESCRIBE, params, Priority.CRM, DESCRIBED)


def legs_of(call: Call) -> tuple[Leg, ...]:
    """The employees' legs, in order, of a call in which several talked."""
    legs = [leg for leg in call.legs if leg.party is Party.EMPLOYEE and leg.extension]
    talked = {leg.extension for leg in legs if leg.answered is not None and leg.extension in call.talkers}
    if len(talked) <= 1:
        return ()
    return tuple(sorted(legs, key=lambda leg: leg.answered or leg.rang or leg.ended or call.started))[:MOST]


def account(notes: Notes, until: float, people: People, telling: Telling, legs: Sequence[Leg] = ()) -> str:
    """What the activity says. `until`: when the call, or the turn, was over (POSIX seconds)."""
    return "\n".join(_Account(until, people, telling).lines(notes, legs))


def ordered(words: str, telling: Telling) -> str:
    """What the form, or the robot, has said for which a call was placed."""
    return telling.translate("Ordered call: {text}").format(text=plain(words, LONGEST_ORDER))


def plain(text: str, longest: int = LONGEST_NAME) -> str:
    """One line without anything that could be taken for markup. `longest`: in characters."""
    printable = "".join(char if char.isprintable() and char <= "\uffff" else " " for char in text)
    return " ".join(printable.translate(_BRACKETS).split())[:longest]


class _Account:
    def __init__(self, until: float, people: People, telling: Telling) -> None:
        self._until = until
        self._people = people
        self._zone = telling.zone
        self._translate = telling.translate

    def lines(self, notes: Notes, legs: Sequence[Leg]) -> Iterator[str]:
        translate = self._translate
        if notes.menu:
            yield translate("Voice menu")
            yield from self._menu(notes)
        if legs:
            if notes.menu:
                yield ""
            yield translate("Employees")
            yield from map(self._leg, legs)
        if notes.guests:
            if notes.menu or legs:
                yield ""
            yield translate("Third persons")
            yield from map(self._guest, notes.guests)
        if notes.pauses:
            if notes.menu or notes.guests:
                yield ""
            yield translate("Recording")
            yield from map(self._pause, notes.pauses)
        if notes.more:
            yield translate("and {count} more").format(count=notes.more)
        offset = datetime.fromtimestamp(self._until, UTC).astimezone(self._zone).strftime("%z")
        yield ""
        yield translate("Times: UTC{offset}").format(offset=f"{offset[:3]}:{offset[3:5]}")

    def _menu(self, notes: Notes) -> Iterator[str]:
        translate = self._translate
        if not notes.scripted:
            keys = " ".join(plain(moment.key) for moment in notes.menu)
            yield translate("{time} pressed {key}").format(time=self._time(notes.menu[0].at), key=keys)
            return
        for place, moment in enumerate(notes.menu):
            if moment.step is not MenuStep.BEGAN:
                yield self._moment(moment) + self._heard(moment)
            elif place == len(notes.menu) - 1:
                yield translate("{time} the menu began; what was pressed is not known").format(time=self._time(moment.at))

    def _moment(self, moment: Moment) -> str:
        translate = self._translate
        told = {"time": self._time(moment.at), "key": plain(moment.key), "to": self._who(moment.to)}
        match moment.step:
            case MenuStep.WRONG:
                return translate("{time} pressed {key}: there is no such key").format(**told)
            case MenuStep.SILENCE:
                return translate("{time} nothing was pressed").format(**told)
            case MenuStep.OVER:
                return translate("{time} the caller hung up in the menu").format(**told)
            case MenuStep.RINGS:
                rang = translate("{time} rang {to}").format(**told)
                if not moment.answered and not moment.result:
                    return rang
                return f"{rang}: {translate('answered' if moment.answered else _DIALS.get(moment.result, 'failed'))}"
            case _ if moment.to:
                return translate("{time} pressed {key}, it leads to {to}").format(**told)
            case _:
                return translate("{time} pressed {key}").format(**told)

    def _heard(self, moment: Moment) -> str:
        if not moment.heard:
            return ""
        translate = self._translate
        parts = [translate("the greeting") if one == "intro" else plain(one) for one in moment.heard]
        return " (" + translate("heard: {parts}").format(parts=", ".join(parts)) + ")"

    def _leg(self, leg: Leg) -> str:
        translate = self._translate
        if leg.answered is not None:
            return f"{self._who(leg.extension)}: {self._span(leg.answered, leg.ended or self._until)}"
        outcome = leg.outcome if leg.outcome is not None else LegOutcome.NO_ANSWER
        at = leg.rang or leg.ended
        rang = translate("rung at {time}").format(time=self._time(at)) + ", " if at else ""
        return f"{self._who(leg.extension)}: {rang}{translate(outcome.value)}"

    def _guest(self, guest: Guest) -> str:
        translate = self._translate
        told = self._who(guest.number) or translate("unknown number")
        if guest.by.isdigit() or self._people.user(guest.by):  # the trunk to Bitrix24 is nobody's name
            told += translate(", brought in by {employee}").format(employee=self._who(guest.by))
        over = guest.left if guest.left is not None else self._until
        parts: list[str] = []
        if guest.answered is not None:
            alone_until = guest.joined if guest.joined is not None else over
            if guest.joined is None or guest.joined - guest.answered >= AT_ONCE:
                parts.append(translate("private talk {span}").format(span=self._span(guest.answered, alone_until)))
        if guest.joined is not None:
            parts.append(translate("in the conference {span}").format(span=self._span(guest.joined, over)))
        if not parts and guest.rung is not None:
            rang = translate("rung at {time}").format(time=self._time(guest.rung))
            parts.append(rang if guest.outcome is None else f"{rang}, {translate(_word(guest))}")
        return f"{told}: {'; '.join(parts)}" if parts else told

    def _pause(self, pause: Pause) -> str:
        translate = self._translate
        until = pause.until if pause.until is not None else self._until
        told = translate("paused {span}").format(span=self._span(pause.since, until))
        if pause.until is None:
            told += translate(", to the end")
        if pause.by.isdigit() or self._people.user(pause.by):
            told += translate(", by {employee}").format(employee=self._who(pause.by))
        return told

    def _who(self, number: str) -> str:
        name = plain(self._people.names.get(number, ""))
        return f"{plain(number)} ({name})" if name else plain(number)

    def _time(self, at: float) -> str:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone).strftime("%H:%M:%S")

    def _span(self, since: float, until: float) -> str:
        translate = self._translate
        minutes, seconds = divmod(max(0, round(until - since)), 60)
        lasted = translate("{minutes} min {seconds} s") if minutes else translate("{seconds} s")
        return f"{self._time(since)}-{self._time(until)} ({lasted.format(minutes=minutes, seconds=seconds)})"


def _word(guest: Guest) -> str:
    outcome = guest.outcome.value if guest.outcome is not None else ""
    return outcome if outcome in {"busy", "no_answer", "cancelled", "failed"} else "cancelled"
