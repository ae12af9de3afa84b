"""Settings of the configuration that we write for a PBX, `[asterisk.wiring]` below its `[[asterisk]]`; and its values.

The keys and times of the conference stand in `[conference]`, where the menu is asked in `[agi]`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from perezvon.asterisk.wiring.values import Login, Trunk, Wiring
from perezvon.rules.vocabulary import Reason
from perezvon.settings.addresses import NetworkName
from perezvon.settings.autoconnect import MARGIN as CONNECT_MARGIN
from perezvon.settings.confidential import Secret
from perezvon.settings.errors import UnfitWiring, Wrong
from perezvon.settings.section import SECONDS, AbsolutePath, Section, template

if TYPE_CHECKING:
    from perezvon.settings.model import Settings
    from perezvon.settings.pbx import AsteriskSettings

MULTIFON = "sbc.megafon.ru"
MULTIFON_DOMAIN = "multifon.ru"
OWN_MUSIC = "perezvon"
LOOKUP_SECONDS = 4.0
"""For which a caller, or a manager, waits for an answer of ours at most: longer than our own patience."""
KICK_KEYS = ("*0", "*9")
"""The first that is not the conference's own key sends the newest third person away."""


def _plain(text: str) -> str:
    if re.fullmatch(r"[^\s;\[\]]*", text) is None:
        raise Wrong(Reason("must be without spaces, semicolons and square brackets"))
    return text


def _endpoint(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,60}", text) is None:
        raise Wrong(Reason("must be the name of an endpoint: Latin letters, digits, . - and _"))
    return text


def _server(text: str) -> str:
    if text and re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?", text) is None:
        raise Wrong(Reason("must be a host, or a host and a port, e.g. sip.example.com:5060"))
    return text


def _digits(text: str) -> str:
    if re.fullmatch(r"\+?\d*", text) is None:
        raise Wrong(Reason("must be digits only"))
    return text


def _resort(text: str) -> str:
    if re.fullmatch(r"(\+?\d+|[A-Za-z0-9._-]+,[A-Za-z0-9*#._-]+,[A-Za-z0-9_-]+)?", text) is None:
        raise Wrong(Reason("must be a number, an extension, or context,extension,priority of the dialplan"))
    return text


def _dial(text: str) -> str:
    if text and "{number}" not in text:
        raise Wrong(Reason("must have {number} in it", {"number": "{number}"}))
    return _plain(text)


