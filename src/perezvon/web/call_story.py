"""What happened in a call, as its page draws and tells it: the legs as bars in time, the facts as sentences. Pure.

Times are POSIX seconds, UTC; places on the bars are parts of the whole call, 0 to 100.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from perezvon.calls.call import Party
from perezvon.calls.facts import (
    Answered,
    CallEnded,
    CallStarted,
    Connecting,
    Fact,
    Held,
    InMenu,
    JoinedConference,
    LeftTalk,
    MenuChosen,
    MenuStep,
    Recorded,
    RecordingPaused,
    Ringing,
    StoppedRinging,
    ThirdParty,
    ThirdStep,
    Transferred,
)
from perezvon.rules.connecting import told_by
from perezvon.rules.vocabulary import Reason

TICKS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
"""Seconds between marks on the scale of time."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """`kind`: ringing | talk."""

    kind: str
    left: float
    width: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One party's leg. `outcome`: a word of calls.LegOutcome, "" while it goes on."""

    who: str
    party: str
    outcome: str
    stretches: tuple[Stretch, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """`ticks`: place and seconds since the beginning."""

    seconds: float
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, int], ...]


@dataclass(frozen=True, slots=True)
class Told:
    """`offset`: seconds since the call began."""

    at: float
    offset: float
    what: Reason


@dataclass(slots=True)
class _Leg:
    who: str
    party: str
    rang: float | None = None
    answered: float | None = None
    ended: float | None = None
    outcome: str = ""


def timeline(record: Mapping[str, Any], facts: Sequence[Fact], started: float, ended: float, client: str) -> Timeline:
    """`record`: of an ended call (Call.as_json); empty for a live one, whose legs are told by the facts so far."""
    legs = [_of_record(leg, client) for leg in record.get("legs", [])] or list(_of_facts(facts, client))
    whole = max(ended - started, 1.0)

    def stretch(kind: str, begin: float, end: float) -> Stretch:
        left = min(max((begin - started) / whole, 0.0), 1.0) * 100
        right = min(max((end - started) / whole, 0.0), 1.0) * 100
        return Stretch(kind, round(left, 3), round(max(right - left, 0.3), 3), max(end - begin, 0.0))

    bars: list[Bar] = []
    for leg in legs:
        end = leg.ended if leg.ended is not None else ended
        stretches: list[Stretch] = []
        if leg.rang is not None and leg.rang < (leg.answered if leg.answered is not None else end):
            stretches.append(stretch("ringing", leg.rang, leg.answered if leg.answered is not None else end))
        if leg.answered is not None:
            stretches.append(stretch("talk", leg.answered, end))
        bars.append(Bar(leg.who, leg.party, leg.outcome, tuple(stretches)))
    step = next((one for one in TICKS if whole / one <= 8), TICKS[-1])
    ticks = tuple((round(second / whole * 100, 3), second) for second in range(0, int(whole) + 1, step))
    return Timeline(whole, tuple(bars), ticks)


def _of_record(leg: Mapping[str, Any], client: str) -> _Leg:
    who = leg.get("extension") or (client if leg.get("party") == "client" else "")
    return _Leg(
        who or str(leg.get("channel", "")),
        str(leg.get("party", "")),
        moment(leg.get("rang")),
        moment(leg.get("answered")),
        moment(leg.get("ended")),
        str(leg.get("outcome") or ""),
    )


def _of_facts(facts: Iterable[Fact], client: str) -> Iterable[_Leg]:
    legs: dict[str, _Leg] = {}
    for fact in facts:
        match fact:
            case CallStarted():
                legs[""] = _Leg(client, "client", answered=fact.at)
            case Ringing():
                legs[fact.channel] = _Leg(fact.extension, "employee", rang=fact.at)
            case Answered():
                legs.setdefault(fact.channel, _Leg(fact.extension, "employee")).answered = fact.at
            case StoppedRinging() if fact.channel in legs:
                legs[fact.channel].ended, legs[fact.channel].outcome = fact.at, fact.outcome.value
            case LeftTalk():
                for leg in legs.values():
                    if leg.who == fact.extension and leg.ended is None:
                        leg.ended = fact.at
            case _:
                continue
    return legs.values()


