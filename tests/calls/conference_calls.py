"""What became of a played conference: the one call, and ways through it, for the tests of the tracker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from ami_script import Script, calls_of, facts_of
from conference_script import PORTAL, Conference

from perezvon.calls import Held, Numbering
from perezvon.calls.call import Call, Leg, Party

NUMBERINGS = {
    "nothing told": Numbering(),
    "trunks and lines told": Numbering(trunks=frozenset({"carrier", PORTAL}), lines=frozenset({"+74951234567"})),
    "the portal told": Numbering(portals=frozenset({PORTAL})),
}
WAYS: dict[str, Callable[[], Conference]] = {
    "incoming": lambda: Conference().incoming_talk(),
    "outgoing": lambda: Conference().outgoing_talk(),
}
both_ways = pytest.mark.parametrize("way", WAYS)
all_numberings = pytest.mark.parametrize("numbering", NUMBERINGS)


def the_call(pbx: Script, numbering: Numbering | None = None) -> Call:
    [call] = calls_of(pbx, numbering)
    return call


def thirds(call: Call) -> list[Leg]:
    return [leg for leg in call.legs if leg.party is Party.THIRD_PARTY]


def held(pbx: Script) -> list[bool]:
    return [fact.on for fact in facts_of(pbx) if isinstance(fact, Held)]


def whole(way: str) -> Conference:
    pbx = WAYS[way]()
    pbx.consult()
    pbx.code()
    pbx.rings()
    pbx.private()
    pbx.merge()
    pbx.end_by_client()
    return pbx
