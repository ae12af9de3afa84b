"""`[crm]` and `[chat]` are checked when they are saved, as far as that needs no portal."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from perezvon.settings.crm import ChatSettings, CrmSettings, FieldSettings


def test_good_fields() -> None:
    made = CrmSettings.model_validate({"field": ({"of": "lead", "name": "UF_CRM_1", "value": "{line.name|upper}"},)})
    assert (made.field[0].existing, made.field[0].objects) == ("keep", "all")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "title"},
        {"name": "ID"},
        {"name": "OWNER_ID"},
        {"value": "{nobody}"},
        {"value": ""},
        {"value": "{client.__class__}"},
        {"of": "invoice"},
        {"existing": "wipe"},
        {"of": "activity", "name": "DESCRIPTION", "value": "{recording}"},
    ],
)
def test_bad_fields(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        FieldSettings.model_validate({"of": "lead", "name": "TITLE", "value": "{client}", **wrong})


def test_a_fixed_responsible_is_somebody() -> None:
    with pytest.raises(ValidationError):
        CrmSettings(lead_responsible="fixed")
    assert CrmSettings.model_validate({"lead_responsible": "fixed", "lead_user": 5}).lead_user == "5"


@pytest.mark.parametrize(("given", "kept"), [("chat12", "chat12"), (5, "5"), ("5", "5"), ("", "")])
def test_whom_to_tell(given: object, kept: str) -> None:
    assert ChatSettings.model_validate({"leads": given}).leads == kept


@pytest.mark.parametrize("given", ["chat", "chat0", "Leads", "chat1 chat2", "0", -1, True])
def test_nobody_to_tell(given: object) -> None:
    with pytest.raises(ValidationError):
        ChatSettings.model_validate({"leads": given})
