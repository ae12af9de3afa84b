"""What can go wrong between us and the Asterisk Manager Interface.

The class says what the caller can do::

    AmiError
    ├── CannotConnect       nobody answers there, TLS fails, or it is no AMI port: check the address, then try again later
    ├── LoginRefused        Asterisk is there but wants another name or secret: nothing helps but new settings
    ├── NotBooted           logged in, yet Asterisk never said FullyBooted: wait, or give the user the right `system`
    ├── ConnectionLost      the connection is gone: connect again and take a new snapshot
    │   ├── NotConnected    ... was gone before: the action was surely not sent
    │   ├── Overflow        ... dropped by us, because events came faster than they were taken
    │   └── ProtocolBroken  ... dropped by us, because the bytes were no AMI (or a message above the size limit)
    ├── ActionRefused       Asterisk answered `Response: Error`: its message tells why
    ├── ActionTimeout       no answer in time; the action may have been done, so it is never sent again by itself
    └── InjectionRefused    a line break or NUL in a header that was to be sent: nothing was sent

No message ever contains the secret.
"""

from __future__ import annotations

from perezvon.rules.vocabulary import Reason

NO_REASON = Reason("no reason given")


class AmiError(Exception):
    """Any failure of the AMI layer. `why`: the message, to be translated; `str()` gives it in English."""

    def __init__(self, told: str | Reason) -> None:
        super().__init__(told)
        self.why = Reason.of(told)


class CannotConnect(AmiError):
    pass


class LoginRefused(AmiError):
    pass


class NotBooted(AmiError):
    pass


class ConnectionLost(AmiError):
    pass


class NotConnected(ConnectionLost):
    pass


class Overflow(ConnectionLost):
    pass


class ProtocolBroken(ConnectionLost):
    pass


class ActionRefused(AmiError):
    """`action` is the name of what was asked, `reason` Asterisk's own `Message`."""

    def __init__(self, action: str, reason: str) -> None:
        super().__init__(
            Reason("Asterisk refused the action {action}: {reason}", {"action": action, "reason": reason or NO_REASON})
        )
        self.action = action
        self.reason = reason


class ActionTimeout(AmiError):
    pass


class InjectionRefused(AmiError):
    pass
