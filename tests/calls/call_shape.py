"""What a shape is: what the PBX does, in the words of `ami_script`, and the records that it must give."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ami_script import Chan, Script

from perezvon.calls import Numbering

CLIENT = "79161234567"
E164 = "+79161234567"
DID = "74951234567"
LINE = "+74951234567"
TRUNKS = Numbering(trunks=frozenset({"multifon", "carrier"}), lines=frozenset({LINE}))
PLAIN = Numbering()

Shape = Callable[[Script], None]
SHAPES: list[tuple[str, Shape, Numbering, list[dict[str, Any]]]] = []

INCOMING: dict[str, Any] = {"direction": "incoming", "client": E164, "line": LINE}
OUTGOING: dict[str, Any] = {"direction": "outgoing", "client": "+79160000009"}
MISSED = INCOMING | {"outcome": "missed", "duration": 0.0, "talkers": [], "last_talker": None, "answered": None}


def answered_by(*talkers: str) -> dict[str, Any]:
    return INCOMING | {"outcome": "answered", "talkers": list(talkers), "last_talker": talkers[-1]}


def shape(*expected: dict[str, Any], numbering: Numbering = PLAIN) -> Callable[[Shape], Shape]:
    def keep(build: Shape) -> Shape:
        SHAPES.append((build.__name__, build, numbering, list(expected)))
        return build

    return keep


def come_in(pbx: Script, name: str = "PJSIP/multifon-00000001") -> Chan:
    return pbx.incoming(name, CLIENT, DID)


def connect(pbx: Script, client: Chan, name: str, extension: str) -> Chan:
    phone = pbx.dial(client, name, extension)
    pbx.ringing(phone)
    pbx.answer(phone)
    pbx.talk(client, phone)
    return phone


def queue(pbx: Script, client: Chan, name: str) -> None:
    pbx.send("QueueCallerJoin", **{"channel": client.name, "uniqueid": client.uid, "queue": name})


def consult(pbx: Script, extension: str, name: str, second: str, second_name: str) -> tuple[Chan, Chan, str]:
    """A desk phone's second line calls a colleague: a call with a linkedid of its own."""
    line = pbx.new(name, number=extension, exten=second, state=4)
    colleague = pbx.dial(line, second_name, second)
    pbx.ringing(colleague)
    pbx.answer(colleague)
    return line, colleague, pbx.talk(line, colleague)
