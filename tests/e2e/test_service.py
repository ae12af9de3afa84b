"""`perezvon serve` beyond single calls: both ways of events, PostgreSQL, changed settings, the doctor, a clean stop."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.portal import PortalConfig, PortalServer
from perezvon.sandbox.portal.seed import IVANOV
from perezvon.sandbox.stand import Stand, stand
from perezvon.sandbox.stories import answered, differences, missed, nobody_rung

pytestmark = pytest.mark.asterisk


@pytest.mark.parametrize("events", ["handler", "both"])
async def test_click_by_the_handler_dials_at_once_and_once(pbx_session: PbxSandbox, tmp_path: Path, events: str) -> None:
    world = pbx_session.world
    await world.reset()
    async with (
        PortalServer(PortalConfig(rate=None)) as portal,
        stand(pbx_session, portal, tmp_path, events=events) as whole,
    ):
        call = portal.click(IVANOV, "+79162100001")
        desk = await world.phone("101").talking()
        await desk.talks(1.5)  # longer than a poll of the offline queue: the same click comes a second time
        await desk.hangup()
        await whole.until(lambda: None if call.live else call, "the click is finished")
        assert (call.finish["status"], int(call.finish["user_id"])) == ("200", IVANOV)
        assert len([leg for leg in world.phone("101").legs if leg.number == "101" and not leg.outgoing]) == 1
        assert len(portal.calls()) == 1


@pytest.mark.postgresql
async def test_main_job_on_postgresql(pbx_session: PbxSandbox, tmp_path: Path, postgres_url: str) -> None:
    more = f'[database]\nurl = "{postgres_url.replace("perezvon@", "perezvon:any@")}"'
    async with PortalServer(PortalConfig(rate=None)) as portal, stand(pbx_session, portal, tmp_path, more=more) as whole:
        for tell in (answered, missed):
            spoken = await tell(whole)
            call = await whole.call_of(spoken.client, recorded=spoken.recorded)
            assert differences(spoken, call) == []
        status = await whole.service.status()
        assert status["database"]["kind"] == "postgresql"
    with closing(sqlite3.connect(tmp_path / "perezvon.sqlite3")) as first:  # of `config apply`, before it knew of the other
        assert first.execute("SELECT (SELECT count(*) FROM call) + (SELECT count(*) FROM step)").fetchone() == (0,)


async def test_changed_settings_apply_to_the_next_call(office: Stand) -> None:
    before = await office.service.status()
    await office.service.configure(office.settings().replace("fallback_user = 1", f"fallback_user = {IVANOV}"))
    await office.service.until(lambda status: status["settings"] > before["settings"], "has noticed the new settings")
    spoken = await nobody_rung(office)
    call = await office.call_of(spoken.client)
    assert int(call.finish["user_id"]) == IVANOV
    after = await office.service.status()
    assert after["started"] == before["started"]
    assert after["pbxs"][0]["since"] == before["pbxs"][0]["since"], "the PBX was reconnected for nothing"


async def test_doctor_finds_the_stand_well(office: Stand) -> None:
    told = json.loads(await office.service.command("doctor", "--data-dir", str(office.service.data_dir), "--json"))
    assert [check for check in told["checks"] if check["state"] == "problem"] == []
    assert {"asterisk main", "portal main"} <= {check["subject"] for check in told["checks"]}


async def test_stop_is_clean_and_the_next_start_goes_on(office: Stand) -> None:
    assert await office.service.stop() == 0
    await office.service.start()
    await office.ready()
    spoken = await answered(office)
    call = await office.call_of(spoken.client, recorded=True)
    assert differences(spoken, call) == []


async def test_log_holds_no_secret(office: Stand) -> None:
    log = office.service.log.read_text(encoding="utf-8")
    config = office.portal.config
    secrets = {config.client_secret, "sandbox-secret", *_tokens(office.portal)}
    assert [secret[:4] for secret in secrets if secret in log] == []


def _tokens(portal: PortalServer) -> set[str]:
    """Every access and refresh token that the portal has given out."""
    authority = portal.state.authority
    return {*authority.access, *authority.refresh}
