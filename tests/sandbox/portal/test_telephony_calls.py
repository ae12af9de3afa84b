"""telephony.externalCall.*: register, cards, finish, search. Each test proves a documented rule over HTTP."""

from __future__ import annotations

import re
from typing import Any

import pytest
from portal_client import Rest

from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.crm import Entity

Json = Any
CLIENT = "+79161234567"
KNOWN_CONTACT = "+79165550011"
EMPLOYEE_MOBILE = "+79161110102"


async def register(rest: Rest, **params: Json) -> Json:
    return await rest.call("telephony.externalCall.register", **{"USER_ID": 11, "PHONE_NUMBER": CLIENT, "TYPE": 2} | params)


async def finish(rest: Rest, call_id: str, **params: Json) -> Json:
    return await rest.call("telephony.externalCall.finish", **{"CALL_ID": call_id, "USER_ID": 11} | params)


def lead(portal: PortalServer, number: int) -> Entity:
    found = portal.state.crm.get("LEAD", number)
    assert found is not None
    return found


class TestRegister:
    async def test_gives_a_call_id_of_the_documented_form(self, app: Rest) -> None:
        result = await register(app)
        assert re.fullmatch(r"externalCall\.[0-9a-f]{32}\.\d{10}", result["CALL_ID"])
        assert result["CRM_CREATED_LEAD"] is None
        assert result["CRM_CREATED_ENTITIES"] == []

    @pytest.mark.parametrize(
        ("params", "text"),
        [
            ({"USER_ID": None}, "USER_ID or USER_PHONE_INNER should be set."),
            ({"USER_ID": None, "USER_PHONE_INNER": "999"}, "USER_ID or USER_PHONE_INNER should be set."),
            ({"USER_ID": None, "USER_PHONE_INNER": "110"}, "USER_ID or USER_PHONE_INNER should be set."),
            ({"USER_ID": 17}, "User is not found or is not active."),
            ({"USER_ID": 999}, "User is not found or is not active."),
            ({"TYPE": 9}, "Unknown TYPE."),
            ({"TYPE": None}, "Unknown TYPE."),
            ({"CALL_START_DATE": "yesterday"}, "CALL_START_DATE should be in the ISO-8601 format."),
            ({"CALL_START_DATE": "2026-11-21T10:00:00"}, "CALL_START_DATE should be in the ISO-8601 format."),
            ({"PHONE_NUMBER": "Multifon"}, "Unsupported phone number format."),
            ({"PHONE_NUMBER": None}, "Unsupported phone number format."),
        ],
    )
    async def test_refusals(self, app: Rest, portal: PortalServer, params: dict[str, Json], text: str) -> None:
        refused = await app.refused(
            "telephony.externalCall.register", **{"USER_ID": 11, "PHONE_NUMBER": CLIENT, "TYPE": 2} | params
        )
        assert (refused.http, refused.code, refused.description) == (400, "ERROR_CORE", text)
        assert portal.calls() == []

    async def test_by_extension_and_user_id_wins(self, app: Rest, portal: PortalServer) -> None:
        await register(app, USER_ID=None, USER_PHONE_INNER="102")
        await register(app, USER_ID=13, USER_PHONE_INNER="102")
        await register(app, USER_ID=0, USER_PHONE_INNER="103", EXTERNAL_CALL_ID="x")
        assert [call.user_id for call in portal.calls()] == [12, 13, 13]

    async def test_start_date_is_kept(self, app: Rest, portal: PortalServer) -> None:
        call = await register(app, CALL_START_DATE="2026-11-20T10:00:00+03:00")
        await finish(app, call["CALL_ID"], DURATION=5)
        row = (await app.call("voximplant.statistic.get"))[0]
        assert row["CALL_START_DATE"] == "2026-11-20T10:00:00+03:00"

    async def test_repeated_within_thirty_minutes_is_the_same_call(self, app: Rest, portal: PortalServer) -> None:
        first = await register(app, CRM_CREATE=1)
        again = await register(app, CRM_CREATE=0, CALL_START_DATE="2026-11-20T10:00:00+03:00")
        assert again == first, "CRM fields and start date are not part of the key; the earlier CRM result comes back"
        portal.state.clock.advance(29 * 60)
        assert (await register(app))["CALL_ID"] == first["CALL_ID"]
        portal.state.clock.advance(2 * 60)
        assert (await register(app))["CALL_ID"] != first["CALL_ID"]
        assert portal.calls()[0].registrations == 3

    @pytest.mark.parametrize(
        "other",
        [{"USER_ID": 12}, {"TYPE": 1}, {"PHONE_NUMBER": "+79160000000"}, {"LINE_NUMBER": "1"}, {"EXTERNAL_CALL_ID": "b"}],
    )
    async def test_what_makes_another_call(self, app: Rest, other: dict[str, Json]) -> None:
        first = await register(app, EXTERNAL_CALL_ID="a")
        params = {"EXTERNAL_CALL_ID": "a"} | other
        assert (await register(app, **params))["CALL_ID"] != first["CALL_ID"]

    async def test_without_external_id_the_live_call_swallows_the_next(self, app: Rest) -> None:
        first = await register(app, EXTERNAL_CALL_ID="a", LINE_NUMBER="74951234567")
        assert (await register(app))["CALL_ID"] == first["CALL_ID"]

    async def test_a_finished_call_is_no_duplicate(self, app: Rest) -> None:
        first = await register(app)
        await finish(app, first["CALL_ID"])
        assert (await register(app))["CALL_ID"] != first["CALL_ID"]

    async def test_repeated_registration_shows_the_card_again(self, app: Rest, portal: PortalServer) -> None:
        await register(app, SHOW=0)
        assert portal.calls()[0].visible_to() == []
        await register(app, SHOW=1)
        assert portal.calls()[0].visible_to() == [11]

    async def test_unknown_line_is_added_nameless(self, app: Rest) -> None:
        await register(app, LINE_NUMBER="+74951234567")
        assert await app.call("telephony.externalLine.get") == [
            {"NUMBER": "+74951234567", "NAME": "", "CRM_AUTO_CREATE": "Y"}
        ]

    async def test_events_come_at_once(self, app: Rest, portal: PortalServer) -> None:
        await app.call("event.bind", event="OnVoximplantCallInit", event_type="offline")
        await app.call("event.bind", event="OnVoximplantCallStart", event_type="offline")
        call = await register(app)
        events = (await app.call("event.offline.get"))["events"]
        assert [(e["EVENT_NAME"], e["EVENT_DATA"]["CALL_ID"]) for e in events] == [
            ("ONVOXIMPLANTCALLINIT", call["CALL_ID"]),
            ("ONVOXIMPLANTCALLSTART", call["CALL_ID"]),
        ]
        assert events[0]["EVENT_DATA"] == {
            "CALL_ID": call["CALL_ID"],
            "CALL_TYPE": "2",
            "CALLER_ID": CLIENT,
            "REST_APP_ID": "1",
        }


