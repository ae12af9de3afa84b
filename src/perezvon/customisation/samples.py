"""An example of a call, for the points' samples. Values only."""

from __future__ import annotations

from typing import Any

CALL: dict[str, Any] = {
    "id": "main-1795251052.12",
    "pbx": "main",
    "direction": "incoming",
    "client": "+79161234567",
    "client_raw": "79161234567",
    "client_name": "",
    "line": "+74951234567",
    "line_raw": "74951234567",
    "trunk": "multifon",
    "started": "2026-11-21T09:00:00.000+00:00",
    "answered": "2026-11-21T09:00:08.000+00:00",
    "ended": "2026-11-21T09:00:50.000+00:00",
    "outcome": "answered",
    "duration": 42.0,
    "rung": ["101", "102"],
    "talkers": ["101"],
    "last_talker": "101",
    "transfers": [],
    "picked_up_by": None,
    "forwarded_to": None,
    "queue": None,
    "menu": ["2"],
    "third_parties": [],
    "recordings": ["2026/11/21/in-101-1795251052.12.wav"],
    "legs": [],
}
