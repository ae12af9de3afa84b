"""Templates and how values look on pages. Everything that is put into a page is escaped."""

from __future__ import annotations

import datetime as dates
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from babel.dates import format_date, format_datetime, format_timedelta, get_day_names
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from perezvon.rules.vocabulary import Reason
from perezvon.settings.errors import told
from perezvon.web.translations import Language, catalog

STATIC = Path(__file__).parent / "static"


@dataclass(frozen=True, slots=True)
class Page:
    """A template, its language and its values."""

    template: str
    language: Language
    values: Mapping[str, Any]

    def html(self) -> str:
        return _environment(self.language).get_template(self.template).render(language=self.language, **self.values)


@cache
def _environment(language: Language) -> Environment:
    environment = Environment(
        loader=PackageLoader("perezvon.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = catalog(language)

    def reason(given: Reason | str) -> str:
        return told(Reason.of(given), words.gettext)

    def ago(moment: float | None, now: float) -> str:
        return "—" if moment is None else _ago(moment, now, language)

    def since(moment: float, now: float) -> str:
        return format_timedelta(timedelta(seconds=max(now - moment, 0)), locale=language)

    def when(moment: float | None) -> str:
        return "—" if moment is None else _when(moment, language)

    def day(moment: float | None) -> str:
        return (
            "—" if moment is None else format_date(datetime.fromtimestamp(moment).astimezone(), "d MMM y", locale=language)
        )

    def date(day: dates.date) -> str:
        return format_date(day, "d MMM", locale=language)

    def weekday(number: int) -> str:
        """0: Monday."""
        return get_day_names("abbreviated", locale=language)[number]

    def word(text: str) -> str:
        """A word of ours (a state, an outcome) in the page's language."""
        return words.gettext(text) if text else ""

    # No `{name}`-style formatting of foreign text anywhere: newstyle gettext escapes its arguments.
    environment.install_gettext_callables(  # type: ignore[attr-defined]
        words.gettext, words.ngettext, newstyle=True
    )
    filters = cast("dict[str, Callable[..., str]]", environment.filters)  # pyright: ignore[reportUnknownMemberType]
    filters.update(
        {
            "since": since,
            "day": day,
            "reason": reason,
            "ago": ago,
            "when": when,
            "duration": duration,
            "iso": iso,
            "word": word,
            "date": date,
            "weekday": weekday,
            "shortly": shortly,
        }
    )
    filters["browser"] = browser
    cast("dict[str, Any]", environment.globals).update({"asset": asset, "icon": icon})  # pyright: ignore[reportUnknownMemberType]
    return environment


@cache
def asset(name: str) -> str:
    """The address of a static file; another content has another one, so that browsers may keep it."""
    return f"/static/{name}?v={sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"


@cache
def icon(name: str) -> Markup:
    """One of static/vendor/icons.svg, for the eye only."""
    return Markup('<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"/></svg>').format(
        asset("vendor/icons.svg"), name
    )


def duration(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def browser(agent: str) -> str:
    """What a User-Agent means, shortly: `Firefox · Windows`."""
    names = (
        ("YaBrowser", "Yandex"),
        ("Edg", "Edge"),
        ("OPR", "Opera"),
        ("Firefox", "Firefox"),
        ("Chrom", "Chrome"),
        ("Safari", "Safari"),
    )
    systems = (
        ("Android", "Android"),
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    )
    found = [next((told for part, told in known if part in agent), "") for known in (names, systems)]
    return " · ".join(filter(None, found)) or agent[:40] or "—"


def shortly(path: str) -> str:
    """`portal[0].automation.missed` as files name it: `portal.automation.missed`."""
    return re.sub(r"\[-?\d+\]", "", path)


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _when(moment: float, language: Language) -> str:
    """In the time zone of this machine."""
    return format_datetime(datetime.fromtimestamp(moment).astimezone(), "d MMM HH:mm:ss", locale=language)


def _ago(moment: float, now: float, language: Language) -> str:
    return format_timedelta(timedelta(seconds=min(moment - now, 0)), add_direction=True, locale=language)
