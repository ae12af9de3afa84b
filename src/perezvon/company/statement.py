"""The company's own SQL: one SELECT with one place for what is looked up, `?` or a name as `:phone`. Pure.

The place is bound, never pasted. Quotes and comments are left as they are.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import TextClause, text

from perezvon.company.unfit import Unfit
from perezvon.rules.vocabulary import Reason

VALUE = "value"
"""What the place is called inside."""

_BEGINNINGS = ("SELECT", "WITH", "CALL")

_PIECES = re.compile(
    r"""(?P<quoted>'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|--[^\n]*|/\*.*?\*/)"""
    r"""|(?P<cast>::)|:(?P<name>[A-Za-z_]\w*)|(?P<mark>\?)|(?P<end>;)""",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Statement:
    """`sql`: as written. `clause`: takes VALUE."""

    sql: str
    clause: TextClause = field(compare=False, repr=False)

    @property
    def tables(self) -> str:
        """For people: what it reads."""
        found: list[str] = re.findall(r"\b(?:FROM|JOIN)\s+([\w.`\"]+)", self.sql, re.IGNORECASE)
        return ", ".join(dict.fromkeys(found))

    @classmethod
    def parse(cls, sql: str, names: Collection[str]) -> Statement:
        """`names`: how the place may be called (`:phone`) besides `?`. Raises Unfit."""
        sql = sql.strip().rstrip(";").rstrip()
        first = re.match(r"(?:\s|--[^\n]*\n|/\*.*?\*/|\()*(\w+)", sql, re.DOTALL)
        if first is None or first[1].upper() not in _BEGINNINGS:
            raise Unfit(Reason("must be one SELECT statement"))
        pieces = list(_PIECES.finditer(sql))
        if any(piece["end"] for piece in pieces):
            raise Unfit(Reason("must be one statement: take out what follows the ;"))
        known = {"names": ", ".join(f":{name}" for name in names)}
        named = [piece["name"] for piece in pieces if piece["name"]]
        if unknown := [name for name in named if name not in names]:
            raise Unfit(Reason("there is no :{name}; known are ? and {names}", {**known, "name": unknown[0]}))
        if not named and not any(piece["mark"] for piece in pieces):
            raise Unfit(Reason("must have a ? (or {names}) where the value goes, and that must not stand in quotes", known))
        return cls(sql, text(_rewritten(sql, pieces, by_name=bool(named))))


def _rewritten(sql: str, pieces: Collection[re.Match[str]], *, by_name: bool) -> str:
    """As SQLAlchemy's `text` wants it. With a named place `?` is an operator (PostgreSQL's JSON)."""
    done: list[str] = []
    at = 0
    for piece in pieces:
        done.append(sql[at : piece.start()].replace(":", r"\:"))
        at = piece.end()
        is_place = piece["name"] or (piece["mark"] and not by_name)
        done.append(f":{VALUE}" if is_place else piece[0].replace(":", r"\:"))
    return "".join(done) + sql[at:].replace(":", r"\:")
