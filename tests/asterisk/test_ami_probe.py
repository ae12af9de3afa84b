from __future__ import annotations

import time

from scripted_ami import ScriptedPbx, answer, event, listing

from perezvon.asterisk import AmiAddress, Message, probe_pbx

USER = """
          username: perezvon
            secret: <Set>
         read perm: system,call,agent,user,dialplan
        write perm: system,call,reporting,originate
"""


def command(action: Message) -> list[bytes]:
    text = USER if action["Command"] == "manager show user perezvon" else "  Timestamp events:          Yes"
    return [answer(action, *[("Output", line) for line in text.splitlines()])]


async def test_what_a_pbx_lets_us_do(peer: ScriptedPbx) -> None:
    peer.queues = [[("Event", "QueueParams"), ("Queue", "sales")]]
    peer.replies |= {
        "Ping": lambda a: [answer(a, ("Timestamp", f"{time.time() + 3600:.6f}"))],
        "Command": command,
        "ListCommands": lambda a: [
            answer(
                a,
                *[
                    (name, "… (Priv: x)")
                    for name in ("CoreStatus", "CoreSettings", "CoreShowChannels", "Status", "Redirect")
                ],
            )
        ],
        "ShowDialPlan": lambda a: (
            listing(a, "ShowDialPlanComplete", [])
            if a["Context"] == "from-internal"
            else [answer(a, ("Message", f"Did not find context {a['Context']}"), response="Error")]
        ),
    }
    found = await probe_pbx(peer.address(), contexts=["from-internal", "from-pstn"])
    assert (found.reachable, found.logged_in, found.booted, found.problem) == (True, True, True, "")
    assert found.asterisk == "22.10.1"
    assert found.startup == "2026-11-21 07:54:24"
    assert found.missing_actions == {"Originate": "originate"}
    assert found.missing_read == ("dtmf",)
    assert found.contexts == {"from-internal": True, "from-pstn": False}
    assert found.queues == ("sales",)
    assert found.clock_offset is not None
    assert 3590 < found.clock_offset < 3610
    assert found.timestamps is True


async def test_what_cannot_be_asked_is_unknown(peer: ScriptedPbx) -> None:
    def denied(action: Message) -> list[bytes]:
        return [answer(action, ("Message", "Permission denied"), response="Error")]

    peer.replies |= dict.fromkeys(("CoreStatus", "CoreSettings", "Command", "ShowDialPlan", "QueueStatus"), denied)
    peer.replies["Ping"] = lambda a: [answer(a, ("Ping", "Pong"))]
    peer.replies["ListCommands"] = lambda a: [answer(a)]
    found = await probe_pbx(peer.address(), contexts=["office"])
    assert found.booted
    assert (found.asterisk, found.startup, found.missing_read, found.queues, found.clock_offset, found.timestamps) == (
        None,
    ) * 6
    assert found.contexts == {"office": None}
    assert found.missing_actions is not None
    assert "CoreShowChannels" in found.missing_actions


async def test_where_it_stops_is_told() -> None:
    async with ScriptedPbx(boots=False) as peer:
        address = peer.address()
        wrong = await probe_pbx(peer.address(secret="hush"))
        assert (wrong.reachable, wrong.logged_in) == (True, False)
        assert "Authentication failed" in str(wrong.problem)
        late = await probe_pbx(address, timeout=0.5)
        assert (late.logged_in, late.booted) == (True, False)
        assert "FullyBooted" in str(late.problem)
    gone = await probe_pbx(address)
    assert (gone.reachable, str(gone.problem).startswith("cannot connect")) == (False, True)
    nobody = await probe_pbx(AmiAddress.parse("tcp://u:p@127.0.0.1:1"))
    assert not nobody.reachable


async def test_a_pbx_that_goes_in_the_middle(peer: ScriptedPbx) -> None:
    def vanish(action: Message) -> list[bytes]:
        for writer in peer.writers:
            writer.transport.abort()
        return [event("x")]

    peer.replies["CoreStatus"] = vanish
    found = await probe_pbx(peer.address())
    assert found.booted
    assert "closed" in str(found.problem)
