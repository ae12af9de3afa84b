"""Channel names and dial strings, taken apart. Pure text, no state.

A channel is `TECH/peer-unique` (`PJSIP/101-0000002a`, `IAX2/office-1187`, `DAHDI/i1/79161234567-1b`) or one half of a Local
pair, `Local/exten@context-unique;1`. Source: https://docs.asterisk.org/Fundamentals/Key-Concepts/Channels/
"""

from __future__ import annotations

import re
from typing import NamedTuple

LOCAL = "Local"

HELPERS = frozenset(
    {
        "Announcer",
        "Audiosocket",
        "AudioSocket",
        "Bridge",
        "CBAnn",
        "CBRec",
        "Message",
        "MulticastRTP",
        "Recorder",
        "Snoop",
        "Surrogate",
        "UnicastRTP",
        "WebSocket",
    }
)
"""Channels that Asterisk makes for itself (conference announcer, recorder, spy, media socket): nobody's phone."""

ANALOG = frozenset({"DAHDI", "Zap", "MISDN", "mISDN", "CAPI", "Khomp", "OOH323", "H323", "VPB", "Phone", "Console"})
"""Technologies whose "peer" is a port or a span and tells nothing about an extension."""

_PREFIX = re.compile(r"^(?:AsyncGoto|Parked|Bridge|Transfered|Masq)/(?=\w+/)")
_SUFFIX = re.compile(r"<(?:ZOMBIE|MASQ)>")
_USER = re.compile(r"^sips?:([^@;:]+)")


class Name(NamedTuple):
    """`peer`: the endpoint (`101`, `multifon`), of a Local channel its exten. `half`: 1 or 2 of a Local channel, else 0."""

    tech: str
    peer: str
    context: str
    half: int


def parse(name: str) -> Name:
    """Never fails: a name of no known form gives an empty technology."""
    plain = _SUFFIX.sub("", _PREFIX.sub("", name))
    tech, slash, rest = plain.partition("/")
    if not slash:
        return Name("", plain, "", 0)
    if tech == LOCAL:
        body, _, half = rest.rpartition(";")
        body = body or rest
        body = body.rpartition("-")[0] or body
        exten, _, context = body.partition("@")
        return Name(LOCAL, exten, context, 1 if half == "1" else 2 if half == "2" else 0)
    peer = rest.rpartition("-")[0] or rest
    return Name(tech, peer.partition("/")[0], "", 0)


def number_on(port: str) -> str:
    """The number in the name of a channel of an ISDN span: `DAHDI/i1/79161234567-1b` -> `79161234567`."""
    rest = _SUFFIX.sub("", port).partition("/")[2]
    return rest.rpartition("-")[0].partition("/")[2]


def dialled_number(dial_string: str, peer: str) -> str:
    """The number that a dial string asks a trunk for, or "" when it names a phone and nothing else.

    `79161234567@multifon`, `multifon/79161234567`, `g0/79161234567`, `multifon/sip:79161234567@sbc.example` name a number;
    `101`, `101/sip:101@10.0.0.5:5060`, `101/101/10.0.0.5` name a phone.
    """
    text = dial_string.partition("!")[0]
    first, slash, rest = text.partition("/")
    if slash and "@" not in first:
        wanted = rest.partition("/")[0]
        if user := _USER.match(rest):
            wanted = user[1]
        wanted = wanted.partition("@")[0]
        return "" if wanted in {peer, first} else wanted
    if slash:  # IAX2/user:secret@peer/number@context
        return rest.partition("@")[0]
    left, at, right = text.partition("@")
    if at and left != right:
        return left if left != peer else ""
    return ""
