"""What of a call is told in its activity: the way through the voice menu, the third persons of a conference, and when the
recording was paused. Pure.

Gathered fact by fact and kept with the call's plan, so that it outlives a restart; the words are in account.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from perezvon.calls.call import LegOutcome, Party
from perezvon.calls.facts import (
    Answered,
    Fact,
    InMenu,
    JoinedConference,
    MenuChosen,
    MenuStep,
    RecordingPaused,
    ThirdParty,
    ThirdStep,
)

MOST = 30
"""Of each are kept: the state of an endless call stays small."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One step in the menu; `OVER` only where the caller hung up. `answered`: whoever was rung (`to`) talked; `result`:
    DIALSTATUS of him, as far as it is told."""

    at: float
    step: MenuStep
    key: str = ""
    to: str = ""
    heard: tuple[str, ...] = ()
    result: str = ""
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Guest:
    """A third person. `answered`: talks with the employee `by` alone from then on, `joined`: with all; POSIX seconds."""

    channel: str
    number: str
    by: str = ""
    rung: float | None = None
    answered: float | None = None
    joined: float | None = None
    left: float | None = None
    outcome: LegOutcome | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing was recorded from `since` to `until` (POSIX seconds; None: to the end). `by`: who talked then."""

    since: float
    until: float | None = None
    by: str = ""


@dataclass(frozen=True, slots=True)
class Notes:
    """`scripted`: our own menu tells of the keys. `more`: steps, third persons and pauses that are beyond `MOST`."""

    menu: tuple[Moment, ...] = ()
    guests: tuple[Guest, ...] = ()
    scripted: bool = False
    more: int = 0
    pauses: tuple[Pause, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.menu or self.guests or self.pauses)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Notes:
        menu = (dict(one, step=MenuStep(one["step"]), heard=tuple(one["heard"])) for one in body.get("menu", ()))
        guests = (
            dict(one, outcome=LegOutcome(one["outcome"]) if one["outcome"] else None) for one in body.get("guests", ())
        )
        return cls(
            tuple(Moment(**one) for one in menu),
            tuple(Guest(**one) for one in guests),
            body.get("scripted", False),
            body.get("more", 0),
            tuple(Pause(**one) for one in body.get("pauses", ())),
        )


def note(notes: Notes, fact: Fact) -> Notes:
    """The notes after a fact."""
    match fact:
        case InMenu():
            return _in_menu(notes, fact)
        case MenuChosen(at=at, key=key) if not notes.scripted:
            return _more(notes, Moment(at, MenuStep.KEY, key))
        case Answered(extension=extension) if _rings(notes) and notes.menu[-1].to == extension:
            return replace(notes, menu=(*notes.menu[:-1], replace(notes.menu[-1], answered=True)))
        case ThirdParty(channel=channel, number=number, by=by, at=at, step=step, outcome=outcome):
            guest = _guest(notes, channel) or Guest(channel, number, by)
            guest = replace(guest, number=guest.number or number, by=guest.by or by)
            match step:
                case ThirdStep.RUNG if guest.rung is None:
                    return _with(notes, replace(guest, rung=at))
                case ThirdStep.ANSWERED if guest.answered is None:
                    return _with(notes, replace(guest, answered=at))
                case ThirdStep.LEFT if guest.left is None:
                    return _with(notes, replace(guest, left=at, outcome=outcome))
                case _:
                    return notes
        case JoinedConference(party=Party.THIRD_PARTY, channel=channel, number=number, at=at):
            guest = _guest(notes, channel) or Guest(channel, number)
            return _with(notes, replace(guest, joined=at)) if guest.joined is None else notes
        case RecordingPaused(at=at, on=True, extension=extension):
            if len(notes.pauses) >= MOST:
                return replace(notes, more=notes.more + 1)
            return replace(notes, pauses=(*notes.pauses, Pause(at, by=extension)))
        case RecordingPaused(at=at) if notes.pauses and notes.pauses[-1].until is None:
            return replace(notes, pauses=(*notes.pauses[:-1], replace(notes.pauses[-1], until=at)))
        case _:
            return notes


def pass_on(notes: Notes, at: float) -> Notes:
    """What is left for the next turn: whoever is still rung or talks, from that moment on."""
    staying = (guest for guest in notes.guests if guest.left is None)
    return Notes(
        guests=tuple(
            replace(
                guest,
                answered=at if guest.answered is not None and guest.joined is None else None,
                joined=at if guest.joined is not None else None,
            )
            for guest in staying
        ),
        scripted=notes.scripted,
        pauses=tuple(replace(pause, since=at) for pause in notes.pauses[-1:] if pause.until is None),
    )


def _in_menu(notes: Notes, fact: InMenu) -> Notes:
    if not notes.scripted:
        # Keys that AMI told of before are those of this step, unless the menu begins only now.
        before = notes.menu if fact.step is MenuStep.BEGAN else ()
        notes = replace(notes, scripted=True, menu=before)
    if fact.step is MenuStep.OVER:
        if _rings(notes):
            return replace(notes, menu=(*notes.menu[:-1], replace(notes.menu[-1], result=fact.result)))
        if fact.result != "HANGUP" or (notes.menu and notes.menu[-1].step is MenuStep.RINGS):
            return notes
    return _more(notes, Moment(fact.at, fact.step, fact.key, fact.to, fact.heard))


def _rings(notes: Notes) -> bool:
    """Whether it is open what came of whoever the menu rang."""
    last = notes.menu[-1] if notes.menu else None
    return last is not None and last.step is MenuStep.RINGS and not last.answered and not last.result


def _more(notes: Notes, moment: Moment) -> Notes:
    if len(notes.menu) >= MOST:
        return replace(notes, more=notes.more + 1)
    return replace(notes, menu=(*notes.menu, moment))


def _guest(notes: Notes, channel: str) -> Guest | None:
    return next((guest for guest in notes.guests if guest.channel == channel), None)


def _with(notes: Notes, guest: Guest) -> Notes:
    if _guest(notes, guest.channel) is not None:
        return replace(notes, guests=tuple(guest if one.channel == guest.channel else one for one in notes.guests))
    if len(notes.guests) >= MOST:
        return replace(notes, more=notes.more + 1)
    return replace(notes, guests=(*notes.guests, guest))
