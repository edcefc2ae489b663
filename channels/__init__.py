"""Ways to reach an address with a text, and to hear back.

A channel knows an address and a text. It never hears the words bulletin, tier or region.
"""

WARNSVC = "warnsvc"
"""Marks this package as ours: another distribution also installs a top-level `channels`."""
