"""Who is who: an employee's phone, or somebody outside; told from names, numbers and what was seen of a peer before.

With the usual naming (`PJSIP/101`, numbering of the settings) the name decides. Where accounts have names of their own
(`SIP/150010001` with caller id 201), the evidence is collected: a peer that is dialled without a number is a phone, one
that calls with its own account name is a phone, one that is asked for a number is a trunk.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from perezvon.calls.channels import RING, Channel
from perezvon.calls.names import ANALOG, dialled_number, number_on
from perezvon.calls.numbering import Numbering

PEERS_KEPT = 4096
_FROM_OUTSIDE = re.compile(
    r"inbound|incoming|from-(?:pstn|trunk|did|external|outside|zaptel|dahdi|carrier)|ext-did|perezvon-(?:in|menu|menu-keys)$",
    re.IGNORECASE,
)
_NUMBER_IN_NAME = re.compile(r"\d+")
_OUTSIDE_NUMBER = re.compile(r"^\+?\d{5,15}$")


@dataclass(frozen=True, slots=True)
class Who:
    """`employee`: with `number` as the extension; else somebody outside with `number` as dialled or shown ("" hidden)."""

    employee: bool
    number: str
    own: bool = True
    """False when an employee's extension is but his account's name, for want of better knowledge."""


@dataclass(slots=True)
class Peer:
    phone: bool = False
    trunk: bool = False
    extension: str = ""


class Peers:
    """What has been learned of the peers of one PBX. Bounded: the longest unseen is forgotten."""

    def __init__(self, numbering: Numbering) -> None:
        self.numbering = numbering
        self.known: dict[str, Peer] = {}

    def about(self, name: str) -> Peer | None:
        return self.known.get(name)

    def learn(self, name: str, *, phone: bool = False, trunk: bool = False, extension: str = "") -> None:
        if not name or self.numbering.is_extension(name):
            return
        peer = self.known.get(name)
        if peer is None:
            if len(self.known) >= PEERS_KEPT:
                del self.known[next(iter(self.known))]
            peer = self.known[name] = Peer()
        peer.phone = (peer.phone or phone) and not trunk
        peer.trunk = (peer.trunk or trunk) and not peer.phone
        peer.extension = extension or peer.extension

    def ignored(self, channel: Channel) -> bool:
        return channel.helper or (not channel.local and channel.peer in self.numbering.ignored_peers)

    def is_trunk(self, peer: str) -> bool:
        """Told by the settings; or, where they name no trunks, by evidence."""
        if self.numbering.trunks:
            return peer in self.numbering.trunks
        known = self.known.get(peer)
        return known is not None and known.trunk

    def watch_caller(self, channel: Channel) -> None:
        """A caller id was set on a channel that nobody dialled: it may tell an account's extension."""
        if channel.dialled or channel.local or channel.tech in ANALOG or self.is_trunk(channel.peer):
            return
        number = channel.number
        if number and number == channel.peer:
            self.learn(channel.peer, phone=True)
        elif channel.state == RING and self.numbering.is_extension(number) and not self.from_outside(channel):
            self.learn(channel.peer, phone=True, extension=number)

    def meet(self, channel: Channel) -> None:
        """A new channel that nobody dialled. A peer that was taken for a phone because one call of it showed an extension,
        and that now shows a number of outside, is a trunk on which somebody with a short number called (a bank, a taxi).
        So is one that was dialled without a number once, when it comes in where calls from outside do."""
        known = self.known.get(channel.peer)
        if known is None or not known.phone or channel.local or channel.state != RING:
            return
        if not known.extension and not self.from_outside(channel):
            return
        numbering, number = self.numbering, channel.number
        outside = _OUTSIDE_NUMBER.match(number) and number != channel.peer and not numbering.is_extension(number)
        if outside and numbering.international(number) not in numbering.lines:
            del self.known[channel.peer]

    def from_outside(self, channel: Channel) -> bool:
        return _FROM_OUTSIDE.search(channel.context) is not None

    def caller(self, channel: Channel) -> Who:
        """Who placed a call on this channel (nobody dialled it)."""
        numbering = self.numbering
        if channel.local:
            return self._caller_behind_local(channel)
        if channel.peer in numbering.portals:
            return self._behind_portal(channel, channel.number)
        if channel.peer in numbering.trunks:
            return Who(False, channel.number)
        if channel.tech not in ANALOG:
            if numbering.is_extension(channel.peer) and not self.from_outside(channel):
                return Who(True, channel.peer)
            known = self.known.get(channel.peer)
            if known is not None and known.phone:
                return Who(True, known.extension or channel.peer, bool(known.extension))
            if known is not None and known.trunk:
                return Who(False, channel.number)
        if numbering.is_extension(channel.number) and not self.from_outside(channel) and channel.peer != "anonymous":
            return Who(True, channel.number)
        return Who(False, channel.number)

    def _caller_behind_local(self, channel: Channel) -> Who:
        if self.numbering.is_extension(channel.number):
            return Who(True, channel.number)
        return Who(False, channel.number)

    def callee(self, channel: Channel, siblings: Iterable[Channel]) -> Who:
        """Whom a dial to this channel (not a Local one) rings. `siblings`: the other channels of the call: a number that
        several of them bear is a group's."""
        numbering = self.numbering
        peer = channel.peer
        wanted = dialled_number(channel.dial_string, peer)
        if peer in numbering.portals:
            return self._behind_portal(channel, wanted)
        if peer in numbering.trunks:
            return Who(False, wanted or number_on(channel.name) or channel.number)
        if channel.tech in ANALOG:
            wanted = wanted or number_on(channel.name)
            if not wanted and numbering.is_extension(channel.number):
                return Who(True, channel.number)
            return Who(False, wanted or channel.number)
        if numbering.is_extension(peer) and not _OUTSIDE_NUMBER.match(wanted):
            return Who(True, peer)
        known = self.known.get(peer)
        if wanted and not (known is not None and known.phone):
            self.learn(peer, trunk=True)
            return Who(False, wanted)
        if known is not None and known.extension:
            return Who(True, known.extension)
        if not channel.dial_string and not (known is not None and known.phone):
            if known is not None and known.trunk:
                return Who(False, channel.number)
            return Who(True, channel.number) if numbering.is_extension(channel.number) else Who(False, channel.number)
        self.learn(peer, phone=True)
        if numbering.is_extension(channel.number) and not _shared(channel, siblings):
            return Who(True, channel.number, own=False)
        return Who(True, peer, own=False)

    def _behind_portal(self, channel: Channel, number: str) -> Who:
        """An employee in the portal: by his extension where that is told, else by the name of the connector's peer."""
        extension = self.numbering.is_extension(number)
        return Who(True, number if extension else channel.peer, own=extension)

    def behind_local(self, exten: str) -> Who | None:
        """Whom a Local channel stands for whose dialplan plays the phone: an employee, a number outside, or nobody."""
        extension = self.local_extension(exten)
        if extension:
            return Who(True, extension)
        return Who(False, exten) if _OUTSIDE_NUMBER.match(exten) else None

    def local_extension(self, exten: str) -> str:
        """The extension that a Local channel stands for (`101`, FreePBX's `FMPR-101`, `RG-600-101`, `FMGL-101#`), or ""."""
        if self.numbering.is_extension(exten):
            return exten
        if exten[:1].isalpha():
            numbers = _NUMBER_IN_NAME.findall(exten)
            if "-" in exten and numbers and self.numbering.is_extension(numbers[-1]):
                return numbers[-1]
        return ""

    def relabel(self, extension: str) -> str:
        """The extension of an account that was told by its name before its extension was known."""
        known = self.known.get(extension)
        return known.extension if known is not None and known.extension else extension


def _shared(channel: Channel, siblings: Iterable[Channel]) -> bool:
    """Whether the number that a dialled phone bears is that of a group: several phones, or several branches, bear it."""
    branches: set[str] = set()
    for sibling in siblings:
        if sibling.number != channel.number or sibling.uid == channel.uid:
            continue
        if sibling.half == 1:
            if sibling.source in branches:
                return True
            branches.add(sibling.source)
        elif not sibling.local and sibling.peer != channel.peer:
            return True
    return False
