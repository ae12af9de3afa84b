"""Connects callers with whoever is responsible for them, before any phone rings: what is known of clients (clients.py) and
of employees (presence.py), and the dialplan's question (reception.py). The choice itself is a rule: rules/connecting.py."""

from perezvon.autoconnect.clients import Clients, Known
from perezvon.autoconnect.presence import Presence
from perezvon.autoconnect.reception import Decided, Desk, Hook, Reception

__all__ = ["Clients", "Decided", "Desk", "Hook", "Known", "Presence", "Reception"]
