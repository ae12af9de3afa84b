"""TLS with a certificate authority of the company's own, and a proxy on the way."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from base64 import b64encode
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from scripted_http import ScriptedServer, answer, ok

from perezvon.bitrix24 import Portal, Webhook, Wire
from perezvon.bitrix24.errors import NotSent, PortalBlocked

HOOK = "/rest/1/s3cr3tw3bh00k/"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1 with its key, as one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "portal.pem"
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def test_a_company_authority_is_trusted_when_it_is_named(certificate: Path) -> None:
    async with ScriptedServer([ok(1)], tls=tls(certificate)) as server:
        address = Webhook.parse(server.url + HOOK)
        async with Portal("main", address, wire=Wire(ca_file=certificate)) as portal:
            assert (await portal.call("profile")).result == 1
        async with Portal("main", address) as portal:
            with pytest.raises(NotSent, match="is not accepted"):
                await portal.call("profile")
        assert len(server.seen) == 1


async def test_no_way_leads_from_https_to_http(certificate: Path) -> None:
    async with ScriptedServer([ok()]) as plain:
        act = answer("", 302, Location=f"{plain.url}{HOOK}profile")
        wire = Wire(ca_file=certificate)
        async with (
            ScriptedServer([act], tls=tls(certificate)) as server,
            Portal("main", Webhook.parse(server.url + HOOK), wire=wire) as portal,
        ):
            with pytest.raises(PortalBlocked, match="plain http"):
                await portal.call("profile")
        assert plain.seen == []


async def test_requests_go_through_the_proxy() -> None:
    async with ScriptedServer([ok(7)]) as proxy:
        wire = Wire(proxy=proxy.url.replace("://", "://me:pr0xypass@"))
        async with Portal("main", Webhook.parse(f"http://portal.invalid{HOOK}"), wire=wire) as portal:
            assert (await portal.call("profile")).result == 7
        (request,) = proxy.seen
        assert request.path == f"http://portal.invalid{HOOK}profile"
        assert request.headers["proxy-authorization"] == "Basic " + b64encode(b"me:pr0xypass").decode()


async def test_a_dead_proxy_is_told_without_its_password() -> None:
    wire = Wire(proxy="http://me:pr0xypass@127.0.0.1:9")
    async with Portal("main", Webhook.parse(f"http://portal.invalid{HOOK}"), wire=wire) as portal:
        with pytest.raises(NotSent, match="proxy") as caught:
            await portal.call("profile")
        assert "pr0xypass" not in str(caught.value)
