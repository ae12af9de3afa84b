"""What commands print: words in the terminal's language, or JSON in English for scripts; complaints on standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from rich.console import Console
from rich.text import Text

from perezvon.web.translations import Language, catalog, of_environment


class Speech:
    """`as_json`: standard output gets JSON only, in English."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        names = (os.environ.get(name, "") for name in ("LC_ALL", "LC_MESSAGES", "LANG"))
        self.language: Language = "en" if as_json else of_environment(names)
        self.translate = catalog(self.language).gettext
        self.out = Console(soft_wrap=True, highlight=False)
        self.err = Console(stderr=True, soft_wrap=True, highlight=False)

    def say(self, text: str, style: str = "") -> None:
        """For people; nothing when JSON is wanted."""
        if not self.as_json:
            self.out.print(Text(text, style))

    def answer(self, value: Any, *, one_line: bool = False) -> None:
        """For scripts; nothing when words are wanted."""
        if self.as_json:
            sys.stdout.write(json.dumps(value, ensure_ascii=False, indent=None if one_line else 2) + "\n")

    def complain(self, text: str) -> None:
        self.err.print(Text(text, "red"))
