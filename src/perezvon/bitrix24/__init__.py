"""Speaks to a portal: REST client, OAuth, batch, limits, typed methods, incoming events. Knows no calls and no settings."""

from perezvon.bitrix24.address import Address, OAuthGrant, Webhook
from perezvon.bitrix24.answers import Answer
from perezvon.bitrix24.client import Exchange, Portal
from perezvon.bitrix24.encoding import Command, ResultRef
from perezvon.bitrix24.limits import Bucket, OperatingBudget
from perezvon.bitrix24.oauth import AuthorizationServer
from perezvon.bitrix24.redaction import redact
from perezvon.bitrix24.renewal import GrantKeeper
from perezvon.bitrix24.wire import Wire

__all__ = [
    "Address",
    "Answer",
    "AuthorizationServer",
    "Bucket",
    "Command",
    "Exchange",
    "GrantKeeper",
    "OAuthGrant",
    "OperatingBudget",
    "Portal",
    "ResultRef",
    "Webhook",
    "Wire",
    "redact",
]
