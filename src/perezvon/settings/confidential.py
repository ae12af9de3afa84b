"""Secrets as values: a text that no log, page or export shows, possibly a reference to where it is really kept.

A secret is written as itself, as `env:NAME` (an environment variable of the service) or as `file:PATH` (the contents of a
file, without the line break at its end). References stay references: they are followed at each use, so a changed file
needs no change of the settings.

Reads the environment and the referred files, nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, SerializationInfo, ValidationInfo
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import SecretMissing, Wrong

MASK = "********"

_REFERENCE = re.compile(r"(env|file):(.*)", re.DOTALL)
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret:
    """A secret text. `str()`, `repr()` and every serialization show a mask; `reveal()` gives the real thing.

    How it is written and read is told by the context of (de)serialization: `show` is a function of the secret that gives
    the text to write, `unseal` turns what is stored into the plain text (settings/secrets.py).
    """

    __slots__ = ("_raw",)

    example: ClassVar[str] = "env:NAME"

    def __init__(self, raw: str) -> None:
        reference = _REFERENCE.fullmatch(raw)
        if reference is None:
            raw = self.checked(raw)
        elif reference[1] == "env" and _ENV_NAME.fullmatch(reference[2]) is None:
            raise Wrong(Reason("after env: must stand the name of an environment variable, e.g. env:B24_SECRET"))
        elif reference[1] == "file" and not Path(reference[2]).is_absolute():
            raise Wrong(Reason("after file: must stand an absolute path, e.g. file:/etc/perezvon/secret"))
        self._raw = raw

    @classmethod
    def checked(cls, raw: str) -> str:
        """The text as it shall be kept. Raises `Wrong`, whose message never has the text itself in it."""
        if not raw:
            raise Wrong(Reason("must not be empty"))
        return raw

    @property
    def raw(self) -> str:
        """As written in the settings: the secret itself, or the reference."""
        return self._raw

    @property
    def is_reference(self) -> bool:
        return _REFERENCE.fullmatch(self._raw) is not None

    def reveal(self) -> str:
        """The secret text. Raises SecretMissing when the reference leads to nothing or to something unfit."""
        if not self.is_reference:
            return self._raw
        try:
            return self.checked(followed(self._raw))
        except Wrong as wrong:
            raise SecretMissing(
                Reason("what {reference} leads to is unfit: {why}", {"reference": self._raw, "why": str(wrong)})
            ) from None

    def secret_part(self) -> str:
        """What of the revealed text must never be seen (a URL's password; here, everything)."""
        return self.reveal()

    def masked(self) -> str:
        """For people: a reference as it is, else with a mask in place of the secret part."""
        return self._raw if self.is_reference else MASK

    def restored(self, earlier: Secret | None) -> str:
        """The raw text with the mask replaced by the secret part of `earlier`, for settings that were exported and edited.
        Raises `Wrong` when there is nothing to take it from."""
        if MASK not in self._raw:
            return self._raw
        if earlier is None or earlier.is_reference:
            raise Wrong(Reason("the secret is hidden ({mask}) and none is stored here: write it out", {"mask": MASK}))
        return self._raw.replace(MASK, earlier.stored_part())

    def stored_part(self) -> str:
        """The secret part as it stands in the raw text (a URL's password is percent-encoded there)."""
        return self._raw

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._raw == self._raw

    def __hash__(self) -> int:
        return hash(self._raw)

    def __str__(self) -> str:
        return self.masked()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.masked()!r})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(
                _written, info_arg=True, return_schema=core_schema.str_schema(), when_used="unless-none"
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"type": "string", "format": "password", "writeOnly": True}

    @classmethod
    def _validated(cls, value: object, info: ValidationInfo) -> Self:
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("string_type", "must be text in quotes")
        unseal = cast("Callable[[str], str] | None", _context(info).get("unseal"))
        return cls(unseal(value) if unseal is not None else value)


def _written(secret: Secret, info: SerializationInfo) -> str:
    show = cast("Callable[[Secret], str] | None", _context(info).get("show"))
    return show(secret) if show is not None else secret.masked()


def _context(info: ValidationInfo | SerializationInfo) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", info.context or {})


def followed(reference: str) -> str:
    """What `env:NAME` or `file:PATH` leads to. Raises SecretMissing."""
    kind, _, place = reference.partition(":")
    return _from_environment(place) if kind == "env" else _from_file(place)


def _from_environment(name: str) -> str:
    text = os.environ.get(name)
    if text is None:
        raise SecretMissing(
            Reason("the environment variable {name} is not set: set it for the service and start it again", {"name": name})
        )
    return text


def _from_file(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "not UTF-8 text"
        raise SecretMissing(
            Reason("the file {path} cannot be read: {why}; the service needs to read it", {"path": path, "why": why})
        ) from None
