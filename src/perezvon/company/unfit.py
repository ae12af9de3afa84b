"""What an administrator wrote and cannot be meant: an address, a statement. Pure."""

from __future__ import annotations

from perezvon.rules.vocabulary import Reason


class Unfit(ValueError):
    """`reason` is the message, translatable; it never has a password in it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason
