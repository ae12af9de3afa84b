"""`perezvon people`, and the link that `perezvon serve` prints: the way in for who has none."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import sys
from pathlib import Path

import aiohttp
import pytest
from typer.testing import CliRunner, Result

from perezvon.cli import app
from perezvon.cli.exits import Exit

PASSWORD = "correct horse battery"


def people(data_dir: Path, *arguments: str) -> Result:
    return CliRunner(env={"LC_ALL": "C.UTF-8"}).invoke(app, ["people", *arguments, "--data-dir", str(data_dir)])


def test_added_listed_and_reset(tmp_path: Path) -> None:
    done = people(
        tmp_path, "add", "Anna", "--role", "administrator", "--name", "Анна", "--url", "https://pz.example/", "--json"
    )
    assert done.exit_code == Exit.OK, done.stderr
    told = json.loads(done.stdout)
    assert (told["login"], told["role"]) == ("anna", "administrator")
    assert re.fullmatch(r"https://pz\.example/welcome/[\w-]{32}", told["link"])
    assert people(tmp_path, "add", "anna").exit_code == Exit.USAGE
    assert people(tmp_path, "add", "<b>").exit_code == Exit.USAGE
    assert people(tmp_path, "reset", "nobody").exit_code == Exit.USAGE
    [anna] = json.loads(people(tmp_path, "list", "--json").stdout)["people"]
    assert {name: anna[name] for name in ("login", "active", "password", "second_factor")} == {
        "login": "anna", "active": True, "password": False, "second_factor": False,
    }  # fmt: skip
    assert "anna (Анна): administrator, no password yet" in people(tmp_path, "list").stdout
    again = people(tmp_path, "reset", "ANNA", "--json")
    assert json.loads(again.stdout)["link"] != told["link"]


@pytest.mark.slow
async def test_the_service_prints_a_link_and_a_locked_out_administrator_gets_in_again(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-c", "from perezvon.cli import main; main()", "serve"]
    process = await asyncio.create_subprocess_exec(
        *command, "--data-dir", tmp_path, "--bind", f"127.0.0.1:{port}", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while (found := re.search(r"(/welcome/[\w-]+)", line := (await process.stderr.readline()).decode())) is None:
                assert line, "the service has ended"
            async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
                fields = {"login": "anna", "password": PASSWORD, "again": PASSWORD}
                while True:  # nothing but trying tells when it listens
                    try:
                        async with browser.post(url + found[1], data=fields) as answer:
                            assert (answer.status, answer.url.path) == (200, "/setup"), "nothing is set yet"
                            break
                    except aiohttp.ClientConnectionError:
                        await asyncio.sleep(0.05)
                done = await asyncio.to_thread(people, tmp_path, "reset", "anna", "--url", url, "--json")
                async with browser.get(f"{url}/account", headers={"Accept": "text/html"}) as answer:
                    assert answer.url.path == "/login"
                async with browser.get(json.loads(done.stdout)["link"]) as answer:
                    assert answer.status == 200
    finally:
        process.terminate()
        await process.communicate()
