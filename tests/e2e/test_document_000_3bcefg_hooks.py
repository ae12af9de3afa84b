"""Document 000, part 3, with the integrator's own functions: calls on the real PBX, changed on their way to the portal.

3b: click-to-call through another trunk. 3c: another path of the recording. 3e, 3f: further fields of lead and activity.
3g: the registration's parameters, and calls that are not registered. And what a hook that loops for ever costs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from perezvon.sandbox.portal.calls import PortalCall
from perezvon.sandbox.portal.seed import IVANOV, PETROVA
from perezvon.sandbox.stand import Stand
from perezvon.storage import Database, calls, journal
from perezvon.storage.calls import Search

pytestmark = pytest.mark.asterisk


class Folder:
    """The hooks of the running service; `write` returns when they are loaded."""

    def __init__(self, office: Stand) -> None:
        self._office = office
        self.path = office.service.data_dir / "customisation"
        self.path.mkdir(exist_ok=True)

    async def write(self, source: str) -> None:
        (self.path / "hooks.py").write_text(source, encoding="utf-8")
        wanted = {line[4:].partition("(")[0] for line in source.splitlines() if line.startswith("def ")}
        await self._office.service.until(
            lambda status: {point["name"] for point in status["customisation"]["points"]} == wanted, f"asks {wanted}"
        )

    async def clear(self) -> None:
        (self.path / "hooks.py").unlink(missing_ok=True)
        await self._office.service.until(lambda status: not status["customisation"]["points"], "asks no hook")


@pytest.fixture
async def hooks(office: Stand) -> Folder:
    folder = Folder(office)
    await office.pbx.world.reset()
    await folder.clear()
    return folder


async def answered(office: Stand, client: str, *, extension: str = "101") -> None:
    world = office.pbx.world
    for phone in ("101", "102", "103"):
        await world.phone(phone).idle()  # those of the call before still ring for a moment
        await world.phone(phone).rings()
    caller = await world.call(client, "74951234567")
    desk = await world.phone(extension).ringing()
    await desk.answer()
    await desk.talks(1.5)
    await caller.hangup()


async def told(office: Stand, client: str) -> list[str]:
    """The decisions of the newest call with this client."""
    async with await Database.open(office.service.data_dir, own=False) as database, database.read() as conn:
        (row, *_) = await calls.search(conn, Search(client=client), 1)
        return [reason for _at, reason, _keys in await journal.decisions(conn, row.id)]


async def test_3g_the_registration_is_changed(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "def process_registration_params(data):\n"
        "    params = data['params']\n"
        "    if data['call']['line'] == '+74951234567':\n"
        "        params['CRM_SOURCE'] = 'WEB'\n"
        "    return params\n"
        "def process_client_phone(data):\n"
        "    return '8' + data['phone'].removeprefix('+7')\n"
    )
    await answered(office, "79163000001")
    call = await office.call_of("89163000001")
    assert call.source == "WEB"
    assert call.finish["status"] == "200"
    reasons = await told(office, "+79163000001")
    assert 'customisation process_registration_params: CRM_SOURCE: "ADVERTISING" -> "WEB"' in reasons
    assert 'customisation process_client_phone: "+79163000001" -> "89163000001"' in reasons


async def test_3g_a_call_is_not_registered(office: Stand, hooks: Folder) -> None:
    await hooks.write("def need_registration(data):\n    return not data['call']['client'].endswith('0000002')\n")
    await answered(office, "79160000002")
    await answered(office, "79163000003")
    await office.call_of("+79163000003")
    assert not [call for call in office.portal.calls() if call.phone == "+79160000002"]
    assert "not registered: customisation need_registration says so" in await told(office, "+79160000002")


async def test_3g_the_registration_is_cancelled(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "def process_registration_params(data):\n"
        "    return None if data['call']['client'].endswith('0000004') else data['params']\n"
    )
    await answered(office, "79160000004")
    await answered(office, "79163000005")
    await office.call_of("+79163000005", recorded=True)
    assert not [call for call in office.portal.calls() if call.phone == "+79160000004"]
    assert "cancelled by customisation: process_registration_params" in await told(office, "+79160000004")


async def test_3d_another_responsible_for_the_missed_call_of_a_line(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "MISSED = {'+74951234567': 12}\n"
        "def process_final_params(data):\n"
        "    params = data['params']\n"
        "    if params['STATUS_CODE'] == '304':\n"
        "        params['USER_ID'] = MISSED.get(data['call']['line'], params['USER_ID'])\n"
        "    return params\n"
    )
    world = office.pbx.world
    await world.phone("101").rings()
    caller = await world.call("79163000006", "74951234567")
    await world.phone("101").ringing()
    await caller.hangup()
    call = await office.call_of("+79163000006")
    assert (call.finish["status"], int(call.finish["user_id"])) == ("304", PETROVA)


async def test_3b_a_click_is_dialled_through_another_trunk(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "def process_originate_params(data):\n"
        "    if data['click']['number'].startswith('+7499'):\n"
        "        return None\n"
        "    return data['params'] | {'variables': {'CALLERID(num)': '102', '__TRUNK': 'second'}, 'extension': '79163000008'}\n"
    )
    world = office.pbx.world
    await world.phone("101").rings()
    await world.number("79163000008").rings()
    call = office.portal.click(IVANOV, "+79163000007")
    desk = await world.phone("101").ringing()
    await desk.answer()
    outside = await world.number("79163000008").ringing()
    await outside.answer()
    await desk.talks(1)
    await desk.hangup()
    await finished(office, call)
    assert call.finish["status"] == "200"
    reasons = await told(office, "+79163000007")
    assert any(reason.startswith("customisation process_originate_params: extension:") for reason in reasons)

    refused = office.portal.click(IVANOV, "+74993000009")
    await finished(office, refused)
    assert (refused.finish["status"], int(refused.finish["duration"])) == ("603-S", 0)


async def finished(office: Stand, call: PortalCall) -> PortalCall:
    return await office.until(lambda: None if call.live else call, f"{call.id} is finished")


async def test_3c_the_recording_lies_elsewhere(office: Stand, hooks: Folder) -> None:
    """A script of the PBX moves recordings into a folder of its own."""
    await hooks.write(
        "import pathlib, shutil\n"
        f"ROOT = pathlib.Path({str(office.pbx.recordings)!r})\n"
        "def process_record_file_path(data):\n"
        "    old = pathlib.Path(data['path'])\n"
        "    new = ROOT / 'moved' / old.name\n"
        "    new.parent.mkdir(exist_ok=True)\n"
        "    if old.exists():\n"
        "        shutil.move(old, new)\n"
        "    return 'moved/' + old.name\n"
        "def customize_attach_record_url(data):\n"
        "    return data['params'] | {'FILENAME': 'talk-' + data['call']['client'].strip('+') + '.mp3'}\n"
    )
    await answered(office, "79163000010")
    call = await office.call_of("+79163000010", recorded=True)
    assert call.recording is not None
    assert call.recording.name == "talk-79163000010.mp3"
    reasons = await told(office, "+79163000010")
    assert any("customisation process_record_file_path:" in reason and "moved/" in reason for reason in reasons)
    assert any("customisation customize_attach_record_url: FILENAME" in reason for reason in reasons)


async def test_3c_a_recording_is_left_out(office: Stand, hooks: Folder) -> None:
    await hooks.write("def process_record_file_path(data):\n    return None\n")
    await answered(office, "79163000011")
    await office.call_of("+79163000011")
    await office.service.until(
        lambda status: any(
            point["name"] == "process_record_file_path" and point["cancelled"]
            for point in status["customisation"]["points"]
        ),
        "has left the recording out",
    )
    assert "cancelled by customisation: process_record_file_path" in await told(office, "+79163000011")
    assert (await office.call_of("+79163000011")).recording is None


async def test_3e_3f_further_fields_of_the_lead_and_the_activity(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "def customize_entity(data):\n"
        "    entity, call = data['entity'], data['call']\n"
        "    if entity['type'] == 'lead' and entity['is_new']:\n"
        "        return {'sourceDescription': 'line ' + call['line'], 'comments': f\"talked {round(call['duration'])} s\",\n"
        "                'title': entity['fields']['title'] + ' / ' + call['last_talker']}\n"
        "def customize_activity(data):\n"
        "    return data['fields'] | {'SUBJECT': 'Call of ' + data['call']['client'], 'DESCRIPTION': 'by ' + data['call']['trunk']}\n"
        "def post_registration(data):\n"
        "    print('registered as', data['registration']['CALL_ID'])\n"
    )
    await answered(office, "79163000012")
    call = await office.call_of("+79163000012")
    crm = office.portal.state.crm

    def changed() -> bool | None:
        leads = [lead for lead in crm.of("LEAD") if "+79163000012" in lead.values("PHONE")]
        acts = [act for act in crm.of("ACTIVITY") if act.text("SUBJECT") == "Call of +79163000012"]
        return True if leads and leads[0].text("SOURCE_DESCRIPTION") and acts else None

    await office.until(changed, "lead and activity have their fields")
    (lead,) = [lead for lead in crm.of("LEAD") if "+79163000012" in lead.values("PHONE")]
    assert lead.text("SOURCE_DESCRIPTION") == "line +74951234567"
    assert lead.text("COMMENTS").startswith("talked ")
    assert lead.text("TITLE").endswith(" / 101")
    (activity,) = [act for act in crm.of("ACTIVITY") if act.text("SUBJECT") == "Call of +79163000012"]
    assert activity.text("DESCRIPTION").startswith("by ")
    assert call.finish["status"] == "200"
    assert "registered as" in office.service.log.read_text(encoding="utf-8")


async def test_a_hook_that_loops_for_ever_costs_one_time_out(office: Stand, hooks: Folder) -> None:
    """The phone rings, the card appears, the call is written down; so does every other call meanwhile."""
    await hooks.write(
        "def process_registration_params(data):\n"
        "    while data['call']['client'].endswith('0000013'): pass\n"
        "    return data['params'] | {'CRM_SOURCE': 'WEB'}\n"
    )
    world = office.pbx.world
    for phone in ("101", "102", "103"):
        await world.phone(phone).rings()
    began = time.monotonic()
    bad = await world.call("79160000013", "74951234567")
    await world.phone("101").ringing()
    rang = time.monotonic() - began
    card = await office.until(
        lambda: next((one for one in office.portal.calls() if one.phone == "+79160000013" and one.cards), None),
        "the card of the call with the looping hook",
    )
    assert time.monotonic() - began < rang + 3.0
    await bad.hangup()
    await answered(office, "79163000014", extension="102")
    good = await office.call_of("+79163000014")
    assert good.source == "WEB"
    assert (await office.call_of("+79160000013")).source == "ADVERTISING"
    assert card.phone == "+79160000013"
    (note,) = [reason for reason in await told(office, "+79160000013") if "process_registration_params" in reason]
    assert note.startswith("customisation process_registration_params failed, the default stands: no answer within 0.3 s")
    assert "hooks.py:2" in note


async def test_a_mistake_in_a_file_keeps_the_version_before(office: Stand, hooks: Folder) -> None:
    await hooks.write("def process_registration_params(data):\n    return data['params'] | {'CRM_SOURCE': 'WEB'}\n")
    (hooks.path / "hooks.py").write_text("def process_registration_params(data):\n    return data[\n", encoding="utf-8")
    status = await office.service.until(lambda status: bool(status["customisation"]["troubles"]), "tells of the mistake")
    assert "hooks.py:2" in status["customisation"]["troubles"][0][0]
    await answered(office, "79163000015")
    assert (await office.call_of("+79163000015")).source == "WEB"


@pytest.fixture(autouse=True)
def nobody_is_left(office: Stand) -> Iterator[None]:
    """The event loop of the service was never held up by a hook."""
    before = office.service.log.read_text(encoding="utf-8").count("Traceback")
    yield
    assert office.service.log.read_text(encoding="utf-8").count("Traceback") == before


async def test_killed_while_a_hook_loops_nothing_is_lost_and_nobody_is_left(office: Stand, hooks: Folder) -> None:
    await hooks.write(
        "def process_final_params(data):\n    while data['call']['client'].endswith('0000016'): pass\n    return data['params']\n"
    )
    await answered(office, "79160000016")
    await asyncio.sleep(0.3)  # the hook loops; it has two seconds
    await office.service.kill()
    await office.service.start()
    await office.ready()
    call = await office.call_of("+79160000016")
    assert call.finish["status"] == "200"
    left = await asyncio.to_thread(workers)
    assert len(left) <= 2


def workers() -> list[Path]:
    """Processes in which hooks run."""
    found: list[Path] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if b"customisation/worker.py" in path.read_bytes():
                found.append(path)
        except OSError:
            continue
    return found
