"""What a form of settings wants, read on top of the version or the draft that it was made of."""

from __future__ import annotations

from perezvon.web.settings_desk import SettingsDesk
from perezvon.web.settings_draft import Draft, draft_of, opened
from perezvon.web.settings_sections import SettingsPage
from perezvon.web.settings_sent import Sent, Texts, sent


async def read(desk: SettingsDesk, page: SettingsPage, form: Texts) -> tuple[Draft, Sent]:
    """The draft may be wrong as a whole yet (`Draft.settings`). Raises SettingsError."""
    if sealed := form.get("draft", [""])[-1]:
        start = opened(sealed, desk)
    else:
        on = form.get("on", ["0"])[-1]
        version = await desk.version(int(on) if on.isascii() and on.isdigit() and len(on) < 16 else 0)
        start = draft_of(version.id, version.settings, page.slug)
    found = sent(page, start.named, form)
    return Draft(start.on, found.named, page.slug, start.note), found
