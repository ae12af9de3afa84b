"""The first run, from an empty folder to a test call that is seen: a real Asterisk, a pretend portal, a real browser."""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from perezvon.sandbox.pbx import PbxSandbox
from perezvon.sandbox.pbx.layout import AMI_SECRET
from perezvon.sandbox.pbx.loopback import AMI_PORT
from perezvon.sandbox.portal import PortalServer
from perezvon.sandbox.service_process import ServiceProcess

pytestmark = [pytest.mark.asterisk, pytest.mark.browser]

SHOTS = Path(__file__).resolve().parents[2] / "test-results" / "wizard"


@pytest.fixture(scope="module")
def starter() -> None:
    """It is started as people start it."""


@pytest.fixture
async def page(browser: Browser) -> AsyncIterator[Page]:
    page = await browser.new_page(viewport={"width": 1440, "height": 1000}, locale="en-GB")
    expect.set_options(timeout=15_000)
    yield page
    expect.set_options(timeout=5_000)


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[ServiceProcess]:
    """In an empty folder."""
    folder = tmp_path / "empty"
    folder.mkdir()
    process = ServiceProcess(folder)
    await process.start()
    yield process
    await process.stop()


@pytest.fixture
async def etc(pbx: PbxSandbox, tmp_path: Path) -> AsyncIterator[Path]:
    """The PBX's configuration as before anything of ours was there; put back afterwards."""
    folder, aside = pbx.office.folder / "etc", tmp_path / "before"
    shutil.copytree(folder, aside)
    shutil.rmtree(folder / "perezvon")
    yield folder
    shutil.rmtree(folder / "perezvon", ignore_errors=True)
    shutil.copytree(aside, folder, dirs_exist_ok=True)
    await pbx.office.command("core reload")


