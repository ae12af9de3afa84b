"""Files kept by the portal: call recordings and whatever the drive holds. In memory."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True)
class ExpectedUpload:
    """A two-step upload whose first step was made: the second is a multipart post with the file in `field`.
    `complete(name, content)` gives the `result` of that post; it may raise RestError."""

    name: str
    field: str
    user_id: int
    complete: Callable[[str, bytes], Json]
    call_id: str = ""


@dataclass(slots=True)
class StoredFile:
    """`key` makes the download address unguessable; `owner` is the user who put it there."""

    id: int
    name: str
    content: bytes
    created: float
    owner: int
    key: str

    @property
    def media_type(self) -> str:
        return {"mp3": "audio/mpeg", "wav": "audio/wav"}.get(
            self.name.rpartition(".")[2].lower(), "application/octet-stream"
        )

    @property
    def path(self) -> str:
        """Where it can be downloaded, below the portal's address."""
        return f"/rest/download/{self.id}/{self.key}/{self.name}"


class Files:
    def __init__(self) -> None:
        self._files: dict[int, StoredFile] = {}
        self._last = 1000

    def add(self, name: str, content: bytes, created: float, owner: int) -> StoredFile:
        self._last += 1
        file = StoredFile(self._last, name, content, created, owner, secrets.token_urlsafe(12))
        self._files[file.id] = file
        return file

    def get(self, file_id: int) -> StoredFile | None:
        return self._files.get(file_id)

    def remove(self, file_id: int) -> None:
        self._files.pop(file_id, None)
