"""Who answers for which place: regions, contacts, assignments, phone numbers.

Everything here but `contacts.directory` is pure: no clock, no database, no network.
"""

WARNSVC = "warnsvc"
"""Marks this package as ours: another distribution may also install a top-level `contacts`."""
