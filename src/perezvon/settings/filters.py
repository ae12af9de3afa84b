"""The settings of what the portal is not told: black and white lists of extensions, lines and clients (docs/filters.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Protocol, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.rules.number_lists import BadPattern, Pattern, client_pattern, extension_pattern, number_pattern
from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.section import Section, section

MOST = 2000
"""NumberList in a list."""


class Chosen(Protocol):
    """The two lists of a section."""

    @property
    def only(self) -> tuple[str, ...]: ...

    @property
    def never(self) -> tuple[str, ...]: ...


def _written_as(read: Callable[[str], Pattern]) -> AfterValidator:
    def check(text: str) -> str:
        try:
            read(text)
        except BadPattern as bad:
            raise Wrong(bad.reason) from None
        return text

    return AfterValidator(check)


def _short_enough(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) > MOST:
        raise Wrong(Reason("has more than {most} entries", {"most": str(MOST)}))
    return texts


def _apart(chosen: Chosen, read: Callable[[str], Pattern]) -> None:
    """What is allowed and forbidden at once is a slip."""
    allowed = {(one.plain, one.begins, one.ends) for one in map(read, chosen.only)}
    for index, text in enumerate(chosen.never):
        one = read(text)
        if (one.plain, one.begins, one.ends) in allowed:
            raise Wrong(Reason("{pattern} is in both lists, only and never", {"pattern": text}), ("never", index))


ExtensionPattern = Annotated[str, _written_as(extension_pattern)]
NumberPattern = Annotated[str, _written_as(number_pattern)]
ClientPattern = Annotated[str, _written_as(client_pattern)]


class ExtensionFilter(Section):
    """Employees, by their extensions."""

    only: Annotated[tuple[ExtensionPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Only these",
        description="White list: when there is anything in it, all other employees are left out. A range is written "
        "100-199.",
        examples=[["100-199", "305"]],
    )
    never: Annotated[tuple[ExtensionPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Never these",
        description="Black list: these employees have no card, and calls in which nobody else takes part are not told. It "
        "goes before the white list.",
        examples=[["150", "9*"]],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _apart(self, extension_pattern)
        return self


class LineFilter(Section):
    """The company's numbers."""

    only: Annotated[tuple[NumberPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Only these",
        description="White list: when there is anything in it, only calls through these numbers of the company are told. A "
        "call of which the PBX does not say the company's number is not among them.",
        examples=[["+74951234567", "8800*"]],
    )
    never: Annotated[tuple[NumberPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Never these",
        description="Black list: calls through these numbers of the company are not told. It goes before the white list.",
        examples=[["+74957654321"]],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _apart(self, number_pattern)
        return self


class ClientFilter(Section):
    """Clients, by their numbers."""

    only: Annotated[tuple[ClientPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Only these",
        description="White list: when there is anything in it, only calls of and to these clients are told.",
        examples=[["+7*"]],
    )
    never: Annotated[tuple[ClientPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Never these",
        description="Black list: calls of and to these clients are not told; the word hidden stands for callers who hide "
        "their number. It goes before the white list.",
        examples=[["8 (495) 123-45-67", "+7800*", "hidden"]],
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        _apart(self, client_pattern)
        return self


class FilterSettings(Section):
    """What is left out."""

    extensions: ExtensionFilter = section(
        ExtensionFilter, title="Employees' extensions", description="Which employees' calls are told."
    )
    lines: LineFilter = section(LineFilter, title="Company's numbers", description="Through which numbers calls are told.")
    clients: ClientFilter = section(ClientFilter, title="Clients' numbers", description="Which clients' calls are told.")
    staff: Annotated[tuple[NumberPattern, ...], AfterValidator(_short_enough)] = Field(
        default=(),
        title="Colleagues' own phones",
        description="Besides those in the portal's profiles. Calls from and to them are told, but no lead and no task is "
        "made of them.",
        examples=[["+79161234567", "+7926500*"]],
    )
