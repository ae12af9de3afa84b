"""Finds the Debian mirror that this machine uses, in its own apt sources. Reads files only.

Both forms are understood: one line a source (`*.list`) and deb822 stanzas (`*.sources`). Source: sources.list(5).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SUITE = re.compile(r"(stable|oldstable|testing|unstable|sid|bullseye|bookworm|trixie|forky|duke)(-updates)?")
"""The suites of Debian's main archive: security fixes, backports and other vendors' packages have other servers."""

_LINE = re.compile(r"^\s*deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)\s+(?P<components>[^#]+)")


@dataclass(frozen=True, slots=True)
class Source:
    """One place that packages come from; `uri` as apt has it (`http://…`, `mirror+file:…`)."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]


def debian_mirror(etc_apt: Path = Path("/etc/apt")) -> str | None:
    """The address of the first mirror of Debian's main archive, or None when this machine has none (it is not Debian)."""
    for source in sources(etc_apt):
        if "main" in source.components and any(SUITE.fullmatch(suite) for suite in source.suites):
            return source.uri
    return None


def sources(etc_apt: Path) -> Iterator[Source]:
    """Every enabled binary source, in apt's own order."""
    files = [etc_apt / "sources.list", *sorted((etc_apt / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        if file.suffix == ".list":
            yield from _lines(text)
        elif file.suffix == ".sources":
            yield from _stanzas(text)


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        if found := _LINE.match(line):
            yield Source(found["uri"], (found["suite"],), tuple(found["components"].split()))


def _stanzas(text: str) -> Iterator[Source]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for stanza in re.split(r"\n\s*\n", "\n".join(lines)):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isspace():
                fields[name] = f"{fields.get(name, '')} {line.strip()}"
            elif ":" in line:
                name, _, value = line.partition(":")
                name = name.strip().lower()
                fields[name] = value.strip()
        if fields.get("enabled", "yes").lower() in {"no", "false", "0"} or "deb" not in fields.get("types", "").split():
            continue
        for uri in fields.get("uris", "").split():
            yield Source(uri, tuple(fields.get("suites", "").split()), tuple(fields.get("components", "").split()))
