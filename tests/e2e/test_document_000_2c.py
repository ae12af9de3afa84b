"""Document 000, 2c and 4e: the company's numbers as a table, lines of the portal and CRM sources; 2a by line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from scenario import TALK

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.stand import Stand, stand

pytestmark = [pytest.mark.asterisk, pytest.mark.timeout(120)]

TABLE = """
[[line]]
number = "+74950000101"
name = "Щит на МКАДе"
source = "WEBFORM"
create_lead_incoming = false
"""
ADDED = """
[[line]]
number = "+74950000102"
name = "Сайт"
"""


async def set_up(office: Stand, more: str) -> None:
    """The settings as an installation has them: unknown numbers are listed."""
    before = (await office.service.status())["settings"]
    await office.service.configure(office.settings(more=more).replace('unknown_lines = "sent"\n', ""))
    await office.service.until(lambda status: status["settings"] > before, "has noticed the new settings")
    await office.ready()


@pytest.fixture(scope="module")
async def office(
    pbx_session: PbxSandbox, portal: PortalServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stand]:
    async with stand(pbx_session, portal, tmp_path_factory.mktemp("perezvon"), more=TABLE) as whole:
        await set_up(whole, TABLE)
        yield whole
        await pbx_session.world.reset()


async def told(office: Stand, client: str, to: str) -> PortalCall:
    await office.pbx.world.reset()
    leg = await office.pbx.world.call(frm=client, to=to)
    await leg.talking()
    await leg.talks(TALK)
    await leg.hangup()
    return await office.call_of(f"+{client}")


def lines(office: Stand) -> dict[str, str]:
    """The portal's lines and their names."""
    return {line.number: line.name for line in office.portal.state.book.lines}


async def test_4e_the_lines_of_the_settings_are_lines_of_the_portal(office: Stand) -> None:
    wanted = {"+74951234567": "", "+74950000101": "Щит на МКАДе"}
    await office.until(lambda: True if lines(office) == wanted else None, f"the portal has {wanted}")


async def test_2c_a_call_has_its_line_and_its_source(office: Stand) -> None:
    call = await told(office, "79164440001", "74951234567")
    assert (call.line, call.registration["CRM_SOURCE"]) == ("+74951234567", "ADVERTISING")
    assert call.created, "an unknown caller makes a lead"
    call = await told(office, "79164440002", "74950000101")
    assert (call.line, call.registration["CRM_SOURCE"]) == ("+74950000101", "WEBFORM")
    assert not call.created, "this line makes none"


async def test_2c_an_unknown_number_is_listed_until_it_is_in_the_table(office: Stand) -> None:
    def listed(status: dict[str, Any]) -> list[tuple[str, int]]:
        return [(line["number"], line["count"]) for line in status["unknown_lines"]]

    before = lines(office)
    call = await told(office, "79164440003", "74950000102")
    assert call.line == ""
    assert lines(office) == before, "it made a line without a name"
    status = await office.service.status()
    assert listed(status) == [("+74950000102", 1)]
    assert "lines.unknown" in [trouble["name"] for trouble in status["troubles"]]

    await set_up(office, TABLE + ADDED)
    await office.until(lambda: True if lines(office).get("+74950000102") == "Сайт" else None, "the portal has the new line")
    assert listed(await office.service.status()) == []
    call = await told(office, "79164440004", "74950000102")
    assert call.line == "+74950000102"
    assert len(lines(office)) == 3
