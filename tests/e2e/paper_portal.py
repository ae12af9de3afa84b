"""A portal on paper: what recorded events of a scenario would make it show, without PBX, network or time.

The tracker and the planner do what they do in `perezvon replay` and in the service; each step takes effect at the moment of
the fact that it comes of.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from perezvon.calls import CallEnded, Fact, Numbering, Snapshot, Tracker
from perezvon.calls.call import Call
from perezvon.calls.recorded import read_recording
from perezvon.rules import Kind, People, PlanState, Policy, StepDraft, plan
from perezvon.sandbox.portal.calls import Card, PortalCall


class PaperPortal:
    """`calls` in the order of registration; `records`: the tracker's own of the same calls."""

    def __init__(self) -> None:
        self.calls: list[PortalCall] = []
        self.records: list[Call] = []
        self._by_lane: dict[str, PortalCall] = {}

    def play(self, recording: Path, numbering: Numbering, policy: Policy, people: People) -> None:
        states: dict[str, PlanState] = {}
        for facts in _rounds(recording, numbering):
            by_call: dict[str, list[Fact]] = {}
            for fact in facts:
                by_call.setdefault(fact.call, []).append(fact)
            self.records += [fact.record for fact in facts if isinstance(fact, CallEnded)]
            for call, told in by_call.items():
                states[call], decisions = plan(states.get(call, PlanState()), told, policy, people)
                for decision in decisions:
                    for step in decision.steps:
                        self._take(call, step, told[-1].at)

    def with_client(self, number: str) -> list[PortalCall]:
        return [call for call in self.calls if call.phone == number]

    def _take(self, lane: str, step: StepDraft, at: float) -> None:
        params: Any = step.params
        if step.kind is Kind.REGISTER:
            assert lane not in self._by_lane or not self._by_lane[lane].live, f"{step.key}: one is live already"
            call = self._by_lane[lane] = _call(params, at)
            self.calls.append(call)
            return
        call = self._by_lane[lane]
        assert call.live, f"{step.key}: the portal call is over"
        match step.kind:
            case Kind.SHOW:
                call.cards += [Card(user, at, at) for user in params["USER_ID"] if user not in call.visible_to()]
            case Kind.HIDE:
                _hide(call, params["USER_ID"], at)
            case _:
                call.finished_at = at
                _hide(call, [params["USER_ID"]], at)
                call.finish = {
                    "user_id": params["USER_ID"],
                    "duration": params["DURATION"],
                    "status": params["STATUS_CODE"],
                }


def _call(params: Any, at: float) -> PortalCall:
    return PortalCall(
        id=params["EXTERNAL_CALL_ID"],
        external_id=params["EXTERNAL_CALL_ID"],
        app="",
        app_id=0,
        app_name="",
        user_id=params["USER_ID"],
        phone=params["PHONE_NUMBER"],
        type=params["TYPE"],
        line=params.get("LINE_NUMBER", ""),
        started=at,
        registered_at=at,
        registered_monotonic=at,
        registration=params,
    )


def _hide(call: PortalCall, users: list[int], at: float) -> None:
    for card in call.cards:
        if card.visible and card.user_id in users:
            card.hidden_at = at


def _rounds(recording: Path, numbering: Numbering) -> Iterator[list[Fact]]:
    tracker = Tracker("main", numbering)
    at = 0.0
    for event in read_recording(recording):
        at = max(at, event.at)
        if facts := tracker.feed(event):
            yield facts
    yield tracker.resync(Snapshot(at, (), {}, {}, restarted=True))
