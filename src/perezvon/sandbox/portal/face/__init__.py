"""The portal's own pages: employees' screens with cards popping up, journal with a player, click to call, faults.

    PortalServer(config, face=face_routes(world_url=…))

Looks at the portal's memory and sends snapshots of it to open pages; changes nothing but through the control API.
"""

from perezvon.sandbox.portal.face.pages import face_routes
from perezvon.sandbox.portal.face.snapshot import snapshot

__all__ = ["face_routes", "snapshot"]
