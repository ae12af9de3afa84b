"""How calls are understood and reported: `[calls]`."""

from __future__ import annotations

from typing import Annotated, Literal

import phonenumbers
from pydantic import AfterValidator, Field

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import SECONDS, OneLine, Pattern, Section


def _region(text: str) -> str:
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise Wrong(Reason("must be a country's two capital letters, e.g. RU, KZ, BY"))
    return text


class CallSettings(Section):
    """How calls are understood and reported."""

    extension_pattern: Pattern = Field(
        default=r"^\d{2,4}$",
        title="Extensions",
        description="A regular expression that tells an employee's extension from any other number.",
        examples=[r"^\d{3}$"],
    )
    region: Annotated[str, AfterValidator(_region)] = Field(
        default="RU",
        title="Country",
        description="Where numbers without a country code are at home.",
        examples=["RU"],
    )
    internal: bool = Field(
        default=False,
        title="Internal calls",
        description="Whether calls between employees go to the portal too.",
        examples=[False],
    )
    create_lead_incoming: bool = Field(
        default=True,
        title="Lead for an unknown caller",
        description="Whether the portal makes a lead (or what its own rules say) for a call of an unknown number.",
        examples=[True],
    )
    create_lead_outgoing: bool = Field(
        default=True,
        title="Lead for an unknown callee",
        description="The same for an outgoing call to an unknown number.",
        examples=[True],
    )
    show_card: bool = Field(
        default=True,
        title="Client's card",
        description="Whether the client's card appears on the screen of whoever is being rung.",
        examples=[True],
    )
    card_expires: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        title="Card's shelf life",
        description="A card that could not be shown within this time is not shown any more.",
        examples=[30],
        json_schema_extra=SECONDS,
    )
    responsible: Literal["first", "last", "longest"] = Field(
        default="last",
        title="Responsible for an answered call",
        description="Of several employees who talked: the first, the last, or whoever talked longest.",
        examples=["last"],
    )
    transfers: Literal["one", "each"] = Field(
        default="one",
        title="Transferred calls",
        description="one: a single portal call, whoever talks; each: a transfer finishes the portal call of whoever talked "
        "so far, with the duration of that talk, and the next employee gets a portal call of his own.",
        examples=["each"],
    )
    describe: bool = Field(
        default=True,
        title="Menu and conference in the CRM",
        description="Whether the call's activity tells what was heard and pressed in the voice menu, and which third "
        "persons a manager brought into the call, by number, name and times. What an employee has written there stays.",
        examples=[False],
    )
    anonymous_number: OneLine = Field(
        default="000000",
        min_length=1,
        title="Number of a hidden caller",
        description="What the portal is told when the caller hides the number: the portal demands one.",
        examples=["000000"],
    )