Plain = Annotated[str, AfterValidator(_plain)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
Server = Annotated[str, AfterValidator(_server)]
Dial = Annotated[str, template("number"), AfterValidator(_dial)]
Address = Annotated[str, AfterValidator(_server)]


class WiringSettings(Section):
    """What `perezvon asterisk install` writes for this PBX."""

    etc: AbsolutePath = Field(
        default="/etc/asterisk",
        min_length=1,
        title="Configuration folder",
        description="Of the PBX (astetcdir). Our files are in its folder perezvon.",
        examples=["/etc/asterisk"],
    )
    carrier: Literal["existing", "multifon", "registration", "address"] = Field(
        default="existing",
        title="Trunk to the carrier",
        description="existing: the PBX has it (FreePBX); otherwise we write it: multifon, with a login (registration), or "
        "known to the carrier by our address.",
        examples=["multifon"],
    )
    carrier_endpoint: Endpoint = Field(
        default="carrier",
        title="Carrier's endpoint",
        description="Its name in the PBX (PJSIP/NAME).",
        examples=["multifon"],
    )
    carrier_server: Server = Field(
        default="",
        title="Carrier's server",
        description="Host, and port unless it is 5060. Multifon's is known.",
        examples=["sip.example.com"],
    )
    carrier_login: Plain = Field(
        default="",
        title="Login at the carrier",
        description="Multifon: 79XXXXXXXXX@multifon.ru.",
        examples=["79261234567@multifon.ru"],
    )
    carrier_password: Secret | None = Field(
        default=None,
        title="Password at the carrier",
        description="Of that login.",
        examples=["file:/etc/perezvon/multifon"],
    )
    carrier_addresses: tuple[Address, ...] = Field(
        default=(),
        title="Carrier's addresses",
        description="From which its calls come, when these are others than its server. With a registration they need not "
        "be known.",
        examples=[["193.201.229.35"]],
    )
    own_number: Annotated[str, AfterValidator(_digits)] = Field(
        default="",
        title="Own number",
        description="What the carrier is shown as the caller of outgoing calls, and the line they are counted to. Empty: "
        "what Bitrix24 says.",
        examples=["79261234567"],
    )
    portal: Literal["existing", "office"] = Field(
        default="existing",
        title="Trunk to Bitrix24",
        description="existing: the PBX has it; office: we write it, for Bitrix24's connector of the kind 'office PBX'.",
        examples=["office"],
    )
    portal_endpoint: Endpoint = Field(
        default="bitrix24",
        title="Bitrix24's endpoint",
        description="Its name in the PBX (PJSIP/NAME).",
        examples=["bitrix24"],
    )
    portal_server: Server = Field(
        default="",
        title="Bitrix24's server",
        description="Where calls for Bitrix24 are sent: as its page of the connection says (ip.b24-….bitrixphone.com).",
        examples=["ip.b24-1234567890.bitrixphone.com"],
    )
    portal_login: Plain = Field(
        default="",
        title="Login at Bitrix24",
        description="From the same page (sip1).",
        examples=["sip1"],
    )
    portal_password: Secret | None = Field(
        default=None,
        title="Password at Bitrix24",
        description="From the same page.",
        examples=["file:/etc/perezvon/bitrix24-sip"],
    )
    our_login: Plain = Field(
        default="",
        title="Bitrix24's login here",
        description="What you wrote on that page as the login of your PBX. Empty: Bitrix24 is known by its address alone.",
        examples=["bitrix24"],
    )
    our_password: Secret | None = Field(
        default=None,
        title="Bitrix24's password here",
        description="Of that login.",
        examples=["file:/etc/perezvon/bitrix24-here"],
    )
    portal_addresses: tuple[Address, ...] = Field(
        default=(),
        title="Bitrix24's addresses",
        description="From which its calls come. Empty: its server.",
        examples=[["ip.b24-1234567890.bitrixphone.com"]],
    )
    transport: Plain = Field(
        default="",
        title="Transport",
        description="The PJSIP transport of our trunks. Empty: the first one of the PBX.",
        examples=["0.0.0.0-udp"],
    )
    dtmf: Literal["auto", "rfc4733", "inband", "info"] = Field(
        default="auto",
        title="Keys on our trunks",
        description="auto: as events (RFC 4733) where the other side offers them, else as tones.",
        examples=["inband"],
    )
    dial_outside: Dial = Field(
        default="",
        title="Dialling outside",
        description="The channel of an outside number; {number} is the number in digits. Empty: PJSIP/{number}@ and the "
        "carrier's endpoint.",
        examples=["PJSIP/+{number}@carrier"],
    )
    dial_inside: Dial = Field(
        default="PJSIP/{number}",
        title="Dialling inside",
        description="The channel of an extension, which is {number}.",
        examples=["Local/{number}@from-internal/n"],
    )
    dial_portal: Dial = Field(
        default="",
        title="Dialling Bitrix24",
        description="{number} is the company's number that was called. Empty: PJSIP/{number}@ and Bitrix24's endpoint.",
        examples=["PJSIP/{number}@bitrix24"],
    )
    dial_callback: Dial = Field(
        default="",
        title="Ringing a manager back",
        description="The channel through which a manager is rung who transferred his client to the conference. Empty: as "
        "Bitrix24 is dialled.",
        examples=["PJSIP/{number}@bitrix24"],
    )
    extension_length: int = Field(
        default=4,
        ge=1,
        le=6,
        title="Length of extensions",
        description="Numbers of so many digits and fewer are dialled inside.",
        examples=[3],
    )
    menu: bool = Field(
        default=True,
        title="Voice menu",
        description="Whether incoming calls ask Perezvon before they go to Bitrix24.",
        examples=[False],
    )
    last_resort: Annotated[str, AfterValidator(_resort)] = Field(
        default="",
        title="Last resort",
        description="Where a caller goes when Bitrix24 cannot be reached, refuses or does not answer: a number, an "
        "extension, or a place in the dialplan, e.g. a queue or an announcement: ext-queues,300,1. Empty: the call ends.",
        examples=["ext-queues,300,1"],
    )
    portal_ring: int = Field(
        default=60,
        ge=5,
        le=600,
        title="Bitrix24's ringing time",
        description="How long a caller waits for Bitrix24.",
        examples=[60],
        json_schema_extra=SECONDS,
    )
    client_ring: int = Field(
        default=60,
        ge=5,
        le=600,
        title="Client's ringing time",
        description="How long a client is rung when Bitrix24 calls.",
        examples=[60],
        json_schema_extra=SECONDS,
    )
    callback_ring: int = Field(
        default=30,
        ge=5,
        le=300,
        title="Manager's ringing time",
        description="How long a manager is rung back, while his client hears music.",
        examples=[30],
        json_schema_extra=SECONDS,
    )
    record: Literal["talk", "whole", "no"] = Field(
        default="talk",
        title="Recording",
        description="talk: the client's leg from the first answer to the end of the call; whole: from the first ringing; "
        "no: another part of the PBX records.",
        examples=["no"],
    )
    music: Plain = Field(
        default="",
        title="Music class",
        description="What the client hears while the manager is away. Empty: default, or the folder below.",
        examples=["default"],
    )
    music_folder: AbsolutePath = Field(
        default="",
        title="Music folder",
        description="A folder of the PBX with music of your own.",
        examples=["/var/lib/asterisk/moh/perezvon"],
    )
    tones: Plain = Field(
        default="",
        title="Tone zone",
        description="A zone of the PBX's indications.conf. Empty: Russian tones of our own.",
        examples=["ru"],
    )
    sounds: AbsolutePath = Field(
        default="",
        title="Prompts of the conference",
        description="A folder of the PBX with your own ones. Empty: those that come with Perezvon; without them, tones.",
        examples=["/var/lib/asterisk/sounds/conference"],
    )
    room_size: int = Field(
        default=10,
        ge=3,
        le=100,
        title="People in a conference",
        description="At most.",
        examples=[10],
    )
    accounts: Literal["ours", "existing"] = Field(
        default="existing",
        title="AMI and ARI users",
        description="ours: we write those that are named in the addresses above; existing: the PBX has them.",
        examples=["ours"],
    )
    service_addresses: tuple[NetworkName, ...] = Field(
        default=("127.0.0.1",),
        title="Perezvon's addresses",
        description="From which the AMI user may log in.",
        examples=[["10.0.0.2"]],
    )

    @model_validator(mode="after")
    def _whole(self) -> Self:
        needed: dict[str, object] = {}
        if self.carrier in ("multifon", "registration"):
            needed |= {"carrier_login": self.carrier_login, "carrier_password": self.carrier_password}
        if self.carrier in ("registration", "address"):
            needed["carrier_server"] = self.carrier_server
        if self.portal == "office":
            needed |= {
                "portal_server": self.portal_server,
                "portal_login": self.portal_login,
                "portal_password": self.portal_password,
            }
        if self.our_login:
            needed["our_password"] = self.our_password
        for name, given in needed.items():
            if not given:
                raise Wrong(Reason("is needed for a trunk of this kind"), (name,))
        return self


def dialled_outside(ours: WiringSettings) -> str:
    """The channel of an outside number, with {number}."""
    return ours.dial_outside or f"PJSIP/{{number}}@{ours.carrier_endpoint}"


def wiring_of(settings: Settings, pbx: AsteriskSettings) -> Wiring:
    """What the templates are filled with for one PBX. Raises SecretMissing, UnfitWiring."""
    ours, conference = pbx.wiring, settings.conference
    if not re.match(r"[*0-9]", conference.key):
        told = {"key": conference.key}
        raise UnfitWiring(
            Reason("conference.key must begin with * or a digit: {key} cannot be written for a room of Asterisk", told)
        )
    ami = pbx.ami.ami()
    ari = pbx.ari.address() if pbx.ari is not None else None
    with_accounts = ours.accounts == "ours"
    return Wiring(
        agi=f"{settings.agi.url}/{pbx.name}",
        dial_outside=dialled_outside(ours),
        dial_inside=ours.dial_inside,
        dial_portal=ours.dial_portal or f"PJSIP/{{number}}@{ours.portal_endpoint}",
        dial_callback=ours.dial_callback,
        portal_channels=f"^{(ours.dial_portal or 'PJSIP/').partition('/')[0]}/{re.escape(ours.portal_endpoint)}-",
        extension_length=ours.extension_length,
        own_number=ours.own_number,
        third_sees=conference.callerid_to_third,
        with_menu=ours.menu,
        with_connect=settings.autoconnects_somebody,
        connect_seconds=settings.autoconnect.ring,
        connect_lookup_seconds=settings.autoconnect.patience + CONNECT_MARGIN,
        last_resort=ours.last_resort,
        record=ours.record,
        record_private=conference.record_private,
        consult_key=conference.key,
        merge_key=conference.join_key,
        drop_key=conference.drop_key,
        kick_key=next(key for key in KICK_KEYS if key != conference.key),
        transfer_number=conference.extension,
        code_length=conference.code_length,
        tries=conference.tries,
        first_key_seconds=conference.first_digit,
        next_key_seconds=conference.next_digit,
        menu_lookup_seconds=max(LOOKUP_SECONDS, settings.ivr.patience + 2),
        third_seconds=round(conference.ring),
        menu_seconds=round(settings.ivr.ring),
        portal_seconds=ours.portal_ring,
        client_seconds=ours.client_ring,
        callback_seconds=ours.callback_ring,
        room_size=ours.room_size,
        manager_leaves=conference.when_manager_leaves,
        music=ours.music or (OWN_MUSIC if ours.music_folder else "default"),
        music_folder=ours.music_folder,
        tones=ours.tones,
        sounds=ours.sounds,
        transport=ours.transport,
        carrier=_carrier(ours),
        bitrix24=_bitrix24(ours),
        ami=Login(ami.user, ami.secret) if with_accounts else None,
        ari=Login(ari.user, ari.password) if with_accounts and ari is not None else None,
        service_addresses=ours.service_addresses,
        stereo=settings.recordings.channels == "stereo",
        pause_key=settings.recordings.pause_key,
    )


def _carrier(ours: WiringSettings) -> Trunk | None:
    if ours.carrier == "existing":
        return None
    multifon = ours.carrier == "multifon"
    server = ours.carrier_server or MULTIFON
    number = ours.carrier_login.partition("@")[0]
    return Trunk(
        name=ours.carrier_endpoint,
        server=server,
        login=ours.carrier_login,
        password=_revealed(ours.carrier_password),
        number=number,
        domain=MULTIFON_DOMAIN if multifon else ours.carrier_login.partition("@")[2],
        addresses=ours.carrier_addresses or (() if multifon else (server.partition(":")[0],)),
        registers=ours.carrier != "address",
        dtmf=ours.dtmf,
    )


def _bitrix24(ours: WiringSettings) -> Trunk | None:
    if ours.portal == "existing":
        return None
    return Trunk(
        name=ours.portal_endpoint,
        server=ours.portal_server,
        login=ours.portal_login,
        password=_revealed(ours.portal_password),
        our_login=ours.our_login,
        our_password=_revealed(ours.our_password),
        addresses=ours.portal_addresses or (ours.portal_server.partition(":")[0],),
        dtmf=ours.dtmf,
    )


def _revealed(secret: Secret | None) -> str:
    return "" if secret is None else secret.reveal()