class TestCrm:
    async def test_known_number_is_linked_whatever_its_spelling(self, app: Rest, portal: PortalServer) -> None:
        result = await register(app, PHONE_NUMBER="8 (916) 555-00-11", CRM_CREATE=1)
        assert (result["CRM_ENTITY_TYPE"], result["CRM_ENTITY_ID"]) == ("CONTACT", 1)
        assert result["CRM_CREATED_ENTITIES"] == []
        assert portal.calls()[0].bindings == [("CONTACT", 1), ("DEAL", 1)]

    async def test_given_object_is_the_primary_one(self, app: Rest) -> None:
        result = await register(app, PHONE_NUMBER=KNOWN_CONTACT, CRM_ENTITY_TYPE="LEAD", CRM_ENTITY_ID=1)
        assert (result["CRM_ENTITY_TYPE"], result["CRM_ENTITY_ID"]) == ("LEAD", 1)

    async def test_classic_mode_makes_a_lead(self, app: Rest, portal: PortalServer) -> None:
        result = await register(app, CRM_CREATE=1, CRM_SOURCE="ADVERTISING", USER_ID=12)
        assert result["CRM_ENTITY_TYPE"] == "LEAD"
        assert result["CRM_CREATED_ENTITIES"] == [{"ENTITY_TYPE": "LEAD", "ENTITY_ID": result["CRM_CREATED_LEAD"]}]
        made = lead(portal, result["CRM_CREATED_LEAD"])
        assert made.text("SOURCE_ID") == "ADVERTISING"
        assert made.responsible == 12
        assert made.title == "+7 916 123-45-67 - Входящий звонок"
        assert made.fields["PHONE"][0] | {"ID": ""} == {
            "ID": "",
            "TYPE_ID": "PHONE",
            "VALUE_TYPE": "WORK",
            "VALUE": CLIENT,
        }

    @pytest.mark.parametrize(("source", "kept"), [("NO_SUCH", "CALL"), (None, "CALL"), ("WEB", "WEB")])
    async def test_unknown_source_falls_back(self, app: Rest, portal: PortalServer, source: str | None, kept: str) -> None:
        result = await register(app, CRM_CREATE=1, CRM_SOURCE=source)
        assert lead(portal, result["CRM_CREATED_LEAD"]).text("SOURCE_ID") == kept

    async def test_the_next_call_of_that_number_finds_the_lead(self, app: Rest) -> None:
        first = await register(app, CRM_CREATE=1)
        await finish(app, first["CALL_ID"])
        second = await register(app, CRM_CREATE=1)
        assert second["CRM_ENTITY_ID"] == first["CRM_CREATED_LEAD"]
        assert second["CRM_CREATED_LEAD"] is None

    async def test_employees_number_makes_no_lead(self, app: Rest, portal: PortalServer) -> None:
        result = await register(app, PHONE_NUMBER=EMPLOYEE_MOBILE, CRM_CREATE=1)
        assert "Петрова" in result["LEAD_CREATION_ERROR"]
        assert result["CRM_CREATED_LEAD"] is None
        assert len(portal.state.crm.of("LEAD")) == 1

    async def test_an_extension_is_an_internal_call(self, app: Rest, portal: PortalServer) -> None:
        result = await register(app, PHONE_NUMBER="102", CRM_CREATE=1)
        assert result["CRM_CREATED_ENTITIES"] == []
        assert portal.calls()[0].internal

    async def test_line_flag_decides_for_outgoing_calls(self, app: Rest) -> None:
        await app.call("telephony.externalLine.add", NUMBER="1", CRM_AUTO_CREATE="N")
        assert (await register(app, TYPE=1, LINE_NUMBER="1", CRM_CREATE=1))["CRM_CREATED_LEAD"] is None
        assert (await register(app, TYPE=2, LINE_NUMBER="1", CRM_CREATE=1))["CRM_CREATED_LEAD"]

    async def test_crm_events_are_told(self, app: Rest) -> None:
        await app.call("event.bind", event="onCrmLeadAdd", event_type="offline")
        result = await register(app, CRM_CREATE=1)
        event = (await app.call("event.offline.get"))["events"][0]
        assert event["EVENT_DATA"] == {"FIELDS": {"ID": str(result["CRM_CREATED_LEAD"])}}

    async def test_search_gives_contacts_leads_companies_and_no_deals(self, app: Rest, portal: PortalServer) -> None:
        crm = portal.state.crm
        for type_, title in (("COMPANY", "Ко"), ("LEAD", "Лид"), ("CONTACT", "")):
            crm.add(type_, {"TITLE": title, "NAME": "Имя", "ASSIGNED_BY_ID": "12", "PHONE": [crm.phone(CLIENT)]})
        found = await app.call("telephony.externalCall.searchCrmEntities", PHONE_NUMBER="89161234567")
        assert [row["CRM_ENTITY_TYPE"] for row in found] == ["CONTACT", "LEAD", "COMPANY"]
        assert found[0]["ASSIGNED_BY"] == {
            "ID": "12",
            "TIMEMAN_STATUS": "OPENED",
            "USER_PHONE_INNER": "102",
            "WORK_PHONE": None,
            "PERSONAL_PHONE": None,
            "PERSONAL_MOBILE": EMPLOYEE_MOBILE,
        }
        assert await app.call("telephony.externalCall.searchCrmEntities", PHONE_NUMBER="+79999999999") == []


