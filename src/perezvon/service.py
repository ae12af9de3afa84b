"""Builds the parts and supervises them; the only place where everything meets."""
