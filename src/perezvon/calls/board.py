"""The tracker's whole state, and the few moves that every room makes on it: telling facts, finding a channel's call,
moving a channel from call to call, being woken when enough time has passed in the stream of events."""

from __future__ import annotations

import heapq

from perezvon.calls.channels import Channel, Switchboard, known, number_of
from perezvon.calls.events import Event, ExpectedCall
from perezvon.calls.facts import Fact, Recorded
from perezvon.calls.live import LiveCall
from perezvon.calls.numbering import Numbering
from perezvon.calls.parties import Peers

LOOK_AGAIN = 1.0
"""Seconds after which a caller whom only the dialplan has answered is told of (a menu): his number is final by then."""

GONE_FOR_GOOD = 0.5
"""Seconds after which an employee who hung up has left the call, if the call has not ended by then."""


class Board:
    def __init__(self, pbx: str, numbering: Numbering) -> None:
        self.pbx = pbx
        self.numbering = numbering
        self.switch = Switchboard()
        self.peers = Peers(numbering)
        self.calls: dict[str, LiveCall] = {}
        self.by_link: dict[str, str] = {}
        self.expected: dict[str, ExpectedCall] = {}
        self.masquerading: dict[str, str] = {}
        self.wakes: list[tuple[float, str]] = []
        self.emptied: list[str] = []
        self.facts: list[Fact] = []
        self.resyncing = False
        self.rooms: dict[str, str] = {}
        self.retired: dict[str, set[str]] = {}

    def tell(self, call: LiveCall, fact: Fact) -> None:
        """What is known of a call that nobody has been told of waits, where it is still news later."""
        if call.begun:
            self.facts.append(fact)
        elif isinstance(fact, Recorded):
            call.early.append(fact)

    def wake(self, at: float, call: LiveCall) -> None:
        heapq.heappush(self.wakes, (at, call.id))

    def call_of(self, channel: Channel | None) -> LiveCall | None:
        return self.calls.get(channel.call) if channel is not None and channel.call else None

    def call_of_room(self, room: str) -> LiveCall | None:
        """The call of a conference room; a room bears the unique id of the call's first channel."""
        known = self.calls.get(self.rooms.get(room, "")) or self.call_of(self.switch.get(room))
        return known or self.calls.get(f"{self.pbx}-{room}")

    def see(self, event: Event, prefix: str = "") -> Channel | None:
        """The channel that the event's `<prefix>Uniqueid` names, brought up to date; a new one is taken in.

        None when there is none, when it has hung up already, or when it is none of our business.
        """
        headers = event.headers
        channel = self.switch.channels.get(headers.get(prefix + "uniqueid", ""))
        if channel is None:
            channel = self.switch.add(headers, prefix, event.at)
            if channel is None:
                return None
            self.admit(channel)
            if not channel.dialled:
                self.peers.meet(channel)
                self.peers.watch_caller(channel)
        elif not channel.helper:
            number = headers.get(prefix + "calleridnum")
            if number is not None:
                number = known(number)
                if number != channel.number:
                    channel.number = number
                    if not channel.dialled:
                        self.peers.watch_caller(channel)
                channel.caller = known(headers.get(prefix + "calleridname", ""))
        return None if channel.helper else channel

    def admit(self, channel: Channel) -> None:
        """Find the call of a new channel: that of its other half, of its linkedid, or a new one that it places itself."""
        if self.peers.ignored(channel):
            channel.helper = True
            return
        if self.retired and (left := self.retired.get(channel.linkedid)) is not None:
            self.retire(channel, left)
            return
        twin = self.switch.twin(channel)
        call = self.call_of(twin) or self.calls.get(self.by_link.get(channel.linkedid, ""))
        if call is None:
            self.open(channel)
            return
        self.join(channel, call)
        if channel.uid == channel.linkedid and not call.begun and not channel.local:
            self._find_origin(call, channel)

    def _find_origin(self, call: LiveCall, channel: Channel) -> None:
        """The stream was joined half-way, and another channel of the call was seen before the one that placed it."""
        seen = self.switch.get(call.origin)
        if seen is not None and seen.linkedid == channel.uid and not call.originated:
            seen.dialled = True
            call.origin, call.started, call.pair = channel.uid, channel.created, False
            call.dialled, call.client_first = channel.exten, channel.number

    def open(self, channel: Channel) -> LiveCall:
        """A call that this channel places. Nobody is told of it yet."""
        first = self.switch.twin(channel) if channel.half == 2 else None
        origin = first or channel
        origin.placed += 1
        again = f"-{origin.placed}" if origin.placed > 1 else ""
        call = LiveCall(
            id=f"{self.pbx}-{origin.uid}{again}",
            origin=origin.uid,
            started=origin.created,
            links=[channel.linkedid],
            pair=channel.local,
            dialled=channel.exten,
            client_first=channel.number,
        )
        expectation = self.expected.pop(origin.uid, None)
        if expectation is not None:
            call.expected = expectation.uniqueid
            call.placed_by = expectation.extension
            call.client_raw = expectation.client
        self.calls[call.id] = call
        self.by_link[channel.linkedid] = call.id
        self.join(channel, call)
        if first is not None:
            self.join(first, call)
        return call

    def join(self, channel: Channel, call: LiveCall) -> None:
        """Move a channel into a call. A call left without channels is over; one that nobody heard of is dropped."""
        old = self.call_of(channel)
        if old is call:
            return
        channel.call = call.id
        call.members.add(channel.uid)
        if old is not None:
            old.members.discard(channel.uid)
            if not old.members and old.begun:
                self.emptied.append(old.id)
            elif not old.members:
                self.drop(old)

    def retire(self, channel: Channel, left: set[str]) -> None:
        """What this channel does from now on is nobody's call. `left`: those with whom it shares that lot."""
        channel.helper = True
        channel.call = ""
        self.switch.leave(channel)
        left.add(channel.uid)
        self.retired[channel.linkedid] = left

    def retire_members(self, call: LiveCall) -> None:
        """The client has left a conference; whoever talks on there, and whom they ring, is no call of its own."""
        left: set[str] = set()
        for uid in call.members:
            if (channel := self.switch.get(uid)) is not None:
                self.retire(channel, left)
        if left:
            self.retired.update(dict.fromkeys(call.links, left))
        call.members.clear()

    def forget_retired(self, uid: str) -> None:
        for link, left in list(self.retired.items()):
            left.discard(uid)
            if not left:
                del self.retired[link]

    def drop(self, call: LiveCall) -> None:
        """Forget a call; its channels live on without one."""
        self.calls.pop(call.id, None)
        if call.room and self.rooms.get(call.room) == call.id:
            del self.rooms[call.room]
        for link in call.links:
            if self.by_link.get(link) == call.id:
                del self.by_link[link]
        for uid in call.members:
            channel = self.switch.get(uid)
            if channel is not None and channel.call == call.id:
                channel.call = ""
        call.members.clear()

    def state(self, event: Event) -> int:
        return number_of(event["channelstate"])
