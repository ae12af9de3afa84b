"""Addresses of the company's databases. Pure.

    mysql://reader:secret@host/pbx        also mariadb:, postgresql:
    sqlite:////var/lib/pbx/tables.db

What is special in a user, a password or a database's name is percent-encoded.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from perezvon.company.unfit import Unfit
from perezvon.rules.vocabulary import Reason

PORTS: Mapping[str, int] = {"mysql": 3306, "mariadb": 3306, "postgresql": 5432, "sqlite": 0}


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """The parts, percent-decoded; `database` of SQLite is the file's path."""

    kind: str
    host: str
    port: int
    user: str
    password: str
    database: str

    @classmethod
    def parse(cls, text: str) -> DatabaseAddress:
        """Raises Unfit, whose message never has the password in it."""
        address, _ = parts_of(text)
        return address

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"

    @property
    def name(self) -> str:
        """For people: without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = "" if self.kind == "sqlite" else f"{host}:{self.port}/"
        return f"{self.kind}://{where}{self.database}"


def parts_of(text: str, options: Collection[str] = ()) -> tuple[DatabaseAddress, Mapping[str, str]]:
    """The address, and what stands behind its `?`, where only these `options` may stand. Raises Unfit."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise Unfit(
            Reason("cannot be read as an address; the characters # / ? @ : in a password are written %23 %2F %3F %40 %3A")
        ) from None
    kind = parts.scheme
    if kind not in PORTS:
        raise Unfit(
            Reason("the address must begin with one of {schemes}", {"schemes": ", ".join(f"{name}://" for name in PORTS)})
        )
    given = dict(parse_qsl(parts.query, keep_blank_values=True))
    if unknown := sorted(given.keys() - set(options)):
        told = {"option": unknown[0][:30], "known": " and ".join(options)}
        raise Unfit(
            Reason("the address has an unknown option {option}; known are {known}", told)
            if options
            else Reason("the address has an unknown option {option}; none are known", told)
        )
    database = unquote(parts.path).removeprefix("/")
    if not database or (kind == "sqlite" and (parts.netloc or not database.startswith("/"))):
        form = "sqlite:////var/lib/pbx/tables.db" if kind == "sqlite" else f"{kind}://reader:PASSWORD@host/database"
        raise Unfit(Reason("the address names no database: {form}", {"form": form}))
    return DatabaseAddress(
        kind=kind,
        host=parts.hostname or "",
        port=port or PORTS[kind],
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
    ), given
