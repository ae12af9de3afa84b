"""From values to the texts of our include files: always the same texts for the same values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from perezvon.asterisk.wiring.values import Wiring

FOLDER = "perezvon"
"""Below the folder of Asterisk's configuration; everything that we write is in it."""

NAMES = (
    *("extensions.conf", "features.conf", "confbridge.conf", "musiconhold.conf"),
    *("indications.conf", "pjsip.conf", "manager.conf", "ari.conf"),
)

CONNECT = "autoconnect.conf"
"""The part of extensions.conf that is there when autoconnect is on."""

OWN_TONES = "perezvon"
"""The tone zone that we define, unless the settings name one of the PBX."""

PLAIN = "0-9A-Za-z+*#@._"
"""Characters of a caller's number that go on into variables and events."""

_HEAD = "; Written by `perezvon asterisk install` from Perezvon's settings. Change those, not this file.\n"
_TEMPLATES = files("perezvon.asterisk.wiring") / "templates"


@dataclass(frozen=True, slots=True)
class Rendered:
    """`secrets`: what of the text must not be shown."""

    name: str
    text: str
    secrets: frozenset[str] = frozenset()

    def __repr__(self) -> str:
        return f"Rendered({self.name}, {len(self.text)} characters)"


def render(wiring: Wiring, etc: str = "/etc/asterisk") -> tuple[Rendered, ...]:
    """`etc`: the configuration's folder as the PBX names it: the prompts are in ours below it, unless set otherwise."""
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 - no HTML
    values = {**_values(wiring, etc), "escaped": _escaped}
    secrets = frozenset(_escaped(secret) for secret in _secrets(wiring) if secret)
    rendered: list[Rendered] = []
    for name in NAMES:
        parts = [name, *([CONNECT] if name == "extensions.conf" and wiring.with_connect else [])]
        texts = [environment.from_string((_TEMPLATES / part).read_text(encoding="utf-8")).render(values) for part in parts]
        text = _HEAD + "\n\n".join(text.rstrip("\n") for text in texts) + "\n"
        rendered.append(Rendered(name, text, frozenset(secret for secret in secrets if secret in text)))
    return tuple(rendered)


def _values(wiring: Wiring, etc: str) -> Mapping[str, Any]:
    def channel(template: str, variable: str) -> str:
        return template.replace("{number}", f"${{{variable}}}")

    def outside(variable: str) -> str:
        return channel(wiring.dial_outside, f"FILTER(0-9,${{{variable}}})")

    def inside(variable: str) -> str:
        return channel(wiring.dial_inside, variable)

    portal = channel(wiring.dial_portal, "PEREZVON_LINE")
    fields = asdict(wiring)
    return {
        **{name: f"{value:g}" if isinstance(value, float) else value for name, value in fields.items()},
        "outside": outside,
        "inside": inside,
        "portal": portal,
        "callback": channel(wiring.dial_callback, "PEREZVON_LINE") if wiring.dial_callback else portal,
        "shows_client": wiring.third_sees == "client",
        "own_tones": not wiring.tones,
        "tones": wiring.tones or OWN_TONES,
        "sounds": wiring.sounds or f"{etc}/{FOLDER}/sounds",
        "plain": PLAIN,
    }


def _escaped(text: str) -> str:
    """A semicolon begins a comment; there is no other special character."""
    return text.replace(";", "\\;")


def _secrets(wiring: Wiring) -> list[str]:
    trunks = [trunk for trunk in (wiring.carrier, wiring.bitrix24) if trunk is not None]
    logins = [login for login in (wiring.ami, wiring.ari) if login is not None]
    return [
        *(secret for trunk in trunks for secret in (trunk.password, trunk.our_password)),
        *(login.password for login in logins),
    ]
