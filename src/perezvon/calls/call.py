"""A call as it is told to the outside: the record that `perezvon replay` prints and the journal keeps.

Times are POSIX seconds, UTC; the JSON form (`as_json`) has ISO 8601 with `+00:00`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any


class Direction(StrEnum):
    INCOMING = "incoming"
    OUTGOING = "outgoing"
    INTERNAL = "internal"


class Outcome(StrEnum):
    """How a call ended. `MISSED`: an incoming call that no employee answered, whatever the cause."""

    ANSWERED = "answered"
    MISSED = "missed"
    BUSY = "busy"
    NO_ANSWER = "no_answer"
    CANCELLED = "cancelled"
    FAILED = "failed"


class LegOutcome(StrEnum):
    ANSWERED = "answered"
    NO_ANSWER = "no_answer"
    BUSY = "busy"
    CANCELLED = "cancelled"
    ANSWERED_ELSEWHERE = "answered_elsewhere"
    FAILED = "failed"


class Party(StrEnum):
    EMPLOYEE = "employee"
    CLIENT = "client"
    THIRD_PARTY = "third_party"
    OTHER = "other"


class TransferKind(StrEnum):
    BLIND = "blind"
    ATTENDED = "attended"


@dataclass(frozen=True, slots=True)
class Transfer:
    """`from_` and `to` are extensions, or numbers for somebody outside."""

    kind: TransferKind
    from_: str
    to: str
    at: float


@dataclass(frozen=True, slots=True)
class Leg:
    """One party's channel (a chain of Local channels counts as one leg: its far end)."""

    channel: str
    party: Party
    extension: str
    rang: float | None
    answered: float | None
    ended: float | None
    outcome: LegOutcome | None


@dataclass(frozen=True, slots=True)
class Call:
    """One physical call of one client (or of two employees), whoever talked. What is left out has not happened.

    `client` and `line` are E.164 where the number can be understood, else as the PBX gave them ("" when hidden).
    `duration`: seconds from the first answer by an employee (incoming) or by the client (outgoing) to the client's hang-up;
    0 when there was no such answer. `talkers` are extensions in the order in which they first talked.
    `end_seen`: False when the end was found out by a resync (`ended` is then the moment of finding out).
    `forwarded_by`: the extension whose calls go to `forwarded_to`, an outside number; "" where that cannot be seen.
    `absorbed_into`: the id of the client's call that this one (a consultation) became part of: no call of its own any more.
    """

    id: str
    direction: Direction
    client: str
    client_raw: str
    client_name: str
    line: str
    line_raw: str
    trunk: str
    started: float
    answered: float | None = None
    ended: float | None = None
    outcome: Outcome | None = None
    duration: float = 0.0
    rung: tuple[str, ...] = ()
    talkers: tuple[str, ...] = ()
    last_talker: str = ""
    transfers: tuple[Transfer, ...] = ()
    picked_up_by: str = ""
    forwarded_to: str = ""
    queue: str = ""
    menu: tuple[str, ...] = ()
    third_parties: tuple[str, ...] = ()
    recordings: tuple[str, ...] = ()
    legs: tuple[Leg, ...] = ()
    end_seen: bool = True
    absorbed_into: str = ""
    forwarded_by: str = ""

    def talk_times(self) -> dict[str, float]:
        """Seconds for which each employee who talked was in the call after answering it, on all his legs together."""
        seconds: dict[str, float] = {}
        for leg in self.legs:
            until = leg.ended if leg.ended is not None else self.ended
            if leg.party is Party.EMPLOYEE and leg.extension in self.talkers and leg.answered is not None and until:
                seconds[leg.extension] = seconds.get(leg.extension, 0.0) + until - leg.answered
        return seconds

    def as_json(self) -> dict[str, Any]:
        """The record of design.md, "The way of a call"."""
        return {
            "id": self.id,
            "direction": self.direction.value,
            "client": self.client,
            "line": self.line,
            "started": iso(self.started),
            "answered": iso(self.answered),
            "ended": iso(self.ended),
            "outcome": self.outcome.value if self.outcome else None,
            "duration": round(self.duration, 3),
            "rung": list(self.rung),
            "talkers": list(self.talkers),
            "last_talker": self.last_talker or None,
            "transfers": [{"kind": t.kind.value, "from": t.from_, "to": t.to} for t in self.transfers],
            "picked_up_by": self.picked_up_by or None,
            "forwarded_to": self.forwarded_to or None,
            "queue": self.queue or None,
            "menu": list(self.menu),
            "third_parties": list(self.third_parties),
            "recordings": list(self.recordings),
            "legs": [
                {
                    "channel": leg.channel,
                    "party": leg.party.value,
                    "extension": leg.extension,
                    "rang": iso(leg.rang),
                    "answered": iso(leg.answered),
                    "ended": iso(leg.ended),
                    "outcome": leg.outcome.value if leg.outcome else None,
                }
                for leg in self.legs
            ],
        }


def iso(at: float | None) -> str | None:
    """POSIX seconds as ISO 8601 in UTC with milliseconds."""
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