async def test_from_an_empty_folder_to_a_call_that_is_seen(
    pbx: PbxSandbox, portal: PortalServer, service: ServiceProcess, page: Page, etc: Path
) -> None:
    complaints: list[str] = []
    page.on(
        "console",
        lambda said: complaints.append(f"{page.url}: {said.text} {said.location}") if said.type == "error" else None,
    )
    SHOTS.mkdir(parents=True, exist_ok=True)

    async def shot(name: str) -> None:
        await page.screenshot(path=SHOTS / f"{name}.png", full_page=True, caret="initial")  # else it leaves styles behind

    async def step(name: str) -> Locator:
        return page.locator(".steps-list li").filter(has_text=name)

    # A call that came before us: the PBX's log has it.
    await (await pbx.world.call(frm="79165550066", to="74951234567")).at_office()
    await pbx.world.reset()

    # The one-time link, and the administrator's password.
    link = re.search(r"http://\S+/welcome/\S+", service.log.read_text(encoding="utf-8"))
    assert link is not None
    await page.goto(link[0])
    for label in ("Password", "The same once more"):
        await page.get_by_label(label, exact=True).fill("correct horse battery staple")
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_role("heading", name="Setup", level=1)).to_be_visible()
    await shot("0-overview")
    await page.goto(f"{service.url}/")
    await expect(page.get_by_text("Perezvon is not set up yet")).to_be_visible()
    await shot("0-status")
    await page.get_by_role("link", name="Set up", exact=True).click()
    await page.get_by_role("link", name="Go on: Asterisk").click()

    # Asterisk: nobody there, a wrong secret, then an AMI user that we write ourselves.
    found = page.locator("#found")
    await page.get_by_label("Host of the PBX").fill(pbx.addresses.office)
    await page.get_by_label("Port", exact=True).fill("1")
    await expect(found).to_contain_text("refuses the connection")
    await page.get_by_label("Port", exact=True).fill(str(AMI_PORT))
    await expect(found).to_contain_text("wrong secret, or no such AMI user")
    await page.get_by_label("AMI user").fill("perezvon")
    await page.get_by_label("Secret", exact=True).fill(AMI_SECRET)
    await expect(found).to_contain_text("Asterisk 2")
    await expect(found).to_contain_text("from-internal, from-pstn")
    await shot("1-asterisk-works")
    await page.goto(f"{service.url}/setup")  # left, and come back to: what was typed is still there
    await page.goto(f"{service.url}/setup/asterisk")
    await expect(page.get_by_label("Host of the PBX")).to_have_value(pbx.addresses.office)
    await expect(found).to_contain_text("Asterisk 2")
    await page.get_by_label("AMI user").fill("perezvon-wizard")
    await expect(found).to_contain_text("wrong secret, or no such AMI user")
    await page.get_by_role("button", name="Think up a strong secret").click()
    await page.get_by_text("More", exact=True).click()
    await page.get_by_label("Configuration folder").fill(str(etc))
    await expect(found).to_contain_text("Or let Perezvon write it")
    stanza = await page.locator("#stanza").input_value()
    secret = re.search(r"secret = (\S{30,})", stanza)
    assert secret is not None and "[perezvon-wizard]" in stanza
    await page.get_by_text("What would be written, exactly").click()
    await expect(page.locator(".diff")).to_contain_text("+[perezvon-wizard]")
    assert secret[1] not in await page.locator(".diff").inner_text()
    await shot("1-asterisk-write")
    await page.get_by_role("button", name="Save and write these files").click()
    await expect(page.get_by_text("Written: ")).to_be_visible()
    assert secret[1] in (etc / "perezvon" / "manager.conf").read_text(encoding="utf-8")
    await pbx.office.command("manager reload")
    await page.get_by_role("button", name="Test again").click()
    await expect(found).to_contain_text("the AMI user may do all that calls need")
    await expect(found).not_to_contain_text("What goes into manager.conf")
    await page.get_by_role("button", name="Save and go on").click()

    # The portal: a local application, whose fields are copied from here to there.
    await expect(page.get_by_role("heading", name="Bitrix24 portal", level=1)).to_be_visible()
    await page.get_by_label("Address of the portal").fill(portal.url)
    await expect(found).to_contain_text("the portal answers")
    await page.get_by_label("Application's client_id").fill(portal.config.client_id)
    await page.get_by_label("Application's client_secret").fill(portal.config.client_secret)
    await page.get_by_text("More", exact=True).click()
    await page.get_by_label("Authorization server").fill(portal.url)
    await shot("2-portal-fields")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_text("Waiting for the installation.")).to_be_visible()
    await shot("2-portal-waiting")
    portal.app.install_url = await page.get_by_label("Initial installation path").input_value()
    portal.install()
    now = page.locator("#portal-now")
    await expect(now).to_contain_text("all permissions are there")
    await expect(now).to_contain_text("calls can be registered")
    await expect(await step("Asterisk")).to_contain_text("done")
    await expect(await step("Bitrix24 portal")).to_contain_text("done")
    await shot("2-portal-done")
    await page.get_by_role("link", name="Go on").click()

    # Employees beside extensions.
    await page.get_by_role("button", name="Look again").click()
    row = page.get_by_role("row").filter(has_text="101")
    await expect(row).to_contain_text("PJSIP · registered")
    await expect(row).to_contain_text("fits")
    await shot("3-people")
    await page.get_by_role("button", name="It is right so: go on").click()

    # Lines, out of the PBX's log of a call that nobody has told us of.
    await page.get_by_label("Channel event log of the PBX").fill(str(pbx.cel))
    await page.get_by_label("More numbers").fill("+7 (800) 200-00-00 Free of charge")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".chips")).to_contain_text("+78002000000 Free of charge")
    await expect(page.get_by_role("row").filter(has_text="+74951234567")).to_contain_text("74951234567")
    await page.get_by_label("Name of +74951234567").fill("Head office")
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.locator(".chips")).to_contain_text("+74951234567 Head office")
    await expect(await step("Company numbers")).to_contain_text("done")
    await shot("4-lines")
    await page.get_by_role("button", name="Go on").click()

    # Recordings.
    await expect(page.get_by_role("heading", name="Recordings", level=1)).to_be_visible()
    await page.get_by_label("Recordings folder", exact=True).fill(str(pbx.recordings))
    await page.get_by_role("button", name="Save and look again").click()
    await expect(page.get_by_label("Recordings folder", exact=True)).to_have_value(str(pbx.recordings))
    await shot("5-recordings")
    await page.get_by_role("button", name="Go on").click()

    # The test call, seen while it goes on.
    await page.goto(f"{service.url}/setup/call")
    await expect(page.get_by_text("Waiting for the call…")).to_be_visible()
    for extension in ("101", "102", "103"):
        await pbx.world.phone(extension).rings()
    await pbx.world.call(frm="79165550077", to="74951234567")
    desk = await pbx.world.phone("102").ringing()
    live = page.locator("#live-calls")
    await expect(live).to_contain_text("seen on the PBX: +79165550077 calls +74951234567")
    await expect(live).to_contain_text("the card was asked for")
    await shot("6-call-rings")
    await desk.answer()
    await desk.talks(1.5)
    await desk.hangup()
    await expect(live).to_contain_text("finished in the portal")
    await expect(live).to_contain_text("the recording is in the portal", timeout=30_000)
    await shot("6-call-over")
    assert [call.phone for call in portal.calls()] == ["+79165550077"]
    await page.get_by_role("button", name="Finish").click()
    await expect(page.get_by_text("PBX and portal are connected: calls are told.")).to_be_visible()
    await expect(page.locator(".setup-cards .badge.ok")).to_have_count(6)
    await shot("7-finish")

    # A recording is there now.
    await page.goto(f"{service.url}/setup/recordings")
    await expect(page.get_by_text("the newest recording becomes an mp3")).to_be_visible()
    await page.goto(f"{service.url}/")
    await expect(page.get_by_text("Perezvon is not set up yet")).to_have_count(0)
    assert complaints == []
