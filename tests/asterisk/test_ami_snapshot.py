from __future__ import annotations

import pytest
from scripted_ami import ScriptedPbx, answer

from perezvon.asterisk import ActionRefused, Session, take_snapshot


def channel(name: str, uniqueid: str, bridge: str = "") -> list[tuple[str, str]]:
    return [
        ("Event", "CoreShowChannel"),
        ("Channel", name),
        ("Uniqueid", uniqueid),
        ("Linkedid", "1.1"),
        ("BridgeId", bridge),
    ]


async def test_the_state_of_a_pbx_is_read(peer: ScriptedPbx) -> None:
    peer.channels = [
        channel("PJSIP/trunk-1", "1.1", "b-1"),
        channel("PJSIP/101-2", "1.2", "b-1"),
        channel("PJSIP/102-3", "1.3"),
    ]
    peer.statuses = [
        [
            ("Event", "Status"),
            ("Channel", "PJSIP/trunk-1"),
            ("Uniqueid", "1.1"),
            ("Seconds", "17"),
            ("BridgeID", "b-1"),
            ("Variable", "MIXMONITOR_FILENAME=/spool/a=b.wav"),
            ("Variable", "CALLFILENAME=(null)"),
        ],
        [("Event", "Status"), ("Channel", "PJSIP/103-4"), ("Uniqueid", "1.4")],
    ]
    peer.queues = [
        [("Event", "QueueParams"), ("Queue", "sales")],
        [("Event", "QueueMember"), ("Queue", "sales"), ("Name", "101")],
        [("Event", "QueueEntry"), ("Queue", "sales"), ("Position", "1"), ("Channel", "PJSIP/trunk-1")],
        [("Event", "QueueParams"), ("Queue", "empty")],
    ]
    async with await Session.open(peer.address()) as session:
        dump = await take_snapshot(session)

    snapshot = dump.snapshot
    assert [entry["channel"] for entry in snapshot.channels] == [
        "PJSIP/trunk-1",
        "PJSIP/101-2",
        "PJSIP/102-3",
        "PJSIP/103-4",
    ]
    trunk = snapshot.channels[0]
    assert (trunk["linkedid"], trunk["seconds"], trunk["event"]) == ("1.1", "17", "CoreShowChannel")
    assert trunk["variable.MIXMONITOR_FILENAME"] == "/spool/a=b.wav"
    assert "variable.CALLFILENAME" not in trunk
    assert snapshot.bridges == {"b-1": ("PJSIP/trunk-1", "PJSIP/101-2")}
    assert snapshot.waiting == {"sales": ("PJSIP/trunk-1",), "empty": ()}
    assert snapshot.at == 1795230221.740568
    assert (dump.startup, dump.asterisk) == ("2026-11-21 07:54:24", "22.10.1")


@pytest.mark.parametrize(
    ("before", "restarted"), [("", False), ("2026-11-21 07:54:24", False), ("2026-11-20 01:02:03", True)]
)
async def test_a_restart_is_noticed(peer: ScriptedPbx, before: str, restarted: bool) -> None:
    async with await Session.open(peer.address()) as session:
        assert (await take_snapshot(session, startup=before)).snapshot.restarted is restarted


async def test_a_pbx_without_queues(peer: ScriptedPbx) -> None:
    del peer.replies["QueueStatus"]
    async with await Session.open(peer.address()) as session:
        assert (await take_snapshot(session)).snapshot.waiting == {}


@pytest.mark.parametrize("action", ["CoreStatus", "CoreShowChannels", "Status"])
async def test_a_missing_right_is_named(peer: ScriptedPbx, action: str) -> None:
    peer.replies[action] = lambda a: [answer(a, ("Message", "Permission denied"), response="Error")]
    async with await Session.open(peer.address()) as session:
        with pytest.raises(ActionRefused, match=rf"{action}: Permission denied.*'perezvon' needs `reporting`"):
            await take_snapshot(session)
