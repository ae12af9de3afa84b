"""What the tracker is fed with: events of a PBX, its whole state after a (re)connect, and calls that we place ourselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Event:
    """One AMI event.

    `at` is POSIX seconds, UTC (header `Timestamp`, else the moment of arrival). `headers` maps the lower-cased header name
    to its first value; `variables` holds the `ChanVariable` headers (`NAME=value`) of the event's own channel.
    Source: https://docs.asterisk.org/Asterisk_22_Documentation/API_Documentation/AMI_Events/
    """

    name: str
    at: float
    headers: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    def __getitem__(self, header: str) -> str:
        """The header's value, or an empty string: AMI says "nothing" in both ways."""
        return self.headers.get(header, "")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a PBX, as told by its list actions right after login (or after a lost connection).

    `channels`: the `CoreShowChannel` entries merged with those of `Status`, keyed by lower-cased header names.
    `bridges`: bridge unique id -> names of the channels inside (`BridgeInfo`).
    `waiting`: queue name -> names of the channels waiting (`QueueEntry`).
    `restarted`: the PBX has been restarted since we last saw it, so that every older call is over.
    """

    at: float
    channels: tuple[Mapping[str, str], ...]
    bridges: Mapping[str, tuple[str, ...]]
    waiting: Mapping[str, tuple[str, ...]]
    restarted: bool = False


@dataclass(frozen=True, slots=True)
class ExpectedCall:
    """A call that we are about to place (click-to-call), told to the tracker before the Originate is sent.

    `uniqueid` is the `ChannelId` given in the Originate action: the employee's leg will bear it.
    `client` is the number to be dialled, raw.
    """

    at: float
    uniqueid: str
    extension: str
    client: str
