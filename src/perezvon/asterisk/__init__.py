"""Speaks to a PBX: the AMI connection and its supervision, snapshots, originate, and what the doctor asks."""

from perezvon.asterisk.address import AmiAddress
from perezvon.asterisk.connection import Limits
from perezvon.asterisk.errors import (
    ActionRefused,
    ActionTimeout,
    AmiError,
    CannotConnect,
    ConnectionLost,
    InjectionRefused,
    LoginRefused,
    NotBooted,
    Overflow,
    ProtocolBroken,
)
from perezvon.asterisk.message import Message
from perezvon.asterisk.session import Session

__all__ = [
    "ActionRefused",
    "ActionTimeout",
    "AmiAddress",
    "AmiError",
    "CannotConnect",
    "ConnectionLost",
    "InjectionRefused",
    "Limits",
    "LoginRefused",
    "Message",
    "NotBooted",
    "Overflow",
    "ProtocolBroken",
    "Session",
]
