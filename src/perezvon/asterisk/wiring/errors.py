"""What can keep our files from being written or taken back.

::

    WiringError              anything below; `args` of the reason name the files
    ├── HandChanged          files of ours were changed by hand, or are not ours: look at them, then --force
    ├── NothingToUndo        nothing was installed here
    └── NoSuchFolder         there is no configuration of an Asterisk: name its folder
"""

from __future__ import annotations

from perezvon.rules.vocabulary import Reason


class WiringError(Exception):
    """`reason` is the message, translatable."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason


class HandChanged(WiringError):
    pass


class NothingToUndo(WiringError):
    pass


class NoSuchFolder(WiringError):
    pass
