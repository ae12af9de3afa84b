"""kill -9 in the middle of mixed traffic: nothing lost, nothing twice, and the PBX's own records agree call by call."""

from __future__ import annotations

import csv
import io
import os
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import traffic

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import stand

pytestmark = [pytest.mark.asterisk, pytest.mark.load]

KILLS = int(os.environ.get("PEREZVON_KILLS", "20"))
"""`make kills` wants 100."""


@pytest.fixture(scope="module")
def starter() -> None:
    """It is away for as long as at people's."""


@pytest.mark.timeout(120 + 12 * KILLS)
async def test_kills_under_mixed_traffic(pbx_session: PbxSandbox, tmp_path_factory: pytest.TempPathFactory) -> None:
    async with (
        PortalServer(PortalConfig(rate=None, one_card_per_user=False)) as portal,
        stand(pbx_session, portal, tmp_path_factory.mktemp("kill")) as whole,
    ):
        await traffic.ready(whole)
        spoken = await traffic.under_kills(whole, KILLS, random.Random(20))
        await traffic.told_right(whole, spoken, within=120)
        calls = portal.calls()
        assert len(calls) == len(spoken)
        recorded = records(pbx_session.cdr)
        assert {call.phone: differs for call in calls if (differs := difference(call, recorded.get(call.phone)))} == {}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A client's call by the PBX's call detail records: seconds of talk (0 when nobody answered), and how many records."""

    talk: int
    records: int


def records(cdr: Path) -> dict[str, Recorded]:
    """By the client's number. A ring group leaves a record for each phone; one of them at most was answered."""
    found: dict[str, Recorded] = {}
    for row in csv.reader(io.StringIO(cdr.read_text(encoding="utf-8", errors="replace"))):
        source, destination, seconds, disposition = row[1], row[2], int(row[13]), row[14]
        client = "+" + (source if source.startswith("7919") else destination)
        known = found.get(client, Recorded(0, 0))
        talk = seconds if disposition == "ANSWERED" else 0
        found[client] = Recorded(max(known.talk, talk), known.records + 1)
    return found


def difference(call: PortalCall, recorded: Recorded | None) -> str:
    if recorded is None:
        return "the PBX knows of no such call"
    duration = int(call.finish["duration"])
    if (duration == 0) != (recorded.talk == 0) or abs(duration - recorded.talk) > traffic.SLACK:
        return f"{duration} s at the portal, {recorded.talk} s in the PBX's records"
    return ""
