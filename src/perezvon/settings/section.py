"""What all sections of the settings share: strictness, immutability, and the words that describe a setting.

Titles and descriptions are gettext message ids (English); their Russian stands in web/locale. The web forms, the generated
documentation and the error messages all take them from here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import Formatter
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.offered import USER

SECONDS: Final[dict[str, Any]] = {"unit": "seconds"}
MINUTES: Final[dict[str, Any]] = {"unit": "minutes"}
DAYS: Final[dict[str, Any]] = {"unit": "days"}
HOURS: Final[dict[str, Any]] = {"unit": "hours"}
BYTES: Final[dict[str, Any]] = {"unit": "bytes"}
KBIT: Final[dict[str, Any]] = {"unit": "kbit/s"}
PER_SECOND: Final[dict[str, Any]] = {"unit": "requests a second"}
REQUESTS: Final[dict[str, Any]] = {"unit": "requests"}


class Section(BaseModel):
    """Unknown keys, and values of another type, are mistakes. `hide_input_in_errors`: an input may be a secret."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
        revalidate_instances="never",
    )


def section(model: type[Section], *, title: str, description: str) -> Any:
    """A section that is there even where nothing of it is set."""
    return Field(default_factory=model, title=title, description=description)


def span(default: float, *, most: float, unit: dict[str, Any], title: str, description: str, example: float) -> Any:
    """A time that may be 0. `default`, `most` and `example` are in the unit."""
    return Field(
        default=default,
        ge=0,
        le=most,
        title=title,
        description=description,
        examples=[example],
        json_schema_extra=unit,
    )


def _name(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,49}", text) is None:
        raise Wrong(Reason("a name has Latin letters, digits, - and _ only (at most 50), the first a letter or a digit"))
    return text


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise Wrong(Reason("is no regular expression: {why}", {"why": str(error)})) from None
    return text


def _absolute(text: str) -> str:
    if text and not text.startswith("/"):
        raise Wrong(Reason("must be an absolute path, beginning with /"))
    return text


def _http_url(text: str) -> str:
    if text and re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text) is None:
        raise Wrong(Reason("must be an address like https://pbx.example.com"))
    return text.rstrip("/")


def _time_zone(name: str) -> str:
    try:
        return name and ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Wrong(Reason("must be the name of a time zone, e.g. Europe/Moscow")) from None


def _one_line(text: str) -> str:
    if any(ord(character) < 32 for character in text):
        raise Wrong(Reason("must be one line, without control characters"))
    return text


def _user_id(value: object) -> object:
    """The portal's ids are numbers that its REST answers with as text: both are taken."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and value and re.fullmatch(r"[1-9]\d{0,14}", value) is None:
        raise Wrong(Reason("must be the number of a portal user, e.g. 1"))
    return value


def _places(text: str, places: Sequence[str]) -> list[tuple[str, str | None, str | None]]:
    """The places that are used, each with its width and conversion."""
    try:
        used = [part[1:] for part in Formatter().parse(text)]
    except ValueError:
        raise Wrong(Reason("the braces do not pair up; known places are {places}", _known(places))) from None
    found = [(place, spec, conversion) for place, spec, conversion in used if place is not None]
    if any(place not in places for place, _, _ in found):
        raise Wrong(Reason("there is an unknown place in braces; known places are {places}", _known(places)))
    return found


def _known(places: Sequence[str]) -> dict[str, str]:
    return {"places": ", ".join(f"{{{place}}}" for place in places)}


def template(*places: str) -> AfterValidator:
    """A line with `{place}`s, of which only these are known."""

    def check(text: str) -> str:
        _places(text, places)
        return _one_line(text)

    return AfterValidator(check)


def plain_template(places: Sequence[str]) -> AfterValidator:
    """A text with plain `{place}`s only: neither attributes nor widths, which could make it as large as they like."""

    def check(text: str) -> str:
        if any(spec or conversion for _, spec, conversion in _places(text, places)) or "{{" in text or "}}" in text:
            raise Wrong(Reason("there is an unknown place in braces; known places are {places}", _known(places)))
        return text

    return AfterValidator(check)


Name = Annotated[str, AfterValidator(_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]
AbsolutePath = Annotated[str, AfterValidator(_absolute)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]
OneLine = Annotated[str, AfterValidator(_one_line)]
PortalId = Annotated[str, BeforeValidator(_user_id)]
UserId = Annotated[PortalId, USER]
