"""The final record of a call, out of its live state. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from perezvon.calls.call import Call, Direction, Leg, LegOutcome, Outcome, Party
from perezvon.calls.live import LiveCall, LiveLeg
from perezvon.calls.numbering import Numbering

BUSY_CAUSES = frozenset({17})
NO_ANSWER_CAUSES = frozenset({18, 19})
REJECTED_CAUSES = frozenset({21})
"""A phone's "reject" is 486 (busy) with one maker and 603 (rejected) with the next: to us both are busy."""

FAILED_CAUSES = frozenset({1, 2, 3, 5, 20, 22, 25, 27, 28, 29, 31, 34, 38, 41, 42, 44, 50, 58, 65, 66, 69, 88, 95})
ELSEWHERE_CAUSE = 26
"""Q.850 causes; https://docs.asterisk.org/Configuration/Miscellaneous/Hangup-Cause-Mappings/. 0 says nothing."""

FROM_LEG = {
    LegOutcome.ANSWERED: Outcome.NO_ANSWER,
    LegOutcome.NO_ANSWER: Outcome.NO_ANSWER,
    LegOutcome.BUSY: Outcome.BUSY,
    LegOutcome.CANCELLED: Outcome.CANCELLED,
    LegOutcome.ANSWERED_ELSEWHERE: Outcome.CANCELLED,
    LegOutcome.FAILED: Outcome.FAILED,
}


def leg_outcome(leg: LiveLeg, *, someone_answered: bool) -> LegOutcome:
    """How a leg ended, from its DialStatus and the cause of its hangup."""
    if leg.talked is not None or (leg.consulted and leg.up is not None):
        return LegOutcome.ANSWERED
    if leg.cause == ELSEWHERE_CAUSE:
        return LegOutcome.ANSWERED_ELSEWHERE
    match leg.status:
        case "BUSY":
            return LegOutcome.BUSY
        case "NOANSWER" | "ANSWER" | "CONTINUE":  # Asterisk says NOANSWER to nearly every refusal; the cause knows better
            return LegOutcome.NO_ANSWER if leg.up is not None else _from_cause(leg.cause, LegOutcome.NO_ANSWER)
        case "CHANUNAVAIL" | "CONGESTION":
            return _from_cause(leg.cause, LegOutcome.FAILED)
        case "CANCEL":
            return LegOutcome.ANSWERED_ELSEWHERE if someone_answered else LegOutcome.CANCELLED
        case _:
            fallback = LegOutcome.NO_ANSWER if leg.up is not None else LegOutcome.CANCELLED
            return _from_cause(leg.cause, LegOutcome.ANSWERED_ELSEWHERE if someone_answered else fallback)


def _from_cause(cause: int, otherwise: LegOutcome) -> LegOutcome:
    if cause in BUSY_CAUSES or cause in REJECTED_CAUSES:
        return LegOutcome.BUSY
    if cause in NO_ANSWER_CAUSES:
        return LegOutcome.NO_ANSWER
    return LegOutcome.FAILED if cause in FAILED_CAUSES else otherwise


def outcome(call: LiveCall) -> Outcome:
    if call.answered is not None:
        return Outcome.ANSWERED
    if call.direction is Direction.INCOMING:
        return Outcome.MISSED
    wanted = Party.CLIENT if call.direction is Direction.OUTGOING else Party.EMPLOYEE
    rung = [leg for leg in call.legs.values() if leg.party is wanted and leg.uid != call.origin]
    if not rung:  # click-to-call whose employee did not come to the phone
        rung = [leg for leg in call.legs.values() if leg.party is Party.EMPLOYEE and leg.rang is not None]
        if rung and call.expected and rung[-1].cause in REJECTED_CAUSES:
            return Outcome.CANCELLED
    outcomes = [leg.outcome or LegOutcome.CANCELLED for leg in rung]
    if outcomes:
        return FROM_LEG[outcomes[-1]] if call.direction is Direction.OUTGOING else _of_group(outcomes)
    if call.cause in BUSY_CAUSES:
        return Outcome.BUSY
    return Outcome.NO_ANSWER if call.cause in NO_ANSWER_CAUSES else Outcome.FAILED


def _of_group(outcomes: list[LegOutcome]) -> Outcome:
    """Of several employees rung: gave the caller up? else did one phone at least ring? else were they busy?"""
    for candidate in (LegOutcome.CANCELLED, LegOutcome.NO_ANSWER, LegOutcome.BUSY):
        if candidate in outcomes:
            return FROM_LEG[candidate]
    return Outcome.FAILED


def record(call: LiveCall, numbering: Numbering, relabel: Callable[[str], str]) -> Call:
    """`relabel` replaces the name of an account by its extension, when that came to be known later."""
    ended = call.ended
    answered = call.answered
    return Call(
        id=call.id,
        direction=call.direction or Direction.INTERNAL,
        client=numbering.international(call.client_raw),
        client_raw=call.client_raw,
        client_name=call.client_name,
        line=numbering.international(call.line_raw),
        line_raw=call.line_raw,
        trunk=call.trunk,
        started=call.started,
        answered=answered,
        ended=ended,
        outcome=outcome(call) if ended is not None else None,
        duration=max(0.0, ended - answered) if ended is not None and answered is not None else 0.0,
        rung=_unique(map(relabel, sorted(call.rung, key=call.rung.__getitem__))),
        talkers=_unique(map(relabel, call.talkers)),
        last_talker=relabel(call.last_talker),
        transfers=tuple(replace(move, from_=relabel(move.from_), to=relabel(move.to)) for move in call.transfers),
        picked_up_by=relabel(call.picked_up_by),
        forwarded_to=call.forwarded_to,
        queue=call.queue,
        menu=tuple(call.menu),
        third_parties=tuple(call.third_parties),
        recordings=tuple(call.recordings),
        legs=tuple(_leg(leg, relabel, conferred=bool(call.room)) for leg in call.legs.values()),
        end_seen=call.end_seen,
        absorbed_into=call.absorbed_into,
        forwarded_by=relabel(_forwarder(call)),
    )


def _forwarder(call: LiveCall) -> str:
    """In whose place the phone was rung to which the call was forwarded."""
    meant = [leg.meant for leg in call.legs.values() if leg.meant and leg.extension == call.forwarded_to]
    return meant[-1] if meant else ""


def _leg(leg: LiveLeg, relabel: Callable[[str], str], *, conferred: bool) -> Leg:
    """`conferred`: a third person's part begins with the talk that the client does not hear."""
    answered = leg.talked if leg.talked is not None else leg.up
    if conferred and leg.party is Party.THIRD_PARTY:
        answered = leg.up if leg.up is not None else leg.talked
    if leg.outcome is not None and leg.outcome is not LegOutcome.ANSWERED:
        answered = None
    return Leg(
        channel=leg.channel,
        party=leg.party,
        extension=relabel(leg.extension) if leg.party is Party.EMPLOYEE else leg.extension,
        rang=leg.rang,
        answered=answered,
        ended=leg.ended,
        outcome=leg.outcome,
    )


def _unique(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))
