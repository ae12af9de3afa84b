"""What can go wrong in the sandbox's telephone network.

The class says what the caller can do::

    SandboxError
    ├── NoAsterisk       there is none here and none can be made: the message says what to install, or which option helps
    │   └── NotOnMirror  Debian's mirror does not have the wanted release (any more)
    ├── NoFreeAddress    every group of loopback addresses is taken: stop another sandbox
    ├── AsteriskDied     it did not start, or ended by itself: the message has the end of its log
    └── NotInTime        what was awaited did not happen: the message has the last events that did
"""

from __future__ import annotations


class SandboxError(Exception):
    """Any failure of the sandbox's telephone network."""


class NoAsterisk(SandboxError):
    pass


class NotOnMirror(NoAsterisk):
    pass


class NoFreeAddress(SandboxError):
    pass


class AsteriskDied(SandboxError):
    pass


class NotInTime(SandboxError):
    pass
