"""What the buttons of the conference take from the settings, and connections whose other side is dead."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from perezvon.conference import Dialling
from perezvon.service.front import DEAD, listen
from perezvon.service.house import dialling
from perezvon.settings.model import Settings
from perezvon.settings.wiring import wiring_of

PBX: dict[str, Any] = {"name": "main", "ami": "tcp://perezvon:x@127.0.0.1:5038"}


def settings(**more: Any) -> Settings:
    wiring = more.pop("wiring", {})
    return Settings.model_validate({"asterisk": ({**PBX, "wiring": wiring},), **more})


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (settings(), Dialling()),
        (settings(wiring={"carrier_endpoint": "multifon"}), Dialling(outside="PJSIP/{number}@multifon")),
        (
            settings(
                wiring={
                    "dial_outside": "Local/9{number}@out",
                    "dial_inside": "Local/{number}@from-internal/n",
                    "extension_length": 3,
                },
                conference={"ring": 7, "callerid_to_third": "line"},
            ),
            Dialling("Local/9{number}@out", "Local/{number}@from-internal/n", 3, 7, "line"),
        ),
    ],
)
def test_a_third_person_is_dialled_as_the_dialplan_does(given: Settings, expected: Dialling) -> None:
    assert dialling(given, "main") == expected
    wiring = wiring_of(given, given.asterisk[0])
    assert (expected.outside, expected.inside, expected.inside_length, expected.ring, expected.shows) == (
        wiring.dial_outside, wiring.dial_inside, wiring.extension_length, wiring.third_seconds, wiring.third_sees,
    )  # fmt: skip


def test_a_dead_reader_of_a_stream_is_cut_off_in_time() -> None:
    with (
        listen("127.0.0.1:0") as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DEAD * 1000
