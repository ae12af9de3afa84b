"""The settings: one typed model, whose faces are the web forms, TOML files and the generated documentation.

An empty model is valid: a service without a PBX or a portal runs and says what to set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from perezvon.rules.numbers import Towards
from perezvon.rules.vocabulary import Reason
from perezvon.settings.addresses import NetworkName
from perezvon.settings.agi import AgiSettings
from perezvon.settings.alerts import AlertSettings
from perezvon.settings.autoconnect import AutoconnectSettings
from perezvon.settings.calls import CallSettings
from perezvon.settings.conference import ConferenceSettings
from perezvon.settings.confidential import Secret
from perezvon.settings.crm import ChatSettings, CrmSettings
from perezvon.settings.customisation import CustomisationSettings
from perezvon.settings.errors import SecretMissing, Wrong
from perezvon.settings.filters import FilterSettings
from perezvon.settings.ivr import IvrSettings
from perezvon.settings.lines import LineSettings
from perezvon.settings.missed import MissedSettings
from perezvon.settings.numbers import NumbersSettings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.recordings import RecordingSettings
from perezvon.settings.section import Section, section
from perezvon.settings.urls import OwnDatabaseUrl
from perezvon.settings.working_time import WorkingTimeSettings


class WebSettings(Section):
    """The pages. Where they listen is told on the command line (`perezvon serve --bind`)."""

    language: Literal["auto", "ru", "en"] = Field(
        default="auto",
        title="Language of the pages",
        description="auto: the browser's, Russian when it wants neither Russian nor English.",
        examples=["ru"],
    )
    second_factor: Literal["offered", "administrators", "everybody"] = Field(
        default="offered",
        title="One-time codes",
        description="Who has to set up one-time codes of a telephone before anything else can be done. offered: nobody has "
        "to, everybody can.",
        examples=["administrators"],
    )
    trusted_proxies: tuple[NetworkName, ...] = Field(
        default=("127.0.0.1", "::1"),
        title="Proxies",
        description="Addresses and networks of the proxies before these pages. They are believed whence a request comes "
        "(X-Forwarded-For; tries to sign in are counted by it), and that it came over https (X-Forwarded-Proto).",
        examples=[["127.0.0.1", "172.18.0.0/16"]],
    )
    password: Secret | None = Field(
        default=None,
        title="Password of the pages",
        description="Lets in without a name, at /, /status, /metrics and /api (Basic, any user name). Without it, and "
        "while nobody has been added who signs in (`perezvon people`), these answer to this machine only.",
        examples=["file:/etc/perezvon/web-password"],
    )


class LogSettings(Section):
    """What the service writes into its log."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info",
        title="Level",
        description="The least serious message that is written.",
        examples=["info"],
    )
    format: Literal["auto", "console", "json"] = Field(
        default="auto",
        title="Format",
        description="auto: coloured lines on a terminal, JSON elsewhere.",
        examples=["json"],
    )


class DatabaseSettings(Section):
    """Where Perezvon keeps its own tables."""

    url: OwnDatabaseUrl | None = Field(
        default=None,
        title="Own database",
        description="Empty: an SQLite file in the data directory. The address is kept in the data directory, not in the "
        "history of settings; changing it needs a restart, and nothing is moved.",
        examples=["postgresql+asyncpg://perezvon:secret@127.0.0.1/perezvon"],
    )


