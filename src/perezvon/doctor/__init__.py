"""Finds out what is wrong with an installation and names the exact fix. Changes nothing, anywhere."""

from perezvon.doctor.check import Check, State, worst

__all__ = ["Check", "State", "worst"]