def moment(told: object) -> float | None:
    """Of an ISO time in a record."""
    return datetime.fromisoformat(told).timestamp() if isinstance(told, str) else None


def sentences(facts: Iterable[Fact], started: float, named: Callable[[str], str], word: Callable[[str], str]) -> list[Told]:
    """`named`: an extension with its employee's name; `word`: a word of ours in the reader's language."""
    return [Told(fact.at, fact.at - started, _sentence(fact, named, word)) for fact in facts]


def _sentence(fact: Fact, named: Callable[[str], str], word: Callable[[str], str]) -> Reason:
    match fact:
        case CallStarted():
            told = {"client": fact.client or fact.client_raw or "—", "line": fact.line or fact.line_raw or "—"}
            if fact.extension:
                return Reason("{who} calls {client}", {"who": named(fact.extension), "client": told["client"]})
            return Reason("{client} calls {line}", told)
        case Ringing():
            return Reason("the telephone of {who} rings", {"who": named(fact.extension)})
        case StoppedRinging():
            told = {"who": named(fact.extension), "outcome": word(fact.outcome.value)}
            return Reason("the telephone of {who} rings no more: {outcome}", told)
        case Answered():
            return Reason("{who} talks with the client", {"who": named(fact.extension)})
        case LeftTalk():
            return Reason("{who} talks no more, the call goes on", {"who": named(fact.extension)})
        case Held(on=True):
            return Reason("{who} puts the client on hold", {"who": named(fact.extension)})
        case Held():
            return Reason("{who} takes the client back from hold", {"who": named(fact.extension)})
        case Transferred():
            told = {"from": named(fact.from_), "to": named(fact.to), "kind": word(fact.kind.value)}
            return Reason("{from} passes the client on to {to} ({kind})", told)
        case Recorded():
            return Reason("the PBX begins to write {path}", {"path": fact.path})
        case RecordingPaused(on=True):
            return Reason("{who} pauses the recording", {"who": named(fact.extension) or word(Party.EMPLOYEE.value)})
        case RecordingPaused():
            return Reason("{who} lets the recording go on", {"who": named(fact.extension) or word(Party.EMPLOYEE.value)})
        case Connecting():
            return _connecting(fact, named)
        case MenuChosen():
            return Reason("the client presses {key}", {"key": fact.key})
        case InMenu():
            return _menu(fact, named)
        case JoinedConference():
            return Reason("{who} enters the conference", {"who": named(fact.number) or word(fact.party.value)})
        case ThirdParty():
            told = {"who": named(fact.number), "outcome": word(fact.outcome.value) if fact.outcome else "—"}
            if fact.step is ThirdStep.RUNG:
                return Reason("{who} is rung, to be brought into the call", told)
            if fact.step is ThirdStep.ANSWERED:
                return Reason("{who} answers, and talks with the employee alone", told)
            return Reason("{who} is out of the conference ({outcome})", told)
        case CallEnded():
            outcome = fact.record.outcome
            return Reason("the call is over: {outcome}", {"outcome": word(outcome.value) if outcome else "—"})


def _connecting(fact: Connecting, named: Callable[[str], str]) -> Reason:
    """Why is among the decisions."""
    if not fact.why:
        told = told_by(fact)
        return told[0] if told else Reason("autoconnect is over ({result})", {"result": fact.result or "—"})
    if fact.to:
        return Reason("autoconnect chooses {who}", {"who": named(fact.to)})
    return Reason("autoconnect chooses nobody: the call goes its usual way")


def _menu(fact: InMenu, named: Callable[[str], str]) -> Reason:
    told = {"key": fact.key or "—", "to": named(fact.to) or "—", "result": fact.result or "—"}
    match fact.step:
        case MenuStep.BEGAN:
            return Reason("the client hears the voice menu")
        case MenuStep.KEY:
            return Reason("in the menu the client presses {key}", told)
        case MenuStep.WRONG:
            return Reason("in the menu the client presses {key}, which means nothing", told)
        case MenuStep.SILENCE:
            return Reason("in the menu the client presses nothing")
        case MenuStep.RINGS:
            return Reason("the menu rings {to}", told)
        case MenuStep.OVER:
            return Reason("the menu is over ({result})", told)
