"""What a story is: a call played on the sandbox's real Asterisk, with the record that it must give.

Under `rung` a set means that the order is the PBX's own business (it dials the members of a queue in threads of their own),
under any other name that each of these would be right.

A story is played by `record.py`, which keeps the AMI stream in `recordings/`; `test_tracker_recordings.py` replays that. What
a story returns is its truth, measured at the other end of the wire: the leg of the world whose answer began the talk (None:
nobody answered), and the leg of the client, whose end ends the call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from perezvon.asterisk import Session
from perezvon.sandbox.pbx import Leg, PbxSandbox

CLIENT = "79161234567"
CLIENT_E164 = "+79161234567"
MOBILE = "79160000009"
MOBILE_E164 = "+79160000009"
MAIN_LINE = "+74951234567"

Truth = tuple[Leg | None, Leg | None]
Play = Callable[[PbxSandbox, Session], Awaitable[Truth]]


@dataclass(frozen=True, slots=True)
class Story:
    name: str
    play: Play
    expected: tuple[dict[str, Any], ...]


@dataclass(slots=True)
class Stories:
    told: dict[str, Story] = field(default_factory=dict[str, Story])

    def story(self, *expected: dict[str, Any]) -> Callable[[Play], Play]:
        def keep(play: Play) -> Play:
            name = play.__name__
            self.told[name] = Story(name, play, expected)
            return play

        return keep


STORIES = Stories()
story = STORIES.story

INCOMING: dict[str, Any] = {"direction": "incoming", "client": CLIENT_E164}
MISSED = INCOMING | {"outcome": "missed", "talkers": [], "last_talker": None}
OUTGOING: dict[str, Any] = {"direction": "outgoing", "client": MOBILE_E164, "line": MAIN_LINE}
INTERNAL: dict[str, Any] = {"direction": "internal"}


def answered_by(*talkers: str) -> dict[str, Any]:
    return INCOMING | {"outcome": "answered", "talkers": list(talkers), "last_talker": talkers[-1]}


def moved(kind: str, from_: str, to: str) -> dict[str, str]:
    return {"kind": kind, "from": from_, "to": to}


async def direct(pbx: PbxSandbox, to: str = "74950000101", phone: str = "101") -> tuple[Leg, Leg]:
    client = await pbx.world.call(frm=CLIENT, to=to, name="Иван")
    leg = await pbx.world.phone(phone).talking()
    await client.talks(0.5)
    return client, leg


def originate(channel: str, exten: str, channel_id: str = "", caller: str = "") -> list[tuple[str, str]]:
    headers = [
        ("Channel", channel),
        ("Context", "from-internal"),
        ("Exten", exten),
        ("Priority", "1"),
        ("Timeout", "15000"),
        ("Async", "true"),
    ]
    if channel_id:
        headers.append(("ChannelId", channel_id))
    if caller:
        headers.append(("CallerID", caller))
    return headers
