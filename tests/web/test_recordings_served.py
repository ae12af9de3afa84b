"""Recordings over HTTP: who gets them, which bytes, and how many at once."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import uvicorn
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from perezvon.web.links import BadLink, Link, Links, OldLink
from perezvon.web.recordings import Gone, Pace, Shelved, routes

CONTENT = bytes(range(256)) * 40
SUBJECT = "15.3fa9c1d2ab04"
KEYS = (b"k" * 32, b"older" * 6)


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def links(clock: Clock, *, lifetime: float = 3600.0, keys: tuple[bytes, ...] = KEYS) -> Links:
    return Links(keys, lambda: "https://pbx.example.com", lambda: lifetime, clock)


def token(address: str) -> str:
    assert address.startswith("https://pbx.example.com/recordings/")
    return address.rpartition("/")[2]


def test_an_address_is_read_back_until_it_expires() -> None:
    clock = Clock()
    made = token(links(clock).address(SUBJECT))
    assert links(clock).read(made) == Link(15, "3fa9c1d2ab04", int(clock.now) + 3600)
    clock.now += 3601
    with pytest.raises(OldLink):
        links(clock).read(made)


def test_one_for_ever_and_one_of_an_older_key() -> None:
    clock = Clock()
    made = token(links(clock, lifetime=0, keys=KEYS[1:]).address(SUBJECT))
    clock.now += 1e9
    assert links(clock).read(made).expires == 0
    with pytest.raises(BadLink):
        links(clock, keys=KEYS[:1]).read(made)


@given(st.data())
def test_no_altered_address_is_right(data: st.DataObject) -> None:
    clock = Clock()
    made = token(links(clock, lifetime=0).address(SUBJECT))
    place = data.draw(st.integers(0, len(made) - 1))
    put = data.draw(st.characters(exclude_characters=made[place]))
    with pytest.raises(BadLink):
        links(clock).read(made[:place] + put + made[place + 1 :])


@given(st.text(max_size=120))
def test_nonsense_is_no_address(text: str) -> None:
    with pytest.raises(BadLink):
        links(Clock()).read(text)


class PaperShelf:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.links = links(Clock())

    async def find(self, token: str) -> Shelved:
        link = self.links.read(token)
        if link.recording != 15:
            raise Gone
        return Shelved(self.path, 'a "quoted" name.mp3', "audio/mpeg", link.recording, "c1")


@pytest.fixture
def shelf(tmp_path: Path) -> PaperShelf:
    (tmp_path / "a.mp3").write_bytes(CONTENT)
    return PaperShelf(tmp_path / "a.mp3")


@dataclass(frozen=True)
class Answer:
    status_code: int
    content: bytes
    headers: Mapping[str, str]


class Http:
    """Asks a real server."""

    def __init__(self, base: str, session: aiohttp.ClientSession) -> None:
        self._base = base
        self._session = session

    async def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        async with self._session.request(method, self._base + path, headers=headers) as answer:
            return Answer(answer.status, await answer.read(), answer.headers)

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.ask("GET", path, headers)

    async def head(self, path: str) -> Answer:
        return await self.ask("HEAD", path)

    async def post(self, path: str) -> Answer:
        return await self.ask("POST", path)


@pytest.fixture
async def http(shelf: PaperShelf) -> AsyncIterator[Http]:
    app = FastAPI()
    app.include_router(routes(shelf))
    sock = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    task = asyncio.create_task(server.serve(sockets=[sock]), name="server")
    async with aiohttp.ClientSession() as session:
        yield Http(f"http://127.0.0.1:{sock.getsockname()[1]}", session)
    server.should_exit = True
    await task


@pytest.fixture
def address(shelf: PaperShelf) -> str:
    return "/recordings/" + token(shelf.links.address(SUBJECT))


END = len(CONTENT)


@pytest.mark.parametrize(
    ("asked", "status", "first", "end"),
    [
        ("bytes=0-", 206, 0, END),
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-199", 206, 100, 200),
        ("bytes=100-999999999", 206, 100, END),
        ("bytes=-7", 206, END - 7, END),
        ("bytes=-999999999", 206, 0, END),
        ("Bytes = 1-2", 206, 1, 3),
        ("bytes=5-4", 200, 0, END),
        ("bytes=-", 200, 0, END),
        ("bytes=0-1,5-6", 200, 0, END),
        ("bytes=a-b", 200, 0, END),
        ("lines=0-1", 200, 0, END),
        ("bytes=0-" + "9" * 400, 200, 0, END),
        (f"bytes={END}-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
    ],
)
async def test_ranges(http: Http, address: str, asked: str, status: int, first: int, end: int) -> None:
    answer = await http.get(address, headers={"Range": asked})
    assert answer.status_code == status
    if status == 416:
        assert answer.headers["Content-Range"] == f"bytes */{END}"
        return
    assert answer.content == CONTENT[first:end]
    assert answer.headers["Content-Length"] == str(end - first)
    if status == 206:
        assert answer.headers["Content-Range"] == f"bytes {first}-{end - 1}/{END}"


async def test_conditions(http: Http, address: str, shelf: PaperShelf) -> None:
    whole = await http.get(address)
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "audio/mpeg")
    assert whole.headers["Content-Disposition"] == 'inline; filename="a__quoted__name.mp3"'
    tag, changed = whole.headers["ETag"], whole.headers["Last-Modified"]
    assert (await http.get(address, headers={"If-None-Match": tag})).status_code == 304
    for condition, status in ((tag, 206), (changed, 206), ('"other"', 200), ("W/" + tag, 200), ("nonsense", 200)):
        answer = await http.get(address, headers={"Range": "bytes=0-1", "If-Range": condition})
        assert answer.status_code == status, condition
    head = await http.head(address)
    assert (head.status_code, head.content, head.headers["Content-Length"]) == (200, b"", str(END))
    assert (await http.post(address)).status_code == 405
    shelf.path.write_bytes(CONTENT[:100])
    answer = await http.get(address, headers={"Range": "bytes=0-1", "If-Range": tag})
    assert (answer.status_code, answer.content) == (200, CONTENT[:100]), "it is another file now"
    shelf.path.unlink()
    assert (await http.get(address)).status_code == 410


async def test_wrong_addresses(http: Http, shelf: PaperShelf, address: str) -> None:
    assert (await http.get("/recordings/" + token(shelf.links.address("16.3fa9c1d2ab04")))).status_code == 410
    for wrong in ("", "x", address[12:] + "A", "..%2f..%2fetc%2fpasswd", "%00", "a" * 5000):
        assert (await http.get("/recordings/" + wrong)).status_code == 404


async def test_whoever_tries_addresses_out_is_slowed_down_and_others_are_not(http: Http, address: str) -> None:
    answers = [(await http.get(f"/recordings/{number}")).status_code for number in range(80)]
    assert answers[0] == 404
    assert answers[-1] == 429
    assert (await http.get(address)).status_code == 200


async def test_one_address_is_not_asked_for_ever(http: Http, address: str) -> None:
    answers = {(await http.head(address)).status_code for _ in range(300)}
    assert answers == {200, 429}


def test_a_pace_recovers_and_stays_small() -> None:
    now = [0.0]
    pace = Pace(60, lambda: now[0])
    assert [pace.allows("a") for _ in range(61)] == [True] * 60 + [False]
    now[0] += 2
    assert [pace.allows("a") for _ in range(3)] == [True, True, False]
    for number in range(6000):
        pace.allows(str(number))
    assert len(pace._left) <= 5000
