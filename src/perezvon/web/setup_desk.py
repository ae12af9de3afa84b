"""The port through which the pages of the first run look at the house, try what was typed, and save it.

Values only; the service implements it (service/setup.py). Light: imported before the pages' server is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from perezvon.doctor.check import Check
from perezvon.rules.vocabulary import Reason
from perezvon.web.status import CallRow

CONTEXTS = ("from-internal", "from-pstn", "from-trunk", "from-sip", "internal", "incoming", "default")
"""Of the dialplan: names that PBXs often have."""


class Place(StrEnum):
    """The steps, in their order."""

    ASTERISK = "asterisk"
    PORTAL = "portal"
    PEOPLE = "people"
    LINES = "lines"
    RECORDINGS = "recordings"
    CALL = "call"


class Mark(StrEnum):
    """`TROUBLE`: it is set, and does not work (yet)."""

    DONE = "done"
    TODO = "not done"
    TROUBLE = "does not work yet"
    SKIPPED = "skipped"


PUBLIC_SERVER = "https://oauth.bitrix.info"

ESSENTIAL = (Place.ASTERISK, Place.PORTAL)
"""Without them no call is written anywhere."""


@dataclass(frozen=True, slots=True)
class StepNow:
    """`seen`: what there is to say of it in a line."""

    place: Place
    mark: Mark
    seen: Reason


@dataclass(frozen=True, slots=True)
class AsteriskForm:
    """As typed. `secret`: "" for the one that is kept: that of the settings (`stored`), one that was typed before
    (`typed`), or the one that we have thought up (`made`). `etc`: the folder of the PBX's configuration. `context`: of
    the dialplan, through which clients are dialled."""

    host: str = "127.0.0.1"
    port: str = "5038"
    tls: bool = False
    user: str = "perezvon"
    secret: str = field(default="", repr=False)
    made: str = field(default="", repr=False)
    stored: bool = False
    typed: bool = False
    etc: str = "/etc/asterisk"
    context: str = "from-internal"


@dataclass(frozen=True, slots=True)
class AsteriskTried:
    """`checks`: in words. `works`: one may go on with it. `contexts`: of CONTEXTS those that the dialplan has.
    `comes_from`: the address from which the PBX sees us."""

    checks: tuple[Check, ...]
    works: bool = False
    version: str = ""
    contexts: tuple[str, ...] = ()
    comes_from: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class WiringOffer:
    """What we would write into the PBX's configuration. `why`: why we cannot, None when we can. `diff`: without secrets.
    `lines`: file of the PBX -> the line that includes ours."""

    folder: str
    why: Reason | None = None
    files: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()
    diff: str = ""

    @property
    def there(self) -> bool:
        """Nothing is left to write."""
        return self.why is None and not self.files and not self.lines


@dataclass(frozen=True, slots=True)
class WiringDone:
    """`trouble`: why Asterisk has not read them yet, None when it has."""

    files: tuple[str, ...]
    trouble: Reason | None = None


@dataclass(frozen=True, slots=True)
class PortalForm:
    """As typed. `secret`, `webhook`: "" for what is kept (`has_secret`, `has_webhook`). `public_url`: where the portal
    reaches us. `name`: of the portal in the settings."""

    kind: str = "application"
    domain: str = ""
    client_id: str = ""
    secret: str = field(default="", repr=False)
    webhook: str = field(default="", repr=False)
    public_url: str = ""
    oauth_server: str = PUBLIC_SERVER
    name: str = "main"
    has_secret: bool = False
    has_webhook: bool = False

    @property
    def own_server(self) -> bool:
        """Whether access is renewed elsewhere than usual."""
        return self.oauth_server != PUBLIC_SERVER

    @property
    def install_url(self) -> str:
        return f"{self.public_url.rstrip('/')}/bitrix24/{self.name}/install"

    @property
    def handler_url(self) -> str:
        return f"{self.public_url.rstrip('/')}/bitrix24/{self.name}/events"


@dataclass(frozen=True, slots=True)
class PortalNow:
    """`state`: as of web.PortalStatus, "" while none is set. `checks`: what the portal has been found to allow."""

    state: str = ""
    host: str = ""
    way: str = ""
    employees: int = 0
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Phone:
    """An extension as the PBX has it. `there`: a telephone is registered; None: the PBX does not tell."""

    extension: str
    pbx: str
    kind: str
    there: bool | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One extension: who has it in the portal, and on the PBX. `mark`: TROUBLE for holes and doubles."""

    extension: str
    employees: tuple[str, ...]
    phones: tuple[Phone, ...]
    mark: Mark
    seen: Reason | None = None
    fix: Reason | None = None


