"""Secrets at rest: sealed with the keys in the key file of the data directory, `DIR/secret.key`.

The file has one Fernet key a line, the newest first: the first seals, all of them open. It is made at first use, with mode
0600; one that others can read is refused. To change the key: `rotate()`, then save the settings again; then the older lines
may go. Without the file the sealed secrets are lost: back it up (`perezvon backup`).
"""

from __future__ import annotations

import hmac
import os
import stat
from pathlib import Path

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from perezvon.rules.vocabulary import Reason
from perezvon.settings.confidential import Secret
from perezvon.settings.errors import KeyFileUnsafe, KeyLost

KEY_FILE = "secret.key"

_SEALED = "sealed:"


class SecretBox:
    """Seals and opens with the keys of one data directory."""

    def __init__(self, keys: list[Fernet], path: Path) -> None:
        self._keys = MultiFernet(keys)
        self.path = path

    @classmethod
    def open(cls, data_dir: Path) -> SecretBox:
        """Reads the key file, makes it when there is none. Raises KeyFileUnsafe; OSError when it cannot be written."""
        path = data_dir / KEY_FILE
        if not path.exists():
            _make(path)
        if why := exposed(path):
            raise KeyFileUnsafe(why)
        return cls(_keys(path), path)

    def rotate(self) -> SecretBox:
        """Puts a new key in front; older ones go on opening. What is sealed is not touched."""
        older = self.path.read_text(encoding="ascii")
        fresh = self.path.with_suffix(".new")
        _write(fresh, Fernet.generate_key().decode() + "\n" + older)
        fresh.replace(self.path)
        return SecretBox(_keys(self.path), self.path)

    def seal(self, plain: bytes) -> bytes:
        return self._keys.encrypt(plain)

    def unseal(self, sealed: bytes) -> bytes:
        """Raises KeyLost when none of the keys opens it."""
        try:
            return self._keys.decrypt(sealed)
        except InvalidToken:
            raise KeyLost(
                Reason(
                    "the stored secrets cannot be opened with {path}: put back the key file they were sealed with, or "
                    "enter all settings anew (perezvon config apply --replace FILE)",
                    {"path": str(self.path)},
                )
            ) from None

    def signing_keys(self, purpose: str) -> tuple[bytes, ...]:
        """Keys for signatures, the newest first, made of those in the file; other purposes have others. Reads the file."""
        lines = self.path.read_text(encoding="ascii").split()
        return tuple(hmac.digest(line.encode("ascii"), purpose.encode(), "sha256") for line in lines)

    def sealed_secret(self, secret: Secret) -> str:
        """How a secret is stored: a reference as it is (it is none itself), anything else sealed."""
        return secret.raw if secret.is_reference else _SEALED + self.seal(secret.raw.encode()).decode("ascii")

    def unsealed_text(self, stored: str) -> str:
        """The inverse of `sealed_secret`. Raises KeyLost."""
        if not stored.startswith(_SEALED):
            return stored
        return self.unseal(stored[len(_SEALED) :].encode()).decode()


def exposed(path: Path) -> Reason | None:
    """Why the key file is not safe; None when it is."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        told = {"path": str(path), "mode": f"{mode:04o}"}
        return Reason("the key file {path} is open to others (mode {mode}): chmod 600 {path}", told)
    return None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    _write(fresh, Fernet.generate_key().decode() + "\n")
    try:
        os.link(fresh, path)  # two processes at once: the first one's key stays
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _keys(path: Path) -> list[Fernet]:
    try:
        keys = [Fernet(line.encode("ascii")) for line in path.read_text(encoding="utf-8").split()]
    except (ValueError, OSError, UnicodeDecodeError):
        keys = []
    if not keys:
        raise KeyFileUnsafe(
            Reason(
                "{path} is no key file of Perezvon: put the right one back, or remove it and enter the secrets anew",
                {"path": str(path)},
            )
        )
    return keys
