"""What the audit log tells of: one word for each kind of change. Pages show it in their language."""

from __future__ import annotations

from enum import StrEnum


class Deed(StrEnum):
    SIGN_IN = "sign_in"
    SIGN_IN_FAILED = "sign_in_failed"
    SIGN_OUT = "sign_out"
    PASSWORD_SET = "password_set"  # noqa: S105  no password
    SECOND_FACTOR_ON = "second_factor_on"
    SECOND_FACTOR_OFF = "second_factor_off"
    SESSION_ENDED = "session_ended"
    TOKEN_MADE = "token_made"  # noqa: S105
    TOKEN_WITHDRAWN = "token_withdrawn"  # noqa: S105
    SETTINGS_SAVED = "settings_saved"
    EXPORTED = "exported"
    WIRING_WRITTEN = "wiring_written"
    PERSON_ADDED = "person_added"
    PERSON_CHANGED = "person_changed"
    PERSON_REMOVED = "person_removed"
    PERSON_RESET = "person_reset"
    STEP_SENT_AGAIN = "step_sent_again"
    STEP_LEFT_OUT = "step_left_out"
    PORTAL_PAUSED = "portal_paused"
    PORTAL_RESUMED = "portal_resumed"
    CALLED_BACK = "called_back"
