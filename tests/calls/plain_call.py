"""An incoming call as plain as can be, for tests that say only what is different about theirs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from perezvon.calls.call import Call, Direction, Outcome
from perezvon.calls.facts import CallStarted

T = 1_000.0


def started(**changes: Any) -> CallStarted:
    return replace(
        CallStarted(
            call="c",
            at=T,
            direction=Direction.INCOMING,
            client="+79161234567",
            client_raw="79161234567",
            client_name="",
            line="+74951234567",
            line_raw="74951234567",
            trunk="carrier",
            extension="",
            expected="",
        ),
        **changes,
    )


def record(**changes: Any) -> Call:
    """Nobody answered."""
    return replace(
        Call(
            id="c",
            direction=Direction.INCOMING,
            client="+79161234567",
            client_raw="79161234567",
            client_name="",
            line="+74951234567",
            line_raw="74951234567",
            trunk="carrier",
            started=T,
            ended=T + 9,
            outcome=Outcome.MISSED,
        ),
        **changes,
    )


def talk(at: float = T, **changes: Any) -> Call:
    """Began at `at`; 101 answered after five seconds and talked for ten."""
    of_101 = record(
        started=at,
        answered=at + 5,
        ended=at + 15,
        outcome=Outcome.ANSWERED,
        duration=10.0,
        rung=("101",),
        talkers=("101",),
        last_talker="101",
    )
    return replace(of_101, **changes)