@dataclass(frozen=True, slots=True)
class People:
    """`without`: employees that have no extension. `trouble`: why one side is not known."""

    pairs: tuple[Pair, ...] = ()
    without: tuple[str, ...] = ()
    trouble: tuple[Reason, ...] = ()

    @property
    def holes(self) -> int:
        return sum(pair.mark is Mark.TROUBLE for pair in self.pairs)


@dataclass(frozen=True, slots=True)
class FoundLine:
    """A number of the company, as calls have told it. `raw`: as the PBX writes it."""

    number: str
    raw: tuple[str, ...]
    calls: int


@dataclass(frozen=True, slots=True)
class Lines:
    """`known`: number and name of those in the settings. `log`: where the PBX keeps its channel events; `guess`: one that
    lies where it usually does. `trouble`: why the log does not tell."""

    known: tuple[tuple[str, str], ...] = ()
    found: tuple[FoundLine, ...] = ()
    log: str = ""
    guess: str = ""
    days: int = 0
    trouble: Reason | None = None


@dataclass(frozen=True, slots=True)
class RecordingsNow:
    folder: str
    folder_on_pbx: str = ""
    checks: tuple[Check, ...] = ()


class Unfit(Exception):
    """What was typed cannot be saved: `reasons` say why."""

    def __init__(self, reasons: tuple[Reason, ...]) -> None:
        super().__init__("; ".join(str(reason) for reason in reasons))
        self.reasons = reasons


class SetupDesk(Protocol):
    """`who`: for the history of the settings. What saves raises Unfit, Unavailable."""

    async def steps(self) -> tuple[StepNow, ...]: ...

    async def mark(self, place: Place, mark: str) -> None:
        """`mark`: done, skipped or ""."""
        ...

    async def asterisk(self) -> AsteriskForm:
        """What was typed last, or what is saved."""
        ...

    async def try_asterisk(self, form: AsteriskForm) -> AsteriskTried:
        """Keeps what was typed, too."""
        ...

    async def another_secret(self) -> None:
        """Thinks up a new one, and forgets what was typed."""
        ...

    async def save_asterisk(self, form: AsteriskForm, who: str) -> None: ...

    async def wiring(self, form: AsteriskForm) -> WiringOffer: ...

    async def write_wiring(self, form: AsteriskForm, who: str) -> WiringDone:
        """Saves the form, too. Raises Unfit."""
        ...

    async def portal(self, reached_at: str) -> PortalForm:
        """`reached_at`: the address at which the browser has reached us."""
        ...

    async def try_portal(self, form: PortalForm) -> tuple[Check, ...]:
        """Keeps what was typed, too."""
        ...

    async def save_portal(self, form: PortalForm, who: str) -> None: ...

    async def portal_now(self, *, look: bool = True, anew: bool = False) -> PortalNow:
        """`look`: the portal is asked, unless it was asked a moment ago; `anew`: even then."""
        ...

    async def people(self, *, anew: bool = False) -> People: ...

    async def lines(self, *, look: bool = True) -> Lines:
        """`look`: into the calls and the log, for numbers that are not lines yet: that may take seconds."""
        ...

    async def save_lines(self, numbers: dict[str, str], log: str, who: str) -> None:
        """`numbers`: those to add, with their names. `log`: see Lines."""
        ...

    async def recordings(self, *, look: bool = True) -> RecordingsNow:
        """`look`: into the folder, and make an mp3 of the newest: that may take seconds."""
        ...

    async def save_recordings(self, folder: str, folder_on_pbx: str, who: str) -> None: ...

    async def calls(self, since: float) -> tuple[CallRow, ...]:
        """Those that began after that moment (POSIX seconds), the newest first."""
        ...