class Settings(Section):
    """Everything that can be set."""

    asterisk: tuple[AsteriskSettings, ...] = Field(
        default=(), title="Asterisk", description="The PBXs that are watched and dialled through."
    )
    portal: tuple[PortalSettings, ...] = Field(
        default=(), title="Portal", description="The Bitrix24 portals that calls are written into."
    )
    line: tuple[LineSettings, ...] = Field(default=(), title="Line", description="The company's own numbers.")
    calls: CallSettings = section(CallSettings, title="Calls", description="How calls are understood and reported.")
    numbers: NumbersSettings = section(
        NumbersSettings,
        title="Numbers",
        description="How numbers are written for the CRM and dialled by the PBX, where E.164 is not wanted (numbers.md). "
        "`perezvon numbers test NUMBER` shows what becomes of a number, and why.",
    )
    filters: FilterSettings = section(
        FilterSettings,
        title="Filters",
        description="Which calls the portal is not told of: no card, no call, no lead, no recording (filters.md). They "
        "stay in our own list. A list holds numbers in any of their written forms, or beginnings with * behind them.",
    )
    missed: MissedSettings = section(
        MissedSettings,
        title="Missed calls",
        description="Calls that nobody answered: whose they are, and the task that is made of them.",
    )
    crm: CrmSettings = section(
        CrmSettings,
        title="CRM",
        description="What a call leaves in the CRM when it is over: whom new leads belong to, which fields are filled "
        "(crm.md).",
    )
    chat: ChatSettings = section(
        ChatSettings,
        title="Business chat",
        description="Who is told of new leads and missed calls (crm.md).",
    )
    alerts: AlertSettings = section(
        AlertSettings,
        title="Messages of troubles",
        description="Who is told in the portal when something is wrong, and when it is right again.",
    )
    recordings: RecordingSettings = section(
        RecordingSettings, title="Recordings", description="What happens to recordings."
    )
    web: WebSettings = section(
        WebSettings,
        title="Pages",
        description="Where they listen is told on the command line (perezvon serve --bind).",
    )
    log: LogSettings = section(LogSettings, title="Log", description="What the service writes into its log.")
    database: DatabaseSettings = section(
        DatabaseSettings, title="Database", description="Where Perezvon keeps its own tables."
    )
    agi: AgiSettings = section(
        AgiSettings,
        title="FastAGI",
        description="Where the PBXs ask what a caller shall hear and whom a code means.",
    )
    ivr: IvrSettings = section(
        IvrSettings,
        title="Voice menu",
        description="What callers are asked before they reach Bitrix24 (menu.md).",
    )
    autoconnect: AutoconnectSettings = section(
        AutoconnectSettings,
        title="Autoconnect",
        description="Callers are connected with whoever is responsible for them (autoconnect.md). `perezvon autoconnect "
        "test NUMBER` shows with whom, and why.",
    )
    working_time: WorkingTimeSettings = section(
        WorkingTimeSettings,
        title="Working time",
        description="When the company and its employees work; autoconnect goes by it.",
    )
    conference: ConferenceSettings = section(
        ConferenceSettings,
        title="Conference",
        description="How a manager brings a third person into a call with a client.",
    )
    customisation: CustomisationSettings = section(
        CustomisationSettings,
        title="Customisation",
        description="The integrator's own Python functions (customisation.md).",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        portals = [portal.name for portal in self.portal]
        _unique("asterisk", "name", [pbx.name for pbx in self.asterisk])
        _unique("portal", "name", portals)
        for index, pbx in enumerate(self.asterisk):
            if pbx.portal and pbx.portal not in portals:
                known = {"name": pbx.portal, "known": ", ".join(portals) or "—"}
                raise Wrong(Reason("there is no portal {name}; known: {known}", known), ("asterisk", index, "portal"))
        if self.alerts.portal and self.alerts.portal not in portals:
            known = {"name": self.alerts.portal, "known": ", ".join(portals) or "—"}
            raise Wrong(Reason("there is no portal {name}; known: {known}", known), ("alerts", "portal"))
        taken: dict[str, int] = {}
        for index, line in enumerate(self.line):
            for number in {line.number, *line.aliases}:
                if taken.setdefault(number, index) != index:
                    raise Wrong(
                        Reason(
                            "{number} belongs to {other} already", {"number": number, "other": f"line[{taken[number]}]"}
                        ),
                        ("line", index, "number" if number == line.number else "aliases"),
                    )
        if not self.recordings.public_url and "link" in (self.recordings.mode, *(line.recordings for line in self.line)):
            raise Wrong(
                Reason("is needed for links: the address at which the portal reaches this service"),
                ("recordings", "public_url"),
            )
        pause, third = self.recordings.pause_key, self.conference.key
        if pause and (pause.startswith(third) or third.startswith(pause)):
            told = {"key": third}
            raise Wrong(
                Reason("{key} is the key for a third person: neither may begin like the other", told),
                ("recordings", "pause_key"),
            )
        for towards in Towards:
            for index, rule in enumerate(self.numbers.rules(towards)):
                if rule.line and rule.line not in taken:
                    known = {"line": rule.line, "known": ", ".join(line.number for line in self.line) or "—"}
                    reason = Reason("there is no line {line}; known: {known}", known)
                    raise Wrong(reason, ("numbers", towards.value, index, "line"))
        return self

    def portal_of(self, pbx: str) -> PortalSettings | None:
        """The portal that the calls of this PBX go to; None while there is no portal."""
        wanted = next((entry.portal for entry in self.asterisk if entry.name == pbx), "")
        return next((portal for portal in self.portal if not wanted or portal.name == wanted), None)

    def autoconnects(self, line: LineSettings | None = None) -> bool:
        """Whether callers of this line (None: of a number that is none) are connected with whoever is responsible."""
        own = None if line is None else line.autoconnect
        return self.autoconnect.enabled if own is None else own

    @property
    def autoconnects_somebody(self) -> bool:
        return self.autoconnect.enabled or any(line.autoconnect for line in self.line)

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """All secrets with their paths (`portal[0].webhook`)."""
        yield from _secrets(self, "")

    def secret_values(self) -> frozenset[str]:
        """What must never be seen, for the log's redaction. References that lead nowhere are left out."""
        values: set[str] = set()
        for _, secret in self.secrets():
            try:
                values |= {secret.secret_part(), "" if secret.is_reference else secret.stored_part()}
            except SecretMissing:
                continue
        return frozenset(values - {""})


def _secrets(value: object, path: str) -> Iterator[tuple[str, Secret]]:
    if isinstance(value, Secret):
        yield path, value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name), f"{path}.{name}" if path else name)
    elif isinstance(value, tuple):
        for index, item in enumerate(value):  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
            yield from _secrets(item, f"{path}[{index}]")  # pyright: ignore[reportUnknownArgumentType]


def _unique(section: str, key: str, names: Sequence[Hashable]) -> None:
    for index, name in enumerate(names):
        if name in names[:index]:
            raise Wrong(Reason("{name} is there twice", {"name": str(name)}), (section, index, key))
