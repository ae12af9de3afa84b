"""URLs that have a secret in them: of the AMI and the ARI, of databases, and the portal's webhook.

A reference may stand for the whole URL or for its password alone: `tcp://perezvon:env:AMI_SECRET@127.0.0.1`. Pure but for
following the references.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, quote, unquote, urlsplit

from perezvon.asterisk.address import DEFAULT_PORTS, AmiAddress
from perezvon.asterisk.cel import LARGEST
from perezvon.asterisk.cel_source import CelAddress, CelSource, cel_source
from perezvon.company.address import PORTS, DatabaseAddress
from perezvon.company.unfit import Unfit
from perezvon.rules.vocabulary import Reason
from perezvon.settings.confidential import MASK, Secret, followed
from perezvon.settings.errors import Wrong

_PASSWORD_REFERENCE = re.compile(
    r"([a-z][a-z0-9+.-]*://[^:/?#@]*:)((?:env:[A-Za-z_][A-Za-z0-9_]*)|(?:file:/[^@]*))(@.*)", re.DOTALL
)
_WEBHOOK_PATH = re.compile(r"(?P<before>/rest/\d+/)(?P<token>[^/]+)/?")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL, percent-decoded. `password` is shown by nothing."""

    scheme: str
    host: str
    port: int
    user: str
    password: str
    path: str

    def __repr__(self) -> str:
        return f"Address({self.scheme}://{self.host}:{self.port})"


class SecretUrl(Secret):
    """A URL with a password in it: `scheme://user:password@host:port/path`; what is special in the password is
    percent-encoded (not so in the file or the variable that a reference in its place leads to)."""

    __slots__ = ()

    ports: ClassVar[Mapping[str, int]] = {}
    needs_user: ClassVar[bool] = True
    needs_host: ClassVar[bool] = True

    def __init__(self, raw: str) -> None:
        inner = _PASSWORD_REFERENCE.fullmatch(raw)
        if inner is None:
            super().__init__(raw)
            return
        self.checked(f"{inner[1]}x{inner[3]}")
        self._raw = raw

    @property
    def is_reference(self) -> bool:
        return super().is_reference or _PASSWORD_REFERENCE.fullmatch(self._raw) is not None

    def reveal(self) -> str:
        inner = _PASSWORD_REFERENCE.fullmatch(self._raw)
        return super().reveal() if inner is None else f"{inner[1]}{quote(followed(inner[2]), safe='')}{inner[3]}"

    @classmethod
    def checked(cls, raw: str) -> str:
        schemes = {"schemes": ", ".join(f"{scheme}://" for scheme in cls.ports)}
        parts = _split(raw)
        if parts.scheme.split("+")[0] not in cls.ports:
            raise Wrong(Reason("the address must begin with one of {schemes}", schemes))
        if cls.needs_host and not parts.hostname:
            raise Wrong(Reason("the address has no host name"))
        if cls.needs_user and not (parts.username and parts.password):
            raise Wrong(Reason("the address must have a user and a password: {form}", {"form": cls.example}))
        return raw

    def address(self) -> Address:
        """The revealed URL in parts. Raises SecretMissing."""
        parts = _split(self.reveal())
        return Address(
            scheme=parts.scheme,
            host=parts.hostname or "",
            port=parts.port or self.ports.get(parts.scheme.split("+")[0], 0),
            user=unquote(parts.username or ""),
            password=unquote(parts.password or ""),
            path=unquote(parts.path),
        )

    def secret_part(self) -> str:
        return self.address().password

    def masked(self) -> str:
        if self.is_reference:
            return self._raw
        parts = _split(self._raw)
        if parts.password is None:
            return self._raw
        user, _, host = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{user.partition(':')[0]}:{MASK}@{host}").geturl()

    def stored_part(self) -> str:
        return _split(self._raw).netloc.rpartition("@")[0].partition(":")[2]


class AmiUrl(SecretUrl):
    __slots__ = ()
    ports = DEFAULT_PORTS
    example = "tcp://perezvon:PASSWORD@127.0.0.1:5038"

    @classmethod
    def checked(cls, raw: str) -> str:
        super().checked(raw)
        try:
            AmiAddress.parse(raw)
        except ValueError as error:
            raise Wrong(Reason("{why}", {"why": str(error)})) from None
        return raw

    def ami(self) -> AmiAddress:
        """For the AMI connection. Raises SecretMissing."""
        return AmiAddress.parse(self.reveal())


