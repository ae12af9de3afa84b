"""Whose turn with the client it is, where the settings want a portal call for each (`calls.transfers = "each"`). Pure.

A turn begins with the call, or with a completed transfer, and ends with the next one. Only a transfer ends a turn: a
pick-up, a conference, a consultation, a queue that rings on do not. Turns are followed whatever the settings want, so that
these may change under a running call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from perezvon.calls.facts import Answered, Fact, Ringing, Transferred


@dataclass(frozen=True, slots=True)
class Turn:
    """`began`: when the transfer was made (POSIX seconds; 0 in the first turn), by the extension `giver`. `since`: when the
    first of the `talkers` began to talk with the client. `rung`: whose phones rang, in order; not kept of the first turn,
    of which the call's record tells. `registered`: the turn's own portal call is; for the first see `PlanState`.
    """

    number: int = 1
    began: float = 0.0
    giver: str = ""
    since: float | None = None
    talkers: tuple[str, ...] = ()
    rung: tuple[str, ...] = ()
    registered: bool = False

    @property
    def later(self) -> bool:
        """Whether a transfer began it."""
        return self.number > 1

    @property
    def suffix(self) -> str:
        """What keys and EXTERNAL_CALL_ID of this turn's portal call have more than those of the first."""
        return f"-{self.number}" if self.later else ""

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Turn:
        lists = {name: tuple(body.get(name, ())) for name in ("talkers", "rung")}
        return cls(**dict(body, **lists))


def follow(turn: Turn, fact: Fact) -> Turn:
    """The turn after a fact that does not end it."""
    match fact:
        case Ringing(extension=extension) if turn.later and extension not in turn.rung:
            return replace(turn, rung=(*turn.rung, extension))
        case Answered(extension=extension, at=at):
            talkers = turn.talkers if extension in turn.talkers else (*turn.talkers, extension)
            return replace(turn, since=at if turn.since is None else turn.since, talkers=talkers)
        case _:
            return turn


def gives_away(turn: Turn, fact: Transferred) -> bool:
    """Whether a transfer ends the turn: he who made it has talked in it. (A transfer may be told more than once.)"""
    return fact.from_ in turn.talkers


def following(turn: Turn, fact: Transferred, talking: Iterable[str], ringing: Iterable[str]) -> Turn:
    """The turn that a transfer begins. `talking`, `ringing`: the extensions that do at that moment, without the giver: of
    an attended transfer the new talker may be told of a moment before it."""
    talkers = tuple(extension for extension in talking if extension in turn.talkers)
    return Turn(
        number=turn.number + 1,
        began=fact.at,
        giver=fact.from_,
        since=fact.at if talkers else None,
        talkers=talkers,
        rung=tuple(dict.fromkeys(ringing)),
    )