class TestSimpleCrm:
    @pytest.fixture
    def portal_config(self) -> PortalConfig:
        return PortalConfig(rate=None, crm_mode=2)

    async def test_contact_and_deal(self, app: Rest) -> None:
        result = await register(app, CRM_CREATE=1)
        assert result["CRM_CREATED_LEAD"] is None
        assert [made["ENTITY_TYPE"] for made in result["CRM_CREATED_ENTITIES"]] == ["CONTACT", "DEAL"]
        assert result["CRM_ENTITY_TYPE"] == "CONTACT"


class TestCards:
    async def test_ring_group(self, app: Rest, portal: PortalServer) -> None:
        call = (await register(app, SHOW=0))["CALL_ID"]
        assert await app.call("telephony.externalCall.show", CALL_ID=call, USER_ID=[11, 12, 13]) is True
        assert portal.calls()[0].visible_to() == [11, 12, 13]
        assert await app.call("telephony.externalCall.hide", CALL_ID=call, USER_ID=["11", "13"]) is True
        assert portal.calls()[0].visible_to() == [12]

    async def test_default_is_the_registering_user(self, app: Rest, portal: PortalServer) -> None:
        call = (await register(app, USER_ID=12))["CALL_ID"]
        assert await app.call("telephony.externalCall.hide", CALL_ID=call)
        assert portal.calls()[0].visible_to() == []
        assert await app.call("telephony.externalCall.show", CALL_ID=call)
        assert portal.calls()[0].visible_to() == [12]
        assert [card.hidden_by for card in portal.calls()[0].cards] == ["hide", ""]

    async def test_a_webhook_may(self, app: Rest, hook: Rest, portal: PortalServer) -> None:
        call = (await register(app))["CALL_ID"]
        assert await hook.call("telephony.externalCall.show", CALL_ID=call, USER_ID=12) is True
        assert portal.calls()[0].visible_to() == [11, 12]

    async def test_dead_and_unknown_calls_answer_false(self, app: Rest) -> None:
        call = (await register(app))["CALL_ID"]
        await finish(app, call)
        for method in ("telephony.externalCall.show", "telephony.externalCall.hide"):
            assert await app.call(method, CALL_ID=call, USER_ID=11) is False
            assert await app.call(method, CALL_ID="externalCall.nothing", USER_ID=11) is False

    async def test_finish_hides_only_the_finishing_users_card(self, app: Rest, portal: PortalServer) -> None:
        call = (await register(app))["CALL_ID"]
        await app.call("telephony.externalCall.show", CALL_ID=call, USER_ID=12)
        await finish(app, call, USER_ID=12)
        assert portal.calls()[0].leftover_cards == [11]

    async def test_a_browser_with_a_card_open_drops_the_next(self, app: Rest, portal: PortalServer) -> None:
        await register(app, EXTERNAL_CALL_ID="1")
        await register(app, EXTERNAL_CALL_ID="2")
        first, second = portal.calls()
        assert (first.visible_to(), second.visible_to()) == ([11], [])
        assert second.cards[0].dropped
        await app.call("telephony.externalCall.hide", CALL_ID=first.id)
        await app.call("telephony.externalCall.show", CALL_ID=second.id)
        assert second.visible_to() == [11]


