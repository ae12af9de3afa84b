"""The databases that belong to the company: read, never written, and never waited for longer than told."""
