"""Addresses of the company's databases, and that they show no password."""

from __future__ import annotations

import pytest

from perezvon.company import DatabaseAddress, Unfit


@pytest.mark.parametrize(
    ("text", "name", "password"),
    [
        ("mysql://reader:hun%40t%2Fe%3Ar@db.lan/p%20bx", "mysql://db.lan:3306/p bx", "hun@t/e:r"),
        ("mariadb://reader:p@[::1]:3307/pbx", "mariadb://[::1]:3307/pbx", "p"),
        ("postgresql://reader:p@h/pbx", "postgresql://h:5432/pbx", "p"),
        ("sqlite:////srv/%D1%82%D0%B0%D0%B1%D0%BB%D0%B8%D1%86%D1%8B.db", "sqlite:///srv/таблицы.db", ""),
    ],
)
def test_addresses(text: str, name: str, password: str) -> None:
    address = DatabaseAddress.parse(text)
    assert (address.name, address.password) == (name, password)
    assert repr(address) == f"DatabaseAddress({name})"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mysql://reader:hunter2@h", "names no database: mysql://reader"),
        ("sqlite:///pbx.db", "names no database: sqlite:////"),
        ("sqlite://host/pbx.db", "names no database"),
        ("mssql://reader:hunter2@h/pbx", "must begin with one of mysql://, mariadb://, postgresql://, sqlite://"),
        ("mysql://reader:hunter2#@h/pbx", "names no database|cannot be read"),
        ("mysql://reader:hunter2@h:port/pbx", "cannot be read as an address"),
        ("mysql://reader:hunter2@h/pbx?charset=cp1251", "unknown option charset; none are known"),
    ],
)
def test_what_cannot_be_meant(text: str, words: str) -> None:
    with pytest.raises(Unfit, match=words) as raised:
        DatabaseAddress.parse(text)
    assert "hunter2" not in str(raised.value)