class TestFinish:
    async def test_result_and_statistics(self, app: Rest, portal: PortalServer) -> None:
        call = await register(app, PHONE_NUMBER=KNOWN_CONTACT, LINE_NUMBER="+74951234567", EXTERNAL_CALL_ID="our-1")
        result = await finish(app, call["CALL_ID"], USER_ID=12, DURATION=42, STATUS_CODE=200, VOTE=5, COST=1.5)
        assert result == {
            "CALL_ID": call["CALL_ID"],
            "EXTERNAL_CALL_ID": "our-1",
            "PORTAL_USER_ID": 12,
            "PHONE_NUMBER": KNOWN_CONTACT,
            "PORTAL_NUMBER": "+74951234567",
            "INCOMING": "2",
            "CALL_DURATION": 42,
            "CALL_START_DATE": {},
            "CALL_STATUS": 1,
            "CALL_VOTE": 5,
            "COST": 1.5,
            "COST_CURRENCY": "",
            "CALL_FAILED_CODE": "200",
            "CALL_FAILED_REASON": "",
            "REST_APP_ID": "1",
            "REST_APP_NAME": "Перезвон",
            "CRM_ACTIVITY_ID": 1,
            "COMMENT": None,
            "CRM_ENTITY_TYPE": "CONTACT",
            "CRM_ENTITY_ID": 1,
            "ID": 1,
        }
        row = (await app.call("voximplant.statistic.get", FILTER={"CALL_ID": call["CALL_ID"]}))[0]
        assert (row["CALL_CATEGORY"], row["CALL_DURATION"], row["PORTAL_USER_ID"]) == ("external", "42", "12")
        assert row["RECORD_FILE_ID"] is None

    async def test_nothing_in_statistics_before(self, app: Rest) -> None:
        await register(app)
        assert await app.call("voximplant.statistic.get") == []

    @pytest.mark.parametrize(
        ("params", "code", "status"),
        [
            ({"DURATION": 10}, "200", 1),
            ({}, "304", 0),
            ({"DURATION": 0, "STATUS_CODE": "603-S"}, "603-S", 0),
            ({"DURATION": 7, "STATUS_CODE": "304"}, "304", 1),
        ],
    )
    async def test_status(self, app: Rest, params: dict[str, Json], code: str, status: int) -> None:
        result = await finish(app, (await register(app))["CALL_ID"], **params)
        assert (result["CALL_FAILED_CODE"], result["CALL_STATUS"]) == (code, status)

    async def test_second_finish_fails(self, app: Rest) -> None:
        call = (await register(app))["CALL_ID"]
        await finish(app, call)
        refused = await app.refused("telephony.externalCall.finish", CALL_ID=call, USER_ID=11)
        assert refused.code == "ERROR_CORE"
        assert refused.description == "Call is not found (call should be registered prior to finishing)"

    @pytest.mark.parametrize(
        ("params", "code", "text"),
        [
            ({"USER_ID": 17}, "ERROR_CORE", "User is not found or is not active"),
            ({"USER_ID": None}, "ERROR_CORE", "USER_ID or USER_PHONE_INNER should be set"),
            ({"CALL_ID": None}, "INVALID_ARGUMENT", "CALL_ID must be a string"),
            ({"CALL_ID": ["a"]}, "INVALID_ARGUMENT", "CALL_ID must be a string"),
        ],
    )
    async def test_refusals_leave_the_call_live(
        self, app: Rest, portal: PortalServer, params: dict[str, Json], code: str, text: str
    ) -> None:
        call = (await register(app))["CALL_ID"]
        refused = await app.refused("telephony.externalCall.finish", **{"CALL_ID": call, "USER_ID": 11} | params)
        assert (refused.code, refused.description) == (code, text)
        assert portal.calls()[0].live

    async def test_activity(self, app: Rest, portal: PortalServer) -> None:
        call = await register(app, PHONE_NUMBER=KNOWN_CONTACT, CALL_START_DATE="2026-11-20T10:00:00+03:00")
        result = await finish(app, call["CALL_ID"], USER_ID=12, DURATION=60)
        activity = portal.state.crm.get("ACTIVITY", result["CRM_ACTIVITY_ID"])
        assert activity is not None
        fields = activity.fields
        assert (fields["TYPE_ID"], fields["PROVIDER_ID"], fields["DIRECTION"]) == ("2", "VOXIMPLANT_CALL", "1")
        assert fields["ORIGIN_ID"] == f"VI_{call['CALL_ID']}"
        assert (fields["RESPONSIBLE_ID"], fields["COMPLETED"]) == ("12", "Y")
        assert (fields["START_TIME"], fields["END_TIME"]) == ("2026-11-20T10:00:00+03:00", "2026-11-20T10:01:00+03:00")
        assert fields["BINDINGS"] == [
            {"OWNER_TYPE_ID": "3", "OWNER_ID": "1"},
            {"OWNER_TYPE_ID": "2", "OWNER_ID": "1"},
        ]

    async def test_no_crm_object_no_activity(self, app: Rest) -> None:
        result = await finish(app, (await register(app))["CALL_ID"], DURATION=5)
        assert not result["CRM_ACTIVITY_ID"]
        assert result["ERRORS"]["ACTIVITY_CREATION"]

    async def test_created_lead_goes_to_the_last_talker_but_an_old_one_stays(self, app: Rest, portal: PortalServer) -> None:
        first = await register(app, CRM_CREATE=1)
        await finish(app, first["CALL_ID"], USER_ID=13, DURATION=5)
        assert lead(portal, first["CRM_CREATED_LEAD"]).responsible == 13
        second = await register(app, CRM_CREATE=1)
        await finish(app, second["CALL_ID"], USER_ID=14, DURATION=5)
        assert lead(portal, first["CRM_CREATED_LEAD"]).responsible == 13

    async def test_missed_call_is_flagged_until_called_back(self, app: Rest, portal: PortalServer) -> None:
        missed = await register(app, PHONE_NUMBER=KNOWN_CONTACT)
        await finish(app, missed["CALL_ID"], STATUS_CODE=304)
        activity = portal.state.crm.get("ACTIVITY", 1)
        assert activity is not None
        assert (activity.fields["COMPLETED"], activity.fields["SETTINGS"]) == ("N", {"MISSED_CALL": True})
        back = await register(app, PHONE_NUMBER="89165550011", TYPE=1)
        await finish(app, back["CALL_ID"], DURATION=9, STATUS_CODE=200)
        assert activity.fields["SETTINGS"] == {"MISSED_CALL": True, "CALLED_BACK": True}

    async def test_call_end_event(self, app: Rest) -> None:
        await app.call("event.bind", event="ONVOXIMPLANTCALLEND", event_type="offline")
        call = await register(app)
        await finish(app, call["CALL_ID"], DURATION=3, STATUS_CODE=200, FAILED_REASON="ok")
        data = (await app.call("event.offline.get"))["events"][0]["EVENT_DATA"]
        assert data["CALL_DURATION"] == "3"
        assert data["PORTAL_NUMBER"] == "REST_APP:1"
        assert data["CALL_FAILED_REASON"] == "ok"

    @pytest.mark.parametrize(("given", "told"), [(None, True), (1, True), (0, False)])
    async def test_chat(self, app: Rest, portal: PortalServer, given: int | None, told: bool) -> None:
        await finish(app, (await register(app))["CALL_ID"], ADD_TO_CHAT=given)
        assert bool(portal.calls()[0].chat_message) is told

    async def test_per_call_view_names_its_requests(self, app: Rest, portal: PortalServer) -> None:
        call = (await register(app))["CALL_ID"]
        await finish(app, call)
        entries = {entry.number: entry.method for entry in portal.state.journal}
        assert [entries[number] for number in portal.calls()[0].requests] == [
            "telephony.externalCall.register",
            "telephony.externalCall.finish",
        ]


