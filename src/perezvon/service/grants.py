"""A portal's grant: kept sealed in the database, renewed at its authorization server."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlsplit

from perezvon.bitrix24 import AuthorizationServer, GrantKeeper, OAuthGrant, Wire
from perezvon.settings.portal import PortalSettings
from perezvon.settings.secrets import SecretBox
from perezvon.storage import tokens
from perezvon.storage.database import Database
from perezvon.storage.tokens import SealedToken


async def keeper_of(
    settings: PortalSettings,
    database: Database,
    box: SecretBox,
    saved: Callable[[OAuthGrant], None],
    clock: Callable[[], float],
) -> GrantKeeper:
    """With what is stored. `saved`: called with each grant that was stored. Raises SecretMissing, KeyLost, Unavailable."""
    server_host = urlsplit(settings.oauth_server).netloc
    own_wire = Wire(total=30.0, ca_file=settings.ca or None, verify=settings.verify_tls)
    server = AuthorizationServer(wire=own_wire, trusted=frozenset({server_host}))
    assert settings.client_secret is not None
    blank = OAuthGrant(
        domain=urlsplit(settings.domain).netloc if "://" in settings.domain else settings.domain,
        client_id=settings.client_id,
        client_secret=settings.client_secret.reveal(),
        client_endpoint=f"{settings.domain}/rest/" if "://" in settings.domain else "",
        server_endpoint=f"{settings.oauth_server.rstrip('/')}/rest/",
    )
    blank = replace(blank, named=blank.domain)

    async def load() -> OAuthGrant | None:
        async with database.read() as conn:
            row = await tokens.load(conn, settings.name)
        stored = None if row is None else OAuthGrant.from_json(json.loads(box.unseal(row.sealed)))
        if stored is not None and not server.trusts(stored.server_endpoint):  # the settings name another one now
            stored = replace(stored, server_endpoint=blank.server_endpoint)
        return None if stored is None else stored.settled(blank)

    async def save(grant: OAuthGrant) -> None:
        sealed = box.seal(json.dumps(grant.as_json()).encode())
        row = SealedToken(settings.name, sealed, grant.member_id, clock())
        await database.write(lambda conn: tokens.save(conn, row))
        saved(grant)

    return GrantKeeper(await load() or blank, server=server, save=save, load=load)
