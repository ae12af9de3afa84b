"""What the templates of our include files are filled with. Values only; settings/wiring.py makes them of the settings.

Whoever makes a `Wiring` has checked the texts: what stands in a configuration file must have no line break, no semicolon.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Trunk:
    """A SIP trunk that we define (PJSIP). `name`: of its endpoint.

    `server`: host, with :port unless that is 5060. `login`, `password`: ours at the other side; empty where it knows us by
    our address. `number`: the user in From and in Contact, `domain`: the host in From; empty: the server. `our_login`: with
    which the other side calls us. `addresses`: from which it calls us. `expiration`: seconds of a registration.
    """

    name: str
    server: str
    login: str = ""
    password: str = field(default="", repr=False)
    number: str = ""
    domain: str = ""
    our_login: str = ""
    our_password: str = field(default="", repr=False)
    addresses: tuple[str, ...] = ()
    registers: bool = False
    expiration: int = 180
    qualify_seconds: int = 30
    codecs: tuple[str, ...] = ("alaw", "ulaw")
    dtmf: Literal["auto", "rfc4733", "inband", "info"] = "auto"


@dataclass(frozen=True, slots=True)
class Wiring:
    """Templates of channels have `{number}` in them: `PJSIP/{number}@carrier`.

    `agi`: `agi://HOST:PORT/PBX`, without the script's name. `sounds`: the folder of the conference's prompts in the PBX's
    words. `last_resort`: a number, an extension, `context,exten,priority`, or empty. `own_number`: what the carrier is
    shown as caller; empty: what Bitrix24 gives. `record`: the client's leg from the first talk on, from the first ringing
    on, or not at all; `stereo`: with a file of its own for each side besides. `pause_key`: stops and resumes it, "" for
    none.
    """

    agi: str = "agi://127.0.0.1:4573/main"
    dial_outside: str = "PJSIP/{number}@carrier"
    dial_inside: str = "PJSIP/{number}"
    dial_portal: str = "PJSIP/{number}@bitrix24"
    dial_callback: str = ""
    portal_channels: str = "^PJSIP/bitrix24-"
    extension_length: int = 4
    own_number: str = ""
    third_sees: Literal["client", "line"] = "client"
    with_menu: bool = True
    with_connect: bool = True
    connect_seconds: int = 20
    connect_lookup_seconds: float = 1.8
    last_resort: str = ""
    record: Literal["talk", "whole", "no"] = "talk"
    record_private: bool = False
    consult_key: str = "*3"
    merge_key: str = "#"
    drop_key: str = "*"
    kick_key: str = "*0"
    transfer_number: str = "900"
    code_length: int = 8
    tries: int = 3
    first_key_seconds: float = 5
    next_key_seconds: float = 4
    lookup_seconds: float = 4
    menu_lookup_seconds: float = 4
    menu_seconds: int = 20
    third_seconds: int = 20
    portal_seconds: int = 60
    client_seconds: int = 60
    callback_seconds: int = 30
    room_size: int = 10
    manager_leaves: Literal["end", "stay"] = "end"
    music: str = "default"
    music_folder: str = ""
    tones: str = ""
    sounds: str = ""
    transport: str = ""
    carrier: Trunk | None = None
    bitrix24: Trunk | None = None
    ami: Login | None = None
    ari: Login | None = None
    service_addresses: tuple[str, ...] = ("127.0.0.1",)
    stereo: bool = False
    pause_key: str = ""
