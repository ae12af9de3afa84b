"""Addresses and networks of machines, as settings name them."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong


def _network(text: str) -> str:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        raise Wrong(Reason("must be an address or a network, e.g. 10.0.0.5 or 10.0.0.0/24")) from None
    return text


NetworkName = Annotated[str, AfterValidator(_network)]
"""`10.0.0.5`, `10.0.0.0/24`, `::1`."""