class TestLines:
    async def test_life_of_a_line(self, app: Rest) -> None:
        added = await app.call("telephony.externalLine.add", NUMBER="+74951234567", NAME="Офис")
        assert isinstance(added["ID"], int)
        refused = await app.refused("telephony.externalLine.add", NUMBER="+74951234567")
        assert refused.description == "Line already exists"
        updated = await app.call("telephony.externalLine.update", NUMBER="+74951234567", CRM_AUTO_CREATE="N")
        assert updated == {"ID": str(added["ID"])}
        assert await app.call("telephony.externalLine.get") == [
            {"NUMBER": "+74951234567", "NAME": "Офис", "CRM_AUTO_CREATE": "N"}
        ]
        refused = await app.refused("telephony.externalLine.update", NUMBER="+74951234567")
        assert refused.description == "There are no fields to update"
        assert await app.call("telephony.externalLine.delete", NUMBER="+74951234567") == []
        refused = await app.refused("telephony.externalLine.delete", NUMBER="+74951234567")
        assert refused.description == "Could not find line with number +74951234567"

    async def test_line_name_is_on_the_card(self, app: Rest, portal: PortalServer) -> None:
        await app.call("telephony.externalLine.add", NUMBER="1", NAME="Реклама")
        with portal.state.feed.subscribed() as news:
            await register(app, LINE_NUMBER="1")
            shown = [await anext(news) for _ in range(2)][-1]
        assert (shown.kind, shown.data["card"]["line_name"]) == ("card.shown", "Реклама")


