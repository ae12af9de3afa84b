"""Settings of the FastAGI server, which the dialplan asks: `[agi]`."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated

from pydantic import AfterValidator, Field

from perezvon.rules.vocabulary import Reason
from perezvon.settings.addresses import NetworkName
from perezvon.settings.errors import Wrong
from perezvon.settings.section import Section

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):(?P<port>\d{1,5})")


def _place(text: str) -> str:
    found = _PLACE.fullmatch(text)
    if text and (found is None or not 0 < int(found["port"]) < 65536):
        raise Wrong(Reason("must be a host and a port, e.g. 127.0.0.1:4573"))
    return text


class AgiSettings(Section):
    """Where the PBXs ask what a caller shall hear and whom a code means."""

    bind: Annotated[str, AfterValidator(_place)] = Field(
        default="127.0.0.1:4573",
        min_length=1,
        title="Address",
        description="Where the FastAGI server listens.",
        examples=["10.0.0.2:4573"],
    )
    reached_at: Annotated[str, AfterValidator(_place)] = Field(
        default="",
        title="Address for the PBXs",
        description="How the PBXs reach it, as their dialplan names it. Empty: the address above.",
        examples=["perezvon.example.com:4573"],
    )
    allow: tuple[NetworkName, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        title="Allowed PBXs",
        description="Addresses and networks that may ask. The protocol has no password: name the PBXs only.",
        examples=[["127.0.0.0/8", "10.0.0.5"]],
    )
    calls: int = Field(
        default=500,
        ge=1,
        le=10_000,
        title="Calls at the same time",
        description="More than these are sent on at once, without a menu.",
        examples=[500],
    )

    @property
    def host(self) -> str:
        return self.bind.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.bind.rpartition(":")[2])

    @property
    def url(self) -> str:
        """`agi://HOST:PORT`, to which the dialplan adds the PBX's name and the script."""
        return f"agi://{self.reached_at or self.bind}"

    def networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(network) for network in self.allow)
