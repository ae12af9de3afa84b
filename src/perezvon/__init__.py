"""Perezvon: Asterisk and Bitrix24, joined. See docs/architecture.md for the rooms of this house."""

__version__ = "0.1.0"