class TestStatistics:
    @pytest.fixture
    async def three(self, app: Rest, portal: PortalServer) -> list[str]:
        ids: list[str] = []
        for number, duration in enumerate((30, 10, 20)):
            call = await register(app, EXTERNAL_CALL_ID=f"our-{number}", USER_ID=11 + number)
            await finish(app, call["CALL_ID"], USER_ID=11 + number, DURATION=duration)
            ids.append(call["CALL_ID"])
            portal.state.clock.advance(60)
        return ids

    @pytest.mark.parametrize(
        ("conditions", "expected"),
        [
            ({"EXTERNAL_CALL_ID": "our-1"}, ["our-1"]),
            ({">CALL_DURATION": 10}, ["our-0", "our-2"]),
            ({"@PORTAL_USER_ID": [11, 12]}, ["our-0", "our-1"]),
            ({"><CALL_DURATION": [10, 20]}, ["our-1", "our-2"]),
            ({"!PORTAL_USER_ID": 11}, ["our-1", "our-2"]),
            ({">CALL_START_DATE": "2020-01-01T00:00:00+03:00"}, ["our-0", "our-1", "our-2"]),
            ({"CALL_FAILED_CODE": "304"}, []),
        ],
    )
    async def test_filters(self, app: Rest, three: list[str], conditions: dict[str, Json], expected: list[str]) -> None:
        rows = await app.call("voximplant.statistic.get", FILTER=conditions)
        assert [row["EXTERNAL_CALL_ID"] for row in rows] == expected

    async def test_order_and_by_call_id(self, app: Rest, three: list[str]) -> None:
        rows = await app.call("voximplant.statistic.get", SORT="CALL_DURATION", ORDER="DESC")
        assert [row["CALL_DURATION"] for row in rows] == ["30", "20", "10"]
        rows = await app.call("voximplant.statistic.get", FILTER={"CALL_ID": three[1]})
        assert [row["ID"] for row in rows] == ["2"]
        start = rows[0]["CALL_START_DATE"]
        rows = await app.call("voximplant.statistic.get", FILTER={">CALL_START_DATE": start})
        assert [row["EXTERNAL_CALL_ID"] for row in rows] == ["our-2"]

    async def test_unknown_filter_field(self, app: Rest) -> None:
        refused = await app.refused("voximplant.statistic.get", FILTER={"RECORD_FILE_ID": 1})
        assert refused.code == "SANDBOX_UNKNOWN_PARAMETER"
