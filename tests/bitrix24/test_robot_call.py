"""What comes to the robot's handler: read as far as it is documented, proven like an event, and turned away otherwise."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perezvon.bitrix24.events import BadEvent, EventError, Forged, accept_robot
from perezvon.sandbox.portal.php import build_form

FORM = "application/x-www-form-urlencoded"
TOKEN = "51856fefc120afa4b628cc82d3935cce"
CALL: dict[str, Any] = {
    "event_token": "abc",
    "code": "perezvon.call",
    "document_id": ["crm", "CCrmDocumentLead", "LEAD_5"],
    "properties": {"phone": "+7 916 555-00-11, +7 916 555-00-12", "responsible": "user_11", "text": "call"},
    "use_subscription": "Y",
    "auth": {"domain": "x.bitrix24.ru", "member_id": "m1", "application_token": TOKEN},
}


def body(**changes: Any) -> bytes:
    form = {name: value for name, value in {**CALL, **changes}.items() if value is not None}
    return urlencode(build_form(form)).encode()


def test_it_is_read() -> None:
    call = accept_robot(body(), FORM, [TOKEN], now=9.0, member_id="m1")
    assert (call.number, call.user, call.text) == ("+7 916 555-00-11", "11", "call")
    assert (call.document, call.entity, call.token) == ("LEAD_5", ("LEAD", "5"), "abc")
    assert "abc" not in call.key, "the token is no name"


def test_several_users_mean_the_first_and_what_is_not_documented_may_be_missing() -> None:
    call = accept_robot(
        body(
            event_token=None,
            code=None,
            use_subscription=None,
            document_id=None,
            properties={"phone": ["", "89165550011"], "responsible": ["user_12", "user_13"]},
        ),
        FORM,
        [TOKEN],
        now=9.0,
    )
    assert (call.number, call.user, call.entity, call.token) == ("89165550011", "12", ("", ""), "")


def test_the_same_run_has_the_same_key() -> None:
    one, again = (accept_robot(body(), FORM, [TOKEN], now=at) for at in (1.0, 2.0))
    assert one.key == again.key
    assert accept_robot(body(event_token="abd"), FORM, [TOKEN], now=1.0).key != one.key
    without, later = (accept_robot(body(event_token=None), FORM, [TOKEN], now=at) for at in (1.0, 2.0))
    assert without.key == later.key != one.key


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"auth": {"application_token": "guess", "member_id": "m1"}}, Forged),
        ({"auth": {"member_id": "m1"}}, Forged),
        ({"auth": None}, Forged),
        ({"auth": {"application_token": TOKEN, "member_id": "m2"}}, Forged),
        ({"properties": None}, BadEvent),
        ({"properties": "x"}, BadEvent),
    ],
)
def test_what_is_not_ours_is_refused(changes: dict[str, Any], expected: type[EventError]) -> None:
    with pytest.raises(expected) as refused:
        accept_robot(body(**changes), FORM, [TOKEN], now=1.0, member_id="m1")
    assert TOKEN not in str(refused.value)


def test_no_token_of_ours_means_nothing_is_accepted() -> None:
    with pytest.raises(Forged):
        accept_robot(body(), FORM, [""], now=1.0)


@given(st.binary(max_size=400), st.sampled_from([FORM, "", "application/json"]))
def test_whatever_comes_is_refused_with_words(given_body: bytes, kind: str) -> None:
    with pytest.raises(EventError):
        accept_robot(given_body, kind, [TOKEN], now=1.0)
