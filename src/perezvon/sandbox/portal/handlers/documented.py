"""Errors with the words of the documentation: found in the contract by what they say, never typed again."""

from __future__ import annotations

from perezvon.sandbox.portal.contract import contract
from perezvon.sandbox.portal.registry import RestError


def documented(method: str, about: str, **fill: object) -> RestError:
    """The error that the contract prints for `method` about this. `about`: its code, or words of its description
    in any case (some pages have the words in place of the code).

    `fill` puts values into the description's places: `documented("…binding.add", "NOT_FOUND")`,
    `documented("crm.item.add", "Invalid value", field="stageId")` replaces the word "field" in quotes.
    """
    wanted = about.lower()
    for error in contract().methods[method.lower()].errors:
        code = error.code.lower()
        if wanted in error.description.lower() or wanted == code or (" " in code and wanted in code):
            text = error.description or error.code
            for place, value in fill.items():
                for quote in ('"{}"', "'{}'", "<{}>", "{{{}}}", "{}"):
                    shown = quote.format(place)
                    if shown in text:
                        text = text.replace(shown, quote.format(value) if quote[0] in "\"'" else str(value), 1)
                        break
            return RestError(error.code, text, error.http)
    raise LookupError(f"{method}: the contract has no error about {about!r}; look at its `errors`")
