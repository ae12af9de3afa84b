"""Builds the parts and supervises them; the only place where everything meets."""

from perezvon.service.run import serve

__all__ = ["serve"]
