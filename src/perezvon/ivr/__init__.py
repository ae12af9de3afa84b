"""The voice menu: its scenarios, its prompts, its script."""
