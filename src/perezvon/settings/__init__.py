"""The settings: one typed model, its files, its sealed history."""

from perezvon.settings.confidential import MASK, Secret
from perezvon.settings.errors import (
    InvalidSettings,
    KeyFileUnsafe,
    KeyLost,
    Mistake,
    SecretMissing,
    SettingsError,
    Translate,
    told,
)
from perezvon.settings.load import load
from perezvon.settings.model import (
    CallSettings,
    LineSettings,
    LogSettings,
    RecordingSettings,
    Settings,
    WebSettings,
)
from perezvon.settings.pbx import AsteriskSettings
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.settings.store import SettingsStore, Version

__all__ = [
    "MASK",
    "AsteriskSettings",
    "CallSettings",
    "InvalidSettings",
    "KeyFileUnsafe",
    "KeyLost",
    "LineSettings",
    "LogSettings",
    "Mistake",
    "PortalSettings",
    "RecordingSettings",
    "Secret",
    "SecretBox",
    "SecretMissing",
    "Settings",
    "SettingsError",
    "SettingsStore",
    "Translate",
    "Version",
    "WebSettings",
    "load",
    "told",
]
