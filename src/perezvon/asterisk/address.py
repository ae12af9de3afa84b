"""Where a PBX listens and who we are there: `tcp://user:secret@host:5038`. Touches nothing."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote, urlsplit

DEFAULT_PORTS = {"tcp": 5038, "tls": 5039}
_EXAMPLE = "tcp://user:secret@127.0.0.1:5038"
_YES = {"yes", "true", "1"}
_NO = {"no", "false", "0"}


@dataclass(frozen=True, slots=True)
class AmiAddress:
    """`tls` uses the system's certificate authorities, or those of `ca_file`; `verify=False` takes any certificate."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: bool = False
    ca_file: str = ""
    verify: bool = True

    @classmethod
    def parse(cls, text: str) -> AmiAddress:
        """`tcp://user:secret@host:port` or `tls://user:secret@host:port?ca=/path/ca.pem` (or `?verify=no`).

        User and secret are percent-decoded; the ports are 5038 and 5039 when left out. Raises ValueError, whose message
        never contains the secret.
        """
        try:
            parts = urlsplit(text.strip())
            port = parts.port
            query = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            raise ValueError(
                f"this AMI address cannot be read: its host or port is malformed. Write it like {_EXAMPLE}; "
                "in the user and the secret, the characters : / ? # [ ] @ % stand as %3A %2F %3F %23 %5B %5D %40 %25"
            ) from None
        if parts.scheme not in DEFAULT_PORTS:
            raise ValueError(f"an AMI address begins with tcp:// or tls://, like {_EXAMPLE}; this one does not")
        if not parts.hostname:
            raise ValueError(f"this AMI address names no host. Write it like {_EXAMPLE}")
        if not parts.username or parts.password is None:
            raise ValueError(
                f"this AMI address for {parts.hostname} lacks the user or the secret. Write it like {_EXAMPLE}"
            )
        if parts.path not in {"", "/"} or parts.fragment:
            raise ValueError(
                f"this AMI address for {parts.hostname} has something after the port. If the secret contains / or #, write "
                "them as %2F and %23"
            )
        user, secret = unquote(parts.username), unquote(parts.password)
        if any(char in user + secret for char in "\r\n\0"):
            raise ValueError(f"the user or the secret for {parts.hostname} contains a line break or NUL")
        options = {"ca": "", "verify": "yes"}
        for name, value in query:
            if name not in options:
                raise ValueError(
                    f"unknown option {name!r} in the AMI address for {parts.hostname}: known are ca and verify"
                )
            options[name] = value
        if options["verify"].lower() not in _YES | _NO:
            raise ValueError(f"verify in the AMI address for {parts.hostname} is yes or no, not {options['verify']!r}")
        return cls(
            host=parts.hostname,
            port=port or DEFAULT_PORTS[parts.scheme],
            user=user,
            secret=secret,
            tls=parts.scheme == "tls",
            ca_file=options["ca"],
            verify=options["verify"].lower() in _YES,
        )

    def __str__(self) -> str:
        """For logs and pages: without the secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'tcp'}://{self.user}@{host}:{self.port}"

    def ssl_context(self) -> ssl.SSLContext | None:
        """None for plain TCP. Raises OSError (`ssl.SSLError` is one) when `ca_file` cannot be read."""
        if not self.tls:
            return None
        context = ssl.create_default_context(cafile=self.ca_file or None)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context
