"""Whether the fields that are to be filled can be, by what the portal says of its fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from perezvon.rules.field_values import FieldType, Refused, converted
from perezvon.rules.policy import FieldRule
from perezvon.rules.templates import filled, finished, places_of
from perezvon.rules.vocabulary import Reason

Types = Mapping[str, Mapping[str, FieldType]]
"""By object (lead, contact, …) and the field's name."""


@dataclass(frozen=True, slots=True)
class CrmKnown:
    """What the portal has told of its CRM. `mode`: 1 with leads, 2 without, 0 not told. `types`: of the objects that were
    asked for."""

    mode: int = 0
    types: Types = field(default_factory=dict[str, Mapping[str, FieldType]])

    def type_of(self, of: str, name: str) -> FieldType | None:
        return self.types.get(of, {}).get(name)


def wrong_fields(rules: Sequence[FieldRule], known: CrmKnown) -> Iterator[tuple[int, Reason]]:
    """The place in the list, and what is wrong. Nothing for objects of which the portal has told nothing."""
    for place, rule in enumerate(rules):
        if rule.of == "lead" and known.mode == 2:
            yield place, Reason("the portal has no leads (simple CRM mode): use contact or deal")
            continue
        fields = known.types.get(rule.of)
        if fields is None:
            continue
        told = {"object": rule.of, "field": rule.name}
        type_ = fields.get(rule.name)
        if type_ is None:
            near = get_close_matches(rule.name, fields, 3, 0.7)
            titled = [name for name, one in fields.items() if one.title and one.title.casefold() == rule.name.casefold()]
            meant = {**told, "meant": ", ".join([*titled, *near])}
            if titled or near:
                yield place, Reason("the {object} has no field {field} in the portal; there is {meant}", meant)
            else:
                yield place, Reason("the {object} has no field {field} in the portal", told)
        elif type_.read_only:
            yield place, Reason("the field {field} of the {object} is kept by the portal itself", told)
        else:
            yield from ((place, reason) for reason in _unfit(rule, type_))


def _unfit(rule: FieldRule, type_: FieldType) -> Iterator[Reason]:
    """A type that no text can be; a fixed text that does not fit."""
    text = "" if places_of(rule.template) else finished(filled(rule.template, {}), {})
    sample = text or "1"
    value = converted(sample, type_, rule.name)
    if isinstance(value, Refused) and (text or "{value}" not in value.why.text):
        yield value.why
