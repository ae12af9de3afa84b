"""Settings of what a call leaves in the CRM and tells in the business chat: `[crm]`, `[chat]` (docs/crm.md)."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from perezvon.rules.after_call import DESCRIPTION
from perezvon.rules.call_words import PLACES
from perezvon.rules.field_check import CrmKnown
from perezvon.rules.policy import FieldRule
from perezvon.rules.templates import LATE, BadTemplate, parse, places_of
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.offered import TALK, Offered, What
from perezvon.settings.portal import UserId
from perezvon.settings.section import SECONDS, Section, span

MOST_FIELDS = 100

_KEPT_BY_PORTAL = frozenset(
    [
        *("ID", "DATE_CREATE", "DATE_MODIFY", "CREATED_BY_ID", "MODIFY_BY_ID", "MOVED_BY_ID", "MOVED_TIME", "CREATED"),
        *("LAST_UPDATED", "OWNER_ID", "OWNER_TYPE_ID", "TYPE_ID", "PROVIDER_ID", "PROVIDER_TYPE_ID", "BINDINGS"),
        "COMMUNICATIONS",
    ]
)


def _template(text: str) -> str:
    try:
        parse(text, PLACES)
    except BadTemplate as bad:
        raise Wrong(bad.reason) from None
    return text


def _field_name(text: str) -> str:
    if re.fullmatch(r"[A-Z][A-Z0-9_]{0,79}", text, re.ASCII) is None:
        raise Wrong(Reason("must be the field's name in capitals, e.g. UF_CRM_1700000000 or UTM_SOURCE"))
    return text


def _dialog(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value and re.fullmatch(r"(chat)?[1-9]\d{0,14}", value, re.ASCII) is None:
        raise Wrong(Reason("must be a chat as chat12 (its address ends so), or the number of a portal user"))
    return value


Template = Annotated[str, AfterValidator(_template)]
Dialog = Annotated[str, BeforeValidator(_dialog), TALK]


class FieldSettings(Section):
    """One field that is filled."""

    of: Literal["lead", "contact", "company", "deal", "activity"] = Field(
        title="Object",
        description="Whose field it is. activity: the call itself in the timeline; deal: the one that the call has made, "
        "else the client's newest open deal.",
        examples=["lead"],
    )
    name: Annotated[str, AfterValidator(_field_name), Offered(What.FIELD, beside="of")] = Field(
        title="Field",
        description="Its name in the portal's REST: TITLE, COMMENTS, UTM_SOURCE, UF_CRM_… It is looked up in the portal's "
        "list of fields when the settings are saved.",
        examples=["UF_CRM_1700000000"],
    )
    value: Template = Field(
        min_length=1,
        title="Value",
        description="A text with places such as {line.name}, {client}, {menu}, {waited}, {talked}, {recording}, and "
        "filters such as {client_name|default:unknown}: all of them are in crm.md. An empty value changes nothing.",
        examples=["{line.name}, key {menu.last|default:none}"],
    )
    existing: Literal["keep", "overwrite", "add"] = Field(
        default="keep",
        title="If there is a value",
        description="keep: it stays; overwrite: it is replaced; add: the text is written below it. Of a field with several "
        "values all stay, and a new one is added.",
        examples=["overwrite"],
    )
    objects: Literal["new", "all"] = Field(
        default="all",
        title="Which objects",
        description="new: only those that the call has made; all: also those that were there before.",
        examples=["new"],
    )

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.name in _KEPT_BY_PORTAL:
            reason = Reason("the field {field} is kept by the portal itself", {"field": self.name})
            raise Wrong(reason, ("name",))
        if (self.of, self.name) == ("activity", DESCRIPTION) and places_of(parse(self.value, PLACES)) & LATE:
            reason = Reason(
                "the activity's DESCRIPTION is written before {places} are known", {"places": ", ".join(sorted(LATE))}
            )
            raise Wrong(reason, ("value",))
        return self


class CrmSettings(Section):
    """What a call leaves in the CRM when it is over."""

    lead_responsible: Literal["call", "first", "last", "longest", "fixed"] = Field(
        default="call",
        title="Responsible for a new lead",
        description="Of the employees who talked: call: whom the call belongs to (see responsible in [calls]: the last "
        "one, if not set otherwise); first, last; longest: who talked longest; fixed: lead_user. A line may have a "
        "lead_user of its own. The same goes for the contact and the deal of a portal without leads.",
        examples=["first"],
    )
    lead_user: UserId = Field(
        default="",
        title="User for new leads",
        description="The id of the portal user who gets all new leads, with lead_responsible = fixed.",
        examples=["1"],
    )
    hand_over: bool = Field(
        default=False,
        title="Hand over",
        description="Whether a lead, contact or company that was there before goes to the employee who talked. Otherwise "
        "it keeps its responsible.",
        examples=[True],
    )
    bind_deals: Literal["off", "newest", "all"] = Field(
        default="off",
        title="Bind to deals",
        description="To which of the client's open deals the call's activity is bound, besides what the portal does "
        "itself.",
        examples=["newest"],
    )
    bind_leads: Literal["off", "newest", "all"] = Field(
        default="off",
        title="Bind to repeat leads",
        description="The same for the open leads of a client who is a contact or company already.",
        examples=["all"],
    )
    wait_for_recording: float = span(
        45.0,
        most=3600,
        unit=SECONDS,
        title="Wait for the recording",
        description="How long a message or a field that names the {recording} waits until the portal has it.",
        example=45,
    )
    field: tuple[FieldSettings, ...] = Field(
        default=(),
        max_length=MOST_FIELDS,
        title="Fields",
        description="Fields of leads, contacts, companies, deals and activities that are filled with what is known of the "
        "call (crm.md).",
    )

    @model_validator(mode="after")
    def _has_user(self) -> Self:
        if self.lead_responsible == "fixed" and not self.lead_user:
            raise Wrong(Reason("is needed with lead_responsible = fixed"), ("lead_user",))
        return self


class ChatSettings(Section):
    """What is told in the business chat."""

    leads: Dialog = Field(
        default="",
        title="Where new leads are told",
        description="A chat (chat12, as its address says; the user in whose name we speak must be in it), or the id of a "
        "user, who gets a notification. Empty: nowhere. The webhook or application needs the permission im.",
        examples=["chat12"],
    )
    leads_text: Template = Field(
        default="",
        title="Text for a new lead",
        description="With the places of crm.md, among them {link} to the lead and {recording}. A line whose places are all "
        "empty is left out. Empty: the usual one, in the portal's language.",
        examples=["{object}: {client}, {line}\n{link}"],
    )
    missed: Dialog = Field(
        default="",
        title="Where missed calls are told",
        description="The same for calls that nobody answered. Empty: nowhere.",
        examples=["chat12"],
    )
    missed_text: Template = Field(
        default="",
        title="Text for a missed call",
        description="With the same places. Empty: the usual one.",
        examples=["Missed: {client}, {line}"],
    )
    report: bool = Field(
        default=False,
        title="The portal's own message",
        description="Whether the portal itself puts each call into the employee's chat (ADD_TO_CHAT).",
        examples=[True],
    )


def field_rules(crm: CrmSettings, known: CrmKnown) -> tuple[FieldRule, ...]:
    """The fields that are filled, with their types as far as they are known."""
    return tuple(
        FieldRule(one.of, one.name, parse(one.value, PLACES), one.existing, one.objects, known.type_of(one.of, one.name))
        for one in crm.field
    )
