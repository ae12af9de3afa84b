"""Settings of number formats: `[[numbers.to_crm]]`, `[[numbers.to_pbx]]`. Document: 000 (3a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.rules.numbers import Towards, check_rule
from perezvon.rules.patterns import LONGEST_PATTERN, UnfitRule, compiled
from perezvon.settings.errors import Wrong
from perezvon.settings.section import OneLine, Section

MOST_RULES = 50


def _match(text: str) -> str:
    try:
        compiled(text)
    except UnfitRule as unfit:
        raise Wrong(unfit.reason) from None
    return text


class NumberRuleSettings(Section):
    """One rule: which numbers, and what becomes of them."""

    match: Annotated[OneLine, AfterValidator(_match)] = Field(
        min_length=1,
        max_length=LONGEST_PATTERN,
        title="Matching numbers",
        description="A regular expression for the whole number: E.164 with its + where the number is understood, else its "
        "digits as they came. Repetitions inside repetitions, looking ahead and references back are refused: they could "
        "take too long.",
        examples=[r"\+7(\d{10})"],
    )
    replace: OneLine = Field(
        min_length=1,
        max_length=100,
        title="What they become",
        description=r"\1 stands for the first group of match, \g<0> for the whole number. Only digits and + go to the CRM, "
        "only digits, *, # and + to the PBX; a result that is anything else is not used, and the call says so.",
        examples=[r"8\1"],
    )
    name: OneLine = Field(
        default="",
        max_length=80,
        title="Name",
        description="How the rule is called where a call tells that it changed a number.",
        examples=["Russian numbers with 8"],
    )
    line: OneLine = Field(
        default="",
        title="Line",
        description="Only for calls of this company number, which stands in a [[line]] (its number or an alias). Empty: "
        "for all calls.",
        examples=["+74951234567"],
    )


class NumbersSettings(Section):
    """How numbers are written for the CRM and for the PBX."""

    to_crm: tuple[NumberRuleSettings, ...] = Field(
        default=(),
        max_length=MOST_RULES,
        title="Numbers for the CRM",
        description="How a client's number is told to the portal. The rules are tried in this order, and the first that "
        "matches decides. Without one: E.164.",
    )
    to_pbx: tuple[NumberRuleSettings, ...] = Field(
        default=(),
        max_length=MOST_RULES,
        title="Numbers for the PBX",
        description="How a number that was clicked in the portal is dialled. The rules are tried in this order, and the "
        "first that matches decides. Without one: the digits of E.164, without its +.",
    )

    @model_validator(mode="after")
    def _replacements_fit(self) -> Self:
        for towards in Towards:
            for index, rule in enumerate(self.rules(towards)):
                try:
                    check_rule(rule.match, rule.replace, towards)
                except UnfitRule as unfit:
                    raise Wrong(unfit.reason, (towards.value, index, unfit.part)) from None
        return self

    def rules(self, towards: Towards) -> Sequence[NumberRuleSettings]:
        return self.to_crm if towards is Towards.CRM else self.to_pbx
