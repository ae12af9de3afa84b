from __future__ import annotations

import pytest

from perezvon.asterisk import AmiAddress


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tcp://user:secret@127.0.0.1:5038", AmiAddress("127.0.0.1", 5038, "user", "secret")),
        ("tcp://user:secret@pbx", AmiAddress("pbx", 5038, "user", "secret")),
        ("tls://user:secret@pbx", AmiAddress("pbx", 5039, "user", "secret", tls=True)),
        ("tcp://u%40x:p%3A%2F%23%25@[::1]:15038/", AmiAddress("::1", 15038, "u@x", "p:/#%")),
        ("tcp://u:%D0%BF@h", AmiAddress("h", 5038, "u", "п")),
        ("tls://u:p@h:1?ca=/etc/ca.pem", AmiAddress("h", 1, "u", "p", tls=True, ca_file="/etc/ca.pem")),
        ("tls://u:p@h:1?verify=no", AmiAddress("h", 1, "u", "p", tls=True, verify=False)),
    ],
)
def test_an_address_is_read(text: str, expected: AmiAddress) -> None:
    assert AmiAddress.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("127.0.0.1:5038", "begins with tcp:// or tls://"),
        ("http://user:hush@127.0.0.1", "begins with tcp:// or tls://"),
        ("tcp://user:hush@:5038", "names no host"),
        ("tcp://pbx:5038", "lacks the user or the secret"),
        ("tcp://user@pbx:5038", "lacks the user or the secret"),
        ("tcp://user:hush@pbx:port", "host or port is malformed"),
        ("tcp://user:hush@pbx:99999", "host or port is malformed"),
        ("tcp://user:hush@[::1:5038", "host or port is malformed"),
        ("tcp://user:hush/x@pbx:5038", "malformed"),
        ("tcp://user:hush@pbx:5038/x", "after the port"),
        ("tcp://user:hush@pbx:5038#x", "after the port"),
        ("tcp://user:hush%0D%0AAction%3A@pbx", "line break"),
        ("tls://user:hush@pbx?cert=1", "unknown option 'cert'"),
        ("tls://user:hush@pbx?verify=maybe", "yes or no"),
    ],
)
def test_a_wrong_address_is_explained_without_its_secret(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint) as caught:
        AmiAddress.parse(text)
    assert "hush" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_secret_is_never_shown() -> None:
    address = AmiAddress.parse("tls://user:hush@[::1]:5039")
    assert str(address) == "tls://user@[::1]:5039"
    assert "hush" not in repr(address)