class AriUrl(SecretUrl):
    __slots__ = ()
    ports: ClassVar = {"http": 8088, "https": 8089}
    example = "http://perezvon:PASSWORD@127.0.0.1:8088"


class OwnDatabaseUrl(SecretUrl):
    """Where Perezvon keeps its own tables, when not in the data directory."""

    __slots__ = ()
    ports: ClassVar = {"postgresql": 5432}
    needs_user = False  # a socket needs neither password nor host
    needs_host = False
    example = "postgresql://perezvon:PASSWORD@127.0.0.1/perezvon"

    @classmethod
    def checked(cls, raw: str) -> str:
        super().checked(raw)
        parts = _split(raw)
        if not parts.path.strip("/"):
            raise Wrong(Reason("the address names no database: {form}", {"form": cls.example}))
        if "password" in parts.query:
            raise Wrong(Reason("the password must stand before the @: {form}", {"form": cls.example}))
        return raw


class CompanyDatabaseUrl(SecretUrl):
    """A database of the company, which is only read. An SQLite file has no user and no host."""

    __slots__ = ()
    ports = PORTS
    example = "mysql://reader:PASSWORD@127.0.0.1/pbx"

    @classmethod
    def checked(cls, raw: str) -> str:
        if not raw.startswith("sqlite:"):
            super().checked(raw)
        try:
            DatabaseAddress.parse(raw)
        except Unfit as unfit:
            raise Wrong(unfit.reason) from None
        return raw

    def place(self) -> DatabaseAddress:
        """Raises SecretMissing."""
        return DatabaseAddress.parse(self.reveal())


class CelPlace(SecretUrl):
    """Where a PBX keeps its channel event log: a file, or a database of the company with `?table=` and `?timezone=`."""

    __slots__ = ()
    ports = PORTS
    example = "mysql://reader:PASSWORD@127.0.0.1/asteriskcdrdb"

    @classmethod
    def checked(cls, raw: str) -> str:
        if raw.startswith("/"):
            return raw
        if "://" not in raw:
            raise Wrong(Reason("must be an absolute path, beginning with /, or a database: {form}", {"form": cls.example}))
        if not raw.startswith("sqlite:"):
            super().checked(raw)
        try:
            CelAddress.parse(raw)
        except Unfit as unfit:
            raise Wrong(unfit.reason) from None
        return raw

    def source(self, *, largest: int = LARGEST) -> CelSource:
        """`largest`: bytes that are read of a file at most. Raises SecretMissing."""
        return cel_source(self.reveal(), largest=largest)


class WebhookUrl(SecretUrl):
    """An incoming webhook of a portal. Its token, the last part of the path, is the secret."""

    __slots__ = ()
    ports: ClassVar = {"https": 443, "http": 80}
    needs_user = False
    example = "https://example.bitrix24.ru/rest/1/TOKEN/"

    @classmethod
    def checked(cls, raw: str) -> str:
        super().checked(raw)
        if _WEBHOOK_PATH.fullmatch(_split(raw).path) is None:
            raise Wrong(Reason("the webhook must look like {form}", {"form": cls.example}))
        return raw.rstrip("/") + "/"

    def secret_part(self) -> str:
        return _token(self.reveal())["token"]

    def masked(self) -> str:
        if self.is_reference:
            return self._raw
        return _split(self._raw)._replace(path=f"{_token(self._raw)['before']}{MASK}/").geturl()

    def stored_part(self) -> str:
        return _token(self._raw)["token"]


def _token(url: str) -> re.Match[str]:
    found = _WEBHOOK_PATH.fullmatch(_split(url).path)
    if found is None:
        raise Wrong(Reason("the webhook must look like {form}", {"form": WebhookUrl.example}))
    return found


def _split(raw: str) -> SplitResult:
    try:
        parts = urlsplit(raw)
        _ = parts.port  # a wrong port is told only when asked for
    except ValueError:
        raise Wrong(
            Reason("cannot be read as an address; the characters # / ? @ : in a password are written %23 %2F %3F %40 %3A")
        ) from None
    return parts
