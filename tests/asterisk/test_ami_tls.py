from __future__ import annotations

import datetime
import ipaddress
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from scripted_ami import ScriptedPbx

from perezvon.asterisk import CannotConnect, Session


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-made certificate and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "office")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "office.pem"
    file.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


@pytest.fixture
def server_side(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.mark.parametrize("options", ["?ca={file}", "?verify=no"])
async def test_login_over_tls(certificate: Path, server_side: ssl.SSLContext, options: str) -> None:
    async with (
        ScriptedPbx(tls=server_side) as peer,
        await Session.open(peer.address(options=options.format(file=certificate))) as session,
    ):
        assert (await session.action("Ping"))["Ping"] == "Pong"


async def test_a_certificate_that_nobody_vouches_for_is_refused(server_side: ssl.SSLContext) -> None:
    async with ScriptedPbx(tls=server_side) as peer:
        with pytest.raises(CannotConnect, match=r"(?s)certificate.*\?ca=FILE"):
            await Session.open(peer.address())
        assert peer.actions == []


async def test_a_missing_ca_file_is_named(server_side: ssl.SSLContext) -> None:
    async with ScriptedPbx(tls=server_side) as peer:
        with pytest.raises(CannotConnect, match=r"/absent/ca\.pem"):
            await Session.open(peer.address(options="?ca=/absent/ca.pem"))


async def test_tls_to_a_plain_port_is_explained(server_side: ssl.SSLContext) -> None:
    async with ScriptedPbx() as peer:
        address = peer.address()
        with pytest.raises(CannotConnect, match="TLS"):
            await Session.open(type(address).parse(f"tls://u:p@127.0.0.1:{address.port}"))
