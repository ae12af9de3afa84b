"""The settings in sections by what people want to do. Pure.

Every setting is on exactly one page (a test says so): `parts` name the sections of the model that a page shows, or the
sections inside them.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from perezvon.settings.docs import inner_section, section_model
from perezvon.settings.model import Settings


def _(text: str) -> str:
    """Marks a text for translation."""
    return text


@dataclass(frozen=True, slots=True)
class Part:
    """A section of the model; with `inner` only that section inside it, else all of it without `without`."""

    section: str
    inner: str = ""
    without: frozenset[str] = frozenset()

    @property
    def many(self) -> bool:
        return section_model(Settings.model_fields[self.section])[1]

    @property
    def model(self) -> type[BaseModel]:
        model = section_model(Settings.model_fields[self.section])[0]
        below = inner_section(model.model_fields[self.inner]) if self.inner else None
        return below or model

    def holds(self, path: str) -> bool:
        """Whether the setting at `path` (`portal[0].automation.missed`) is shown in this part."""
        section, _, rest = path.partition(".")
        key = rest.partition(".")[0].partition("[")[0]
        if section.partition("[")[0] != self.section:
            return False
        return key == self.inner if self.inner else key not in self.without


@dataclass(frozen=True, slots=True)
class SettingsPage:
    slug: str
    title: str
    about: str
    icon: str
    parts: tuple[Part, ...]


PAGES = (
    SettingsPage(
        "pbx",
        _("Telephone exchange"),
        _("Which Asterisk is watched, how it is reached, which trunks it has."),
        "server",
        (Part("asterisk", without=frozenset({"wiring"})),),
    ),
    SettingsPage(
        "bitrix24",
        _("Bitrix24"),
        _("The portal that calls are written into, and who we are there."),
        "plug",
        (Part("portal", without=frozenset({"automation"})),),
    ),
    SettingsPage(
        "lines",
        _("Lines"),
        _("The company's own numbers: names, sources, who is responsible for them."),
        "phone",
        (Part("line"),),
    ),
    SettingsPage(
        "calls", _("Calls and cards"), _("How calls are understood, shown and counted."), "phone-call", (Part("calls"),)
    ),
    SettingsPage(
        "numbers", _("Numbers"), _("How numbers are written for the CRM and dialled."), "list-details", (Part("numbers"),)
    ),
    SettingsPage(
        "crm",
        _("Leads, deals, fields"),
        _("What a call leaves in the CRM, and who is told of it."),
        "address-book",
        (Part("crm"), Part("chat")),
    ),
    SettingsPage(
        "missed",
        _("Missed calls"),
        _("Whose they are, and the task that is made of them."),
        "phone-x",
        (Part("missed"),),
    ),
    SettingsPage(
        "autoconnect",
        _("Autoconnect"),
        _("Callers reach whoever is responsible for them."),
        "arrows-left-right",
        (Part("autoconnect"),),
    ),
    SettingsPage(
        "working-time",
        _("Working time"),
        _("When the company and its employees work."),
        "clock",
        (Part("working_time"),),
    ),
    SettingsPage(
        "recordings",
        _("Recordings"),
        _("Where they go, how long they are kept."),
        "microphone",
        (Part("recordings"),),
    ),
    SettingsPage("filters", _("Filters"), _("Calls that the portal is not told of."), "filter", (Part("filters"),)),
    SettingsPage("menu", _("Voice menu"), _("What callers are asked, and in which language."), "volume", (Part("ivr"),)),
    SettingsPage(
        "conference", _("Conference"), _("How a third person is brought into a call."), "users", (Part("conference"),)
    ),
    SettingsPage(
        "dialplan",
        _("Trunks and dialplan"),
        _("What Perezvon writes for the PBX, and where the PBX asks it."),
        "arrow-up-right",
        (Part("asterisk", "wiring"), Part("agi")),
    ),
    SettingsPage(
        "automation",
        _("Portal's automation"),
        _("Triggers, robots and callback forms."),
        "bell-ringing",
        (Part("portal", "automation"),),
    ),
    SettingsPage(
        "customisation",
        _("Customisation"),
        _("Functions of your own at the points of a call."),
        "api",
        (Part("customisation"),),
    ),
    SettingsPage(
        "service",
        _("This service"),
        _("Language and password of the pages, messages of troubles, log, own database."),
        "settings",
        (Part("web"), Part("alerts"), Part("log"), Part("database")),
    ),
)


def page_of(path: str) -> SettingsPage | None:
    """Where the setting at `path` is."""
    return next((page for page in PAGES if any(part.holds(path) for part in page.parts)), None)
