"""A real telephone network on this machine: an office PBX, and the world that calls it and is called."""

from perezvon.sandbox.pbx.errors import AsteriskDied, NoAsterisk, NoFreeAddress, NotInTime, SandboxError
from perezvon.sandbox.pbx.parties import Connector, Leg, Number, Party, Phone
from perezvon.sandbox.pbx.rootfs import Progress
from perezvon.sandbox.pbx.sandbox import PbxSandbox
from perezvon.sandbox.pbx.world import World

__all__ = [
    "AsteriskDied",
    "Connector",
    "Leg",
    "NoAsterisk",
    "NoFreeAddress",
    "NotInTime",
    "Number",
    "Party",
    "PbxSandbox",
    "Phone",
    "Progress",
    "SandboxError",
    "World",
]
