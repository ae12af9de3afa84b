"""The legs of a call: a phone begins to ring, rings no more, is left. Each is told once, whatever comes twice."""

from __future__ import annotations

from perezvon.calls.board import Board
from perezvon.calls.call import LegOutcome, Party
from perezvon.calls.facts import Ringing, StoppedRinging, ThirdParty, ThirdStep
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.record import leg_outcome


def ring_leg(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    leg.ringing = True
    if leg.rang is not None:  # in the order of dialling: a Local phone tells of its ringing a little later
        call.rung.setdefault(leg.extension, leg.rang)
    board.tell(call, Ringing(call.id, at, leg.extension, leg.channel))


def close_leg(board: Board, call: LiveCall, leg: LiveLeg, at: float) -> None:
    """The leg is over, or its dial is: tell once that the phone rings no more."""
    if leg.ended is None:
        leg.ended = at
        leg.outcome = leg_outcome(leg, someone_answered=_someone_else_answered(call, leg))
        if call.room and leg.party is Party.THIRD_PARTY:
            left = ThirdParty(call.id, at, leg.extension, leg.channel, ThirdStep.LEFT, leg.outcome, by=call.manager)
            board.tell(call, left)
    stop_ringing(board, call, leg, leg.outcome or LegOutcome.CANCELLED, at)


def stop_ringing(board: Board, call: LiveCall, leg: LiveLeg, outcome: LegOutcome, at: float) -> None:
    if leg.ringing:
        leg.ringing = False
        if leg.party is Party.EMPLOYEE:
            board.tell(call, StoppedRinging(call.id, at, leg.extension, leg.channel, outcome))


def _someone_else_answered(call: LiveCall, leg: LiveLeg) -> bool:
    """Another phone that was rung at the same time has been picked up and is still there."""
    return any(
        other is not leg
        and other.up is not None
        and other.ended is None
        and leg.rang is not None
        and other.up >= leg.rang
        and other.party is not Party.CLIENT
        for other in call.legs.values()
    )
