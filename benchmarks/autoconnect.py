"""How soon a phone rings when the dialplan asks us whom to ring: from the INVITE at the PBX to the one to the desk phone,
with 20 callers a second, beside the same calls of a dialplan that rings a phone without asking. Prints JSON, milliseconds.

`python benchmarks/autoconnect.py [--calls 100] [--rate 20]`. New clients are asked of the portal while they wait; known
ones are connected out of what is kept, also with the portal slow (2 s), when each waits for a fifth of a second in vain.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from perezvon.asterisk import AmiAddress, Session
from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.stand import Stand, stand

ASKED, PLAIN = "74950000920", "74950000101"
DESKS = {"101": 11, "102": 12, "103": 13, "104": 14}
TARGET_MS = 300.0
FIRST = 79165000000
SETTINGS = """
[agi]
bind = "{agi}"
[[line]]
number = "+74950000920"
name = "Москва"
[autoconnect]
enabled = true
busy = "ring"
"""
NEVER_FRESH = "import perezvon.autoconnect.clients as clients; clients.FRESH = 0.0"


async def measure(whole: Stand, to: str, rate: float, calls: int) -> list[float]:
    """Milliseconds of each call that rang a phone."""
    invited: dict[str, float] = {}
    rung: dict[str, float] = {}
    address = AmiAddress.parse(whole.pbx.office_ami_all)
    async with await Session.open(address, wanted=frozenset({"Newchannel"}), variables=frozenset()) as watch:

        async def follow() -> None:
            async for events in watch.events():
                for event in events:
                    desk = event["channel"].startswith("PJSIP/10")
                    (rung if desk else invited).setdefault(event["linkedid"], event.at)

        following = asyncio.create_task(follow())
        legs = [leg async for leg in whole.pbx.world.load(rate, calls, to, talk_seconds=0.2, first=FIRST)]
        for leg in legs:
            await leg.ended(60)
        await whole.pbx.office.silence()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
    return [(rung[call] - at) * 1000 for call, at in invited.items() if call in rung]


def told(times: Sequence[float], calls: int) -> dict[str, float]:
    centiles = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "rung": len(times),
        "of": calls,
        "median_ms": round(statistics.median(times), 1),
        "p99_ms": round(centiles[98], 1),
        "most_ms": round(max(times), 1),
    }


async def run(folder: Path, calls: int, rate: float) -> dict[str, object]:
    found: dict[str, object] = {"rate": rate, "target_from_cache_ms": TARGET_MS}
    async with await PbxSandbox.start(folder / "pbx") as pbx, PortalServer(PortalConfig(rate=None)) as portal:
        crm = portal.state.crm
        for number in range(calls):
            owner = list(DESKS.values())[number % len(DESKS)]
            phone = [crm.phone(f"+{FIRST + number}", "MOBILE")]
            crm.add("CONTACT", {"NAME": "Клиент", "ASSIGNED_BY_ID": str(owner), "PHONE": phone}, quiet=True)
        for extension in DESKS:
            await pbx.world.phone(extension).answers(after=0.1)
        settings = SETTINGS.format(agi=pbx.agi_bind)
        async with stand(pbx, portal, folder / "data", more=settings) as whole:
            await whole.service.until(lambda status: status["dialplan"]["listens"], "listens to the dialplan")
            found["plain_dialplan"] = told(await measure(whole, PLAIN, rate, calls), calls)
            found["new_clients"] = told(await measure(whole, ASKED, rate, calls), calls)
            found["known_clients"] = told(await measure(whole, ASKED, rate, calls), calls)
        async with stand(pbx, portal, folder / "data", more=settings, first=NEVER_FRESH) as whole:
            await whole.service.until(lambda status: status["dialplan"]["listens"], "listens to the dialplan")
            portal.state.faults.plan("slow", method="telephony.externalCall.searchCrmEntities", wait=2.0, seconds=600)
            found["known_clients_portal_slow"] = told(await measure(whole, ASKED, rate, calls), calls)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100, help="of each kind")
    parser.add_argument("--rate", type=float, default=20.0, help="callers a second")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="perezvon-autoconnect-") as folder:
        print(json.dumps(asyncio.run(run(Path(folder), chosen.calls, chosen.rate)), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
