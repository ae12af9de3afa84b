"""Makes it happen: durable lanes and steps, one sender for each portal, recordings on their way."""

from perezvon.delivery.attach import RecordingWorker
from perezvon.delivery.portal import PortalPort
from perezvon.delivery.sender import Sender
from perezvon.delivery.status import SenderStatus

__all__ = ["PortalPort", "RecordingWorker", "Sender", "SenderStatus"]
