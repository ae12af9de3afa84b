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
    NotConnected,
    Overflow,
    ProtocolBroken,
)
from perezvon.asterisk.message import Message
from perezvon.asterisk.originate import Fate, Originate, Originated, place_call
from perezvon.asterisk.probe import Probe, probe_pbx
from perezvon.asterisk.session import Session
from perezvon.asterisk.snapshot import Dump, take_snapshot
from perezvon.asterisk.supervisor import BackOff, State, Status, Supervisor
from perezvon.asterisk.wire import events, messages

__all__ = [
    "ActionRefused",
    "ActionTimeout",
    "AmiAddress",
    "AmiError",
    "BackOff",
    "CannotConnect",
    "ConnectionLost",
    "Dump",
    "Fate",
    "InjectionRefused",
    "Limits",
    "LoginRefused",
    "Message",
    "NotBooted",
    "NotConnected",
    "Originate",
    "Originated",
    "Overflow",
    "Probe",
    "ProtocolBroken",
    "Session",
    "State",
    "Status",
    "Supervisor",
    "events",
    "messages",
    "place_call",
    "probe_pbx",
    "take_snapshot",
]
