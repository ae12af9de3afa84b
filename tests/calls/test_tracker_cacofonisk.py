"""The 26 stories that others recorded on chan_sip: what their own tracker reported, held against our facts, and the record that
each must give, written by hand.

Their accounts are `SIP/150010001` with caller id 201: the extension is known where the account has called with it, or was
dialled by it; else the account's name stands for it (two phones of a group bear the group's number).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perezvon.calls import CallEnded, Fact, Numbering, Tracker
from perezvon.calls.call import Call, Party
from perezvon.calls.recorded import read_recording

OURS = Numbering(region="NL", lines=frozenset({"+31150010001"}))
"""A program rings the employee first and shows the company's number: known as its own, it is no client's."""

NL = Numbering(region="NL")


def record(direction: str, client: str, outcome: str, rung: str = "", talkers: str = "", **more: Any) -> dict[str, Any]:
    return {
        "direction": direction,
        "client": client,
        "outcome": outcome,
        "rung": rung.split(),
        "talkers": talkers.split(),
        "transfers": [],
    } | more


def moved(kind: str, from_: str, to: str) -> list[dict[str, str]]:
    return [{"kind": kind, "from": from_, "to": to}]


IN, OUT, BETWEEN = "incoming", "outgoing", "internal"
STORIES: dict[str, tuple[Numbering, list[dict[str, Any]]]] = {
    "mobile__acceptance_group_pickup": (
        NL,
        [record(IN, "+31150010003", "answered", "+31150010002 +31150010001", "+31150010001", forwarded_to="+31150010001")],
    ),
    "mobile__acceptance_reject": (NL, [record(IN, "+31150010003", "missed", "+31150010001")]),
    "mobile__acceptance_timeout": (NL, [record(IN, "+31150010003", "missed", "+31150010001")]),
    # the first party is outside too: that is who was called, and nobody of the company talked
    "originate__cmn-world-world-unaccepted": (OURS, [record(OUT, "+31260010001", "answered")]),
    "originate__ctd-account-account-xfer-attn-abbcac": (
        NL,
        [
            record(
                BETWEEN,
                "202",
                "answered",
                "201 202 203",
                "201 202 203",
                transfers=moved("attended", "202", "203"),
                last_talker="203",
            )
        ],
    ),
    "originate__ctd-account-world-deny-a": (OURS, []),
    "originate__ctd-account-world-no-ringing": (
        OURS,
        [record(OUT, "+31260010001", "answered", "2401", "2401", line="+31150010001")],
    ),
    "originate__ctd-account-world": (OURS, [record(OUT, "+31260010001", "answered", "201", "201", line="+31150010001")]),
    "queue__queue_attn_xfer": (
        NL,
        [
            record(
                IN,
                "+31260010001",
                "answered",
                "201 202",
                "201 202",
                transfers=moved("attended", "201", "202"),
                last_talker="202",
                line="+31150010001",
            )
        ],
    ),
    "queue__queue_group": (NL, [record(IN, "+31150010001", "answered", "150010003 150010002", "150010002")]),
    "simple__a_created_no_answer": (NL, [record(IN, "+31150010001", "missed")]),
    "simple__ab_callgroup": (NL, [record(BETWEEN, "401", "answered", "150010003 150010002", "201 150010002")]),
    "simple__ab_dnd": (NL, [record(BETWEEN, "202", "busy", "202")]),
    "simple__ab_success_a_hangup": (NL, [record(BETWEEN, "202", "answered", "202", "201 202")]),
    "simple__ab_success_o3": (NL, [record(BETWEEN, "202", "answered", "202", "201 202")]),
    # the same call seen twice: it leaves by the carrier and comes in again for another account
    "var_set__user_events": (
        NL,
        [
            record(OUT, "+31150010001", "answered", "", "260010001", line="+31260010001"),
            record(IN, "+31260010001", "answered", "150010001", "150010001"),
        ],
    ),
    "xfer_attended__xfer_abbcac": (
        NL,
        [
            record(
                BETWEEN,
                "202",
                "answered",
                "202 203",
                "201 202 203",
                transfers=moved("attended", "202", "203"),
                last_talker="203",
            )
        ],
    ),
    # 202 and 203 both call 201, who joins them: the older call goes on
    "xfer_attended__xfer_abcbac": (
        NL,
        [record(BETWEEN, "201", "answered", "201", "202 201 203", transfers=moved("attended", "201", "203"))],
    ),
    "xfer_blind__xfer_blind_abacbc": (
        NL,
        [
            record(
                BETWEEN,
                "202",
                "answered",
                "202 203",
                "201 202 203",
                transfers=moved("blind", "201", "203"),
                last_talker="203",
            )
        ],
    ),
    "xfer_blind__xfer_blind_b_no_answer": (
        NL,
        [
            record(
                BETWEEN, "202", "answered", "202 203", "201 202", transfers=moved("blind", "202", "203"), last_talker="202"
            )
        ],
    ),
    "xfer_blind__xfer_blind_group_no_answer": (
        NL,
        [
            record(
                IN,
                "+31260010001",
                "answered",
                "150010001 401",
                "150010001",
                transfers=moved("blind", "150010001", "401"),
            )
        ],
    ),
    "xfer_blonde__xfer_blonde_abacbc": (
        NL,
        [record(BETWEEN, "202", "answered", "202 203", "201 202 203", transfers=moved("attended", "201", "203"))],
    ),
    "xfer_blonde__xfer_blonde_group_a": (
        NL,
        [
            record(
                OUT,
                "+31260010001",
                "answered",
                "150010002 150010003",
                "201 150010002",
                transfers=moved("attended", "201", "401"),
                line="+31150010001",
            )
        ],
    ),
    "xfer_blonde__xfer_blonde_reject": (
        NL,
        [record(IN, "+31260010001", "answered", "201 202", "201", transfers=moved("attended", "201", "202"))],
    ),
    "xfer_misc__call_forwarding_to_group": (
        NL,
        [
            record(
                IN,
                "+31260010001",
                "answered",
                "150010001 150010002 150010003",
                "150010003",
                forwarded_to="401",
            )
        ],
    ),
    "xfer_misc__star_pickup": (
        NL,
        [record(BETWEEN, "202", "answered", "202", "201 150010003", picked_up_by="150010003")],
    ),
}

REASONS = {"completed": {"answered"}, "no-answer": {"missed", "no_answer"}, "busy": {"busy", "missed"}}
OTHERWISE = {
    "simple__a_created_no_answer": "they call it completed because the dialplan answered; nobody talked",
    "xfer_blonde__xfer_blonde_reject": "they tell how the transfer ended, we how the call went: it was answered before",
}


def fed(path: Path, numbering: Numbering) -> list[Fact]:
    tracker = Tracker("pbx", numbering)
    return [fact for event in read_recording(path) for fact in tracker.feed(event)]


def ended(facts: list[Fact]) -> list[Call]:
    return [fact.record for fact in facts if isinstance(fact, CallEnded)]


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str, corpora: Path) -> None:
    numbering, expected = STORIES[name]
    calls = [call for call in ended(fed(corpora / "cacofonisk" / f"{name}.json", numbering)) if not call.absorbed_into]
    calls.sort(key=lambda call: call.started)
    records = [call.as_json() for call in calls]
    assert [{key: found[key] for key in wanted} for found, wanted in zip(records, expected, strict=True)] == expected


@pytest.mark.parametrize("name", STORIES)
def test_what_their_tracker_reported(name: str, corpora: Path) -> None:
    """Whom they saw being dialled is rung, who came up talks, who was transferred is transferred, and it ends the same way."""
    path = corpora / "cacofonisk" / f"{name}.json"
    facts = fed(path, STORIES[name][0])
    calls = ended(facts)
    legs = {leg.channel: leg for call in calls for leg in call.legs}
    final = [call for call in calls if not call.absorbed_into]
    transfers = 0
    for report, parts in json.loads(path.read_text())["expected"]:
        match report:
            case "on_b_dial" | "on_blind_transfer" | "on_blonde_transfer":
                for target in parts["targets"]:
                    assert legs[target["name"]].rang is not None, f"{target['name']} was dialled"
                transfers += report != "on_b_dial"
            case "on_up":
                assert legs[parts["target"]["name"]].answered is not None, f"{parts['target']['name']} came up"
                caller = legs[parts["caller"]["name"]]
                assert caller.answered is not None
            case "on_attended_transfer":
                transfers += 1
            case "on_hangup" if name not in OTHERWISE:
                assert {call.outcome for call in final} <= REASONS[parts["reason"]]
            case _:
                assert report in {"on_b_dial_end", "on_hangup", "on_user_event"}
    told = sum(len(call.transfers) for call in final)
    assert told >= transfers  # they do not report a blind transfer that nobody answers


def test_every_story_is_told(corpora: Path) -> None:
    assert {path.stem for path in (corpora / "cacofonisk").glob("*.json")} == set(STORIES)


def test_their_trunks_are_nobodys_phone(corpora: Path) -> None:
    for name, (numbering, _) in STORIES.items():
        for call in ended(fed(corpora / "cacofonisk" / f"{name}.json", numbering)):
            for leg in call.legs:
                if "siproute" in leg.channel and leg.party is Party.EMPLOYEE:
                    assert leg.extension.startswith("+"), f"{name}: {leg}"
