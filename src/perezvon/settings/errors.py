"""What can be wrong with settings. Every error says what, where and what to do, in a form that can be translated.

::

    SettingsError            anything below
    ├── InvalidSettings      the settings themselves: correct the file (or the form)
    ├── SecretMissing        `env:NAME` or `file:PATH` leads to nothing: set the variable, write the file
    ├── KeyLost              sealed secrets cannot be opened with the keys at hand: put the right key file back
    ├── KeyFileUnsafe        the key file is readable by others, or is no key file
    └── UnfitWiring          each setting is right, but together they cannot be written for a PBX: change one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perezvon.rules.vocabulary import Reason

Translate = Callable[[str], str]


def told(reason: Reason, translate: Translate) -> str:
    """The reason in the language of `translate` (a gettext function)."""
    return reason.told(translate)


class SettingsError(Exception):
    """`reason` is the message, translatable; `str()` gives it in English."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(str(reason))
        self.reason = reason

    def told(self, translate: Translate) -> str:
        return told(self.reason, translate)


class SecretMissing(SettingsError):
    pass


class KeyLost(SettingsError):
    pass


class KeyFileUnsafe(SettingsError):
    pass


class UnfitWiring(SettingsError):
    pass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One wrong setting: its path (`line[0].number`; "" for the file as a whole), the line of the file where it stands
    (None when not known), and what is wrong."""

    path: str
    line: int | None
    reason: Reason

    def told(self, translate: Translate, source: str = "") -> str:
        """`perezvon.toml:14: line[0].number: this setting is required`."""
        place = f"{source}:{self.line}" if source and self.line else source or (f"{self.line}" if self.line else "")
        return ": ".join(part for part in (place, self.path, told(self.reason, translate)) if part)


class InvalidSettings(SettingsError):
    """`mistakes` has all of them, in the order of the file. `source` names the file, or is empty."""

    def __init__(self, mistakes: Sequence[Mistake], source: str = "") -> None:
        super().__init__(mistakes[0].reason)
        self.mistakes = tuple(mistakes)
        self.source = source

    def told(self, translate: Translate) -> str:
        return "\n".join(mistake.told(translate, self.source) for mistake in self.mistakes)

    def __str__(self) -> str:
        return self.told(lambda text: text)


class Wrong(ValueError):
    """Raised by the model's own validators. `at` leads from the validated thing to the wrong setting inside it."""

    def __init__(self, reason: Reason, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.at = at
