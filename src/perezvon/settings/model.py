"""The settings: one typed model, whose faces are the web forms, TOML files and the generated documentation.

An empty model is valid: a service without a PBX or a portal runs and says what to set.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Annotated, Literal, Self

import phonenumbers
from pydantic import AfterValidator, BaseModel, Field, model_validator

from perezvon.rules.numbers import Towards
from perezvon.rules.vocabulary import Reason
from perezvon.settings.agi import AgiSettings
from perezvon.settings.alerts import AlertSettings
from perezvon.settings.autoconnect import AutoconnectSettings
from perezvon.settings.conference import ConferenceSettings
from perezvon.settings.confidential import Secret
from perezvon.settings.crm import ChatSettings, CrmSettings
from perezvon.settings.customisation import CustomisationSettings
from perezvon.settings.errors import SecretMissing, Wrong
from perezvon.settings.filters import FilterSettings
from perezvon.settings.ivr import IvrSettings
from perezvon.settings.missed import MissedSettings
from perezvon.settings.numbers import NumbersSettings
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.recordings import RecordingSettings
from perezvon.settings.section import SECONDS, OneLine, Pattern, Section, UserId
from perezvon.settings.urls import OwnDatabaseUrl
from perezvon.settings.working_time import Hours, MaybeExtension, WorkingTimeSettings


def _region(text: str) -> str:
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise Wrong(Reason("must be a country's two capital letters, e.g. RU, KZ, BY"))
    return text


class CallSettings(Section):
    """How calls are understood and reported."""

    extension_pattern: Pattern = Field(
        default=r"^\d{2,4}$",
        title="Extensions",
        description="A regular expression that tells an employee's extension from any other number.",
        examples=[r"^\d{3}$"],
    )
    region: Annotated[str, AfterValidator(_region)] = Field(
        default="RU",
        title="Country",
        description="Where numbers without a country code are at home.",
        examples=["RU"],
    )
    internal: bool = Field(
        default=False,
        title="Internal calls",
        description="Whether calls between employees go to the portal too.",
        examples=[False],
    )
    create_lead_incoming: bool = Field(
        default=True,
        title="Lead for an unknown caller",
        description="Whether the portal makes a lead (or what its own rules say) for a call of an unknown number.",
        examples=[True],
    )
    create_lead_outgoing: bool = Field(
        default=True,
        title="Lead for an unknown callee",
        description="The same for an outgoing call to an unknown number.",
        examples=[True],
    )
    show_card: bool = Field(
        default=True,
        title="Client's card",
        description="Whether the client's card appears on the screen of whoever is being rung.",
        examples=[True],
    )
    card_expires: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        title="Card's shelf life",
        description="A card that could not be shown within this time is not shown any more.",
        examples=[30],
        json_schema_extra=SECONDS,
    )
    responsible: Literal["first", "last", "longest"] = Field(
        default="last",
        title="Responsible for an answered call",
        description="Of several employees who talked: the first, the last, or whoever talked longest.",
        examples=["last"],
    )
    transfers: Literal["one", "each"] = Field(
        default="one",
        title="Transferred calls",
        description="one: a single portal call, whoever talks; each: a transfer finishes the portal call of whoever talked "
        "so far, with the duration of that talk, and the next employee gets a portal call of his own.",
        examples=["each"],
    )
    describe: bool = Field(
        default=True,
        title="Menu and conference in the CRM",
        description="Whether the call's activity tells what was heard and pressed in the voice menu, and which third "
        "persons a manager brought into the call, by number, name and times. What an employee has written there stays.",
        examples=[False],
    )
    anonymous_number: OneLine = Field(
        default="000000",
        min_length=1,
        title="Number of a hidden caller",
        description="What the portal is told when the caller hides the number: the portal demands one.",
        examples=["000000"],
    )


class LineSettings(Section):
    """One of the company's own numbers."""

    number: OneLine = Field(
        min_length=1,
        title="Number",
        description="The company's number, in international form.",
        examples=["+74951234567"],
    )
    aliases: tuple[OneLine, ...] = Field(
        default=(),
        title="Aliases",
        description="Other forms in which the PBX names this number.",
        examples=[["84951234567", "multifon-in"]],
    )
    name: OneLine = Field(
        default="",
        title="Name",
        description="How people call this number. The portal shows it on the card and in reports.",
        examples=["Billboard on the ring road"],
    )
    trunk: OneLine = Field(
        default="",
        title="Trunk",
        description="The trunk that this number comes through. A call from that trunk for which the PBX names no number is "
        "counted to this line.",
        examples=["multifon"],
    )
    source: OneLine = Field(
        default="",
        title="Source",
        description="The STATUS_ID of the CRM source that a new lead from this number gets.",
        examples=["CALL"],
    )
    create_lead_incoming: bool | None = Field(
        default=None,
        title="Lead for an unknown caller",
        description="Whether a call of an unknown number to this line makes a lead. Not set: as in [calls].",
        examples=[False],
    )
    create_lead_outgoing: bool | None = Field(
        default=None,
        title="Lead for an unknown callee",
        description="The same for an outgoing call through this line.",
        examples=[False],
    )
    missed_user: UserId = Field(
        default="",
        title="User for missed calls",
        description="The id of the portal user who is responsible for calls to this number that nobody answered, where the "
        "order of [missed] wants the line's. Empty: nobody.",
        examples=["1"],
    )
    lead_user: UserId = Field(
        default="",
        title="User for new leads",
        description="The id of the portal user who gets the new leads of calls through this number. Empty: as in [crm].",
        examples=["1"],
    )
    menu: bool = Field(
        default=True,
        title="Voice menu",
        description="Whether callers of this number are asked by the voice menu when it has a scenario for them.",
        examples=[False],
    )
    autoconnect: bool | None = Field(
        default=None,
        title="Autoconnect",
        description="Whether callers of this number are connected with whoever is responsible for them. Not set: as in "
        "[autoconnect].",
        examples=[True],
    )
    first_employee: MaybeExtension = Field(
        default="",
        title="First employee",
        description="The extension that autoconnect rings where it knows nobody nearer to the client.",
        examples=["101"],
    )
    working_time: tuple[Hours, ...] = Field(
        default=(),
        max_length=50,
        title="Working time",
        description="The hours of this number; outside of them, and on the company's holidays, autoconnect leaves its "
        "callers to the PBX. Empty: always.",
        examples=[["Mon-Fri 09:00-21:00", "Sat-Sun 10:00-18:00"]],
    )
    recordings: Literal["upload", "link", "off"] | None = Field(
        default=None,
        title="Recordings",
        description="What happens to recordings of calls through this number (recordings.md). Not set: as in [recordings].",
        examples=["off"],
    )


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
    calls: CallSettings = Field(
        default_factory=CallSettings, title="Calls", description="How calls are understood and reported."
    )
    numbers: NumbersSettings = Field(
        default_factory=NumbersSettings,
        title="Numbers",
        description="How numbers are written for the CRM and dialled by the PBX, where E.164 is not wanted (numbers.md). "
        "`perezvon numbers test NUMBER` shows what becomes of a number, and why.",
    )
    filters: FilterSettings = Field(
        default_factory=FilterSettings,
        title="Filters",
        description="Which calls the portal is not told of: no card, no call, no lead, no recording (filters.md). They "
        "stay in our own list. A list holds numbers in any of their written forms, or beginnings with * behind them.",
    )
    missed: MissedSettings = Field(
        default_factory=MissedSettings,
        title="Missed calls",
        description="Calls that nobody answered: whose they are, and the task that is made of them.",
    )
    crm: CrmSettings = Field(
        default_factory=CrmSettings,
        title="CRM",
        description="What a call leaves in the CRM when it is over: whom new leads belong to, which fields are filled "
        "(crm.md).",
    )
    chat: ChatSettings = Field(
        default_factory=ChatSettings,
        title="Business chat",
        description="Who is told of new leads and missed calls (crm.md).",
    )
    alerts: AlertSettings = Field(
        default_factory=AlertSettings,
        title="Messages of troubles",
        description="Who is told in the portal when something is wrong, and when it is right again.",
    )
    recordings: RecordingSettings = Field(
        default_factory=RecordingSettings, title="Recordings", description="What happens to recordings."
    )
    web: WebSettings = Field(
        default_factory=WebSettings,
        title="Pages",
        description="Where they listen is told on the command line (perezvon serve --bind).",
    )
    log: LogSettings = Field(default_factory=LogSettings, title="Log", description="What the service writes into its log.")
    database: DatabaseSettings = Field(
        default_factory=DatabaseSettings, title="Database", description="Where Perezvon keeps its own tables."
    )
    agi: AgiSettings = Field(
        default_factory=AgiSettings,
        title="FastAGI",
        description="Where the PBXs ask what a caller shall hear and whom a code means.",
    )
    ivr: IvrSettings = Field(
        default_factory=IvrSettings,
        title="Voice menu",
        description="What callers are asked before they reach Bitrix24 (menu.md).",
    )
    autoconnect: AutoconnectSettings = Field(
        default_factory=AutoconnectSettings,
        title="Autoconnect",
        description="Callers are connected with whoever is responsible for them (autoconnect.md). `perezvon autoconnect "
        "test NUMBER` shows with whom, and why.",
    )
    working_time: WorkingTimeSettings = Field(
        default_factory=WorkingTimeSettings,
        title="Working time",
        description="When the company and its employees work; autoconnect goes by it.",
    )
    conference: ConferenceSettings = Field(
        default_factory=ConferenceSettings,
        title="Conference",
        description="How a manager brings a third person into a call with a client.",
    )
    customisation: CustomisationSettings = Field(
        default_factory=CustomisationSettings,
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
