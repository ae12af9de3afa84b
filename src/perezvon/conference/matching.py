"""Which running call a second call of the portal is about: somebody there transfers his client to the conference's number.

The portal may do that by a second call to that number, while its first one goes on. The dialplan then asks (script
`match`) for the channel of the client whom it shall take over. A doubtful one is left alone: better a tone than a stranger.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Protocol

import structlog

from perezvon.calls import Call, Numbering
from perezvon.calls.call import Direction, Leg, Party
from perezvon.calls.names import parse

log = structlog.get_logger(__name__)


class Asked(Protocol):
    """What the script needs of an `AgiCall`."""

    @property
    def environment(self) -> Mapping[str, str]: ...

    async def set(self, name: str, value: str) -> None: ...


class Matching:
    """`live`: the running calls of the PBX that asks. `conferring`: the channels that are in a conference already."""

    def __init__(
        self,
        live: Callable[[], Iterable[Call]],
        conferring: Callable[[], Collection[str]],
        numbering: Callable[[], Numbering],
    ) -> None:
        self._live = live
        self._conferring = conferring
        self._numbering = numbering

    async def match(self, call: Asked) -> None:
        """The script of the dialplan: sets PEREZVON_PEER to the client's channel, or nothing. Raises what `call` raises."""
        channel, caller = call.environment.get("channel", ""), call.environment.get("callerid", "")
        calls = list(self._live())
        client = client_of(calls, channel, caller, self._conferring(), self._numbering())
        if client:
            await call.set("PEREZVON_PEER", client)
        log.info("conference: a second call was looked for", channel=channel, client=client, live=len(calls))


def client_of(calls: Iterable[Call], channel: str, caller: str, conferring: Collection[str], numbering: Numbering) -> str:
    """The channel of the one client whom this caller can mean, or "".

    Those come into question who talk with somebody behind the same peer. Of several the caller's number decides: it is the
    employee's extension, or the company's number that the call is about.
    """
    peer = parse(channel).peer
    found = [
        (call, manager, client)
        for call in calls
        if call.direction is not Direction.INTERNAL
        and (manager := _talking(call, Party.EMPLOYEE, peer)) is not None
        and (client := _talking(call, Party.CLIENT)) is not None
        and manager.channel != channel
        and not {manager.channel, client.channel} & set(conferring)
    ]
    if len(found) > 1:
        number = numbering.international(caller)
        of_him = [one for one in found if caller and one[1].extension == caller]
        found = of_him or [one for one in found if number and one[0].line == number]
    return found[0][2].channel if len(found) == 1 else ""


def _talking(call: Call, party: Party, peer: str = "") -> Leg | None:
    return next(
        (
            leg
            for leg in reversed(call.legs)
            if leg.party is party
            and leg.ended is None
            and leg.answered is not None
            and (not peer or parse(leg.channel).peer == peer)
        ),
        None,
    )
