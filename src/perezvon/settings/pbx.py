"""Settings of one Asterisk: `[[asterisk]]`."""

from __future__ import annotations

import codecs
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import Wrong
from perezvon.settings.recordings import Layout
from perezvon.settings.section import SECONDS, AbsolutePath, Name, OneLine, Section, section, template
from perezvon.settings.urls import AmiUrl, AriUrl, CelPlace
from perezvon.settings.wiring import WiringSettings


def _encoding(text: str) -> str:
    try:
        return codecs.lookup(text).name
    except LookupError:
        raise Wrong(Reason("is no known encoding; for Russian names usually cp1251, koi8-r or utf-8")) from None


def _none_for_empty(value: object) -> object:
    return None if value == "" else value


class AsteriskSettings(Section):
    """A PBX that is watched and dialled through."""

    name: Name = Field(
        title="Name",
        description="How this PBX is called in the settings, the logs and on the pages. Do not change it later: calls are "
        "kept under it.",
        examples=["main"],
    )
    ami: AmiUrl = Field(
        title="AMI address",
        description="tcp:// or tls://, user and password from manager.conf, host and port. A certificate of your own: add "
        "?ca=/path/ca.pem; to accept any certificate: ?verify=no.",
        examples=["tcp://perezvon:secret@127.0.0.1:5038"],
    )
    ari: AriUrl | None = Field(
        default=None,
        title="ARI address",
        description="Needed for the conference only. User and password from ari.conf.",
        examples=["http://perezvon:secret@127.0.0.1:8088"],
    )
    portal: str = Field(
        default="",
        title="Portal",
        description="The name of the portal that the calls of this PBX go to. Empty: the first portal.",
        examples=["main"],
    )
    recordings: AbsolutePath = Field(
        default="/var/spool/asterisk/monitor",
        title="Recordings folder",
        description="Where Perezvon reads the recordings of this PBX (a mounted folder when the PBX is another machine).",
        examples=["/var/spool/asterisk/monitor"],
    )
    recordings_on_pbx: AbsolutePath = Field(
        default="",
        title="Recordings folder on the PBX",
        description="How the PBX itself names the same folder. Empty: the same path.",
        examples=["/var/spool/asterisk/monitor"],
    )
    recordings_paths: tuple[Layout, ...] = Field(
        default=(),
        title="Names of the recordings",
        description="For a PBX that does not tell them (no variable is set): where in that folder the recordings of an "
        "answered call lie. freepbx or issabel, or a path with {year} {month} {day} {hour} {minute} {second} (of the "
        "call's begin, this machine's time zone), {uniqueid}, {client}, {line}, {extension} and, in the file's name, * for "
        "anything. The first that leads to files counts.",
        examples=[["freepbx"], ["{year}/{month}/{day}/{uniqueid}.wav"]],
    )
    cel: Annotated[CelPlace | None, BeforeValidator(_none_for_empty)] = Field(
        default=None,
        title="Channel event log",
        description="Where this PBX keeps its channel events (CEL): a CSV file, or a database, which is only read: "
        "mysql://reader:secret@127.0.0.1/asteriskcdrdb (FreePBX), postgresql://… or sqlite:////…. After it may stand "
        "?table=NAME (otherwise cel) and, where times have no zone and the PBX is in another one than this machine, "
        "&timezone=Europe/Moscow. Perezvon learns from it what happened while it was down or cut off. Empty: there is "
        "none; such calls then may be missing, or end later than they did.",
        examples=["/var/log/asterisk/cel-custom/Master.csv"],
    )
    encoding: Annotated[str, AfterValidator(_encoding)] = Field(
        default="cp1251",
        title="Fall-back encoding",
        description="How to read caller names that are not UTF-8.",
        examples=["cp1251"],
    )
    trunks: tuple[OneLine, ...] = Field(
        default=(),
        title="Trunks",
        description="Names of the trunk peers, as they stand in channel names (PJSIP/NAME-…). Empty: every peer that is no "
        "extension is a trunk.",
        examples=[["multifon", "gsm-gateway"]],
    )
    portal_peers: tuple[OneLine, ...] = Field(
        default=(),
        title="Portal's peers",
        description="Peers that lead to the portal's own SIP line (its connector), as they stand in channel names: whoever "
        "is behind them is an employee in the portal. The trunk that perezvon asterisk install writes counts by itself.",
        examples=[["bitrix24"]],
    )
    ignored_peers: tuple[OneLine, ...] = Field(
        default=(),
        title="Ignored peers",
        description="Peers whose calls do not go to the portal (door phones, fax machines, alarm dialers).",
        examples=[["doorphone"]],
    )
    originate_channel: Annotated[str, template("extension")] = Field(
        default="PJSIP/{extension}",
        title="Employee's channel",
        description="What is rung first when an employee clicks on a number. {extension} is the extension; chan_sip: "
        "SIP/{extension}; through the dialplan (all devices): Local/{extension}@from-internal.",
        examples=["PJSIP/{extension}"],
    )
    originate_context: OneLine = Field(
        default="from-internal",
        min_length=1,
        title="Dialling context",
        description="The dialplan context through which the client is dialled when an employee clicks on a number.",
        examples=["from-internal"],
    )
    originate_timeout: float = Field(
        default=30.0,
        ge=5,
        le=300,
        title="Employee's ringing time",
        description="How long the employee's phone rings after a click before the click is given up.",
        examples=[30],
        json_schema_extra=SECONDS,
    )
    originate_caller_id: Annotated[str, template("client", "extension")] = Field(
        default="{client}",
        title="Caller id on the employee's phone",
        description="What the employee's phone shows when it rings after a click. {client} is the client's number, "
        "{extension} the employee's extension.",
        examples=['"Bitrix24" <{client}>'],
    )
    callback_context: OneLine = Field(
        default="",
        title="Context for callback forms",
        description="perezvon-form, when perezvon asterisk install has written our dialplan there: the employee then "
        "hears that a visitor of the site has asked for a call, before the client is dialled. Empty: nothing is said.",
        examples=["perezvon-form"],
    )
    contexts: tuple[OneLine, ...] = Field(
        default=(),
        title="Contexts to check",
        description="Dialplan contexts whose presence the doctor checks, besides the dialling context.",
        examples=[["from-pstn", "from-internal"]],
    )
    wiring: WiringSettings = section(
        WiringSettings,
        title="Wiring of a PBX",
        description="What `perezvon asterisk install` writes for it (menu-and-conference-wiring.md). In the file it stands "
        "right after its [[asterisk]].",
    )

    @property
    def recordings_as_pbx_says(self) -> str:
        return self.recordings_on_pbx or self.recordings

    @property
    def ways_to_portal(self) -> frozenset[str]:
        """The peers that lead to the portal's own SIP line: those named, and the trunk that we have written ourselves."""
        written = {self.wiring.portal_endpoint} if self.wiring.portal == "office" else set[str]()
        return frozenset({*self.portal_peers, *written})
