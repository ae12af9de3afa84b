"""What a setting names that the portal knows: an employee, his extension, a field or a source of the CRM. Marks on the
settings' types, for whoever lets people choose instead of type (the settings' pages). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, get_args, get_origin

from pydantic.fields import FieldInfo


class What(StrEnum):
    """USER: a portal user's id. TALK: the same, or a chat. FIELD: a field of the CRM object that a neighbour names."""

    USER = "user"
    EXTENSION = "extension"
    TALK = "talk"
    FIELD = "field"
    SOURCE = "source"


@dataclass(frozen=True, slots=True)
class Offered:
    """`beside`: of a FIELD, the setting beside it that names the object."""

    what: What
    beside: str = ""


USER = Offered(What.USER)
EXTENSION = Offered(What.EXTENSION)
TALK = Offered(What.TALK)
SOURCE = Offered(What.SOURCE)


def offered(info: FieldInfo) -> Offered | None:
    """The mark of a setting, or of each entry of a list."""
    return next((mark for mark in _marks(info) if isinstance(mark, Offered)), None)


def _marks(info: FieldInfo) -> Iterator[Any]:
    yield from info.metadata
    if get_origin(info.annotation) is tuple:
        yield from get_args(get_args(info.annotation)[0])[1:]
