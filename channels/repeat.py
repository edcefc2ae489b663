"""Tells repeats of what a person sent, where the carrier gave it no id of its own.

    the same words, and the carrier's minute            one message, however often it is brought
    no time of the carrier's that can be believed       … and the minute in which we got it

A reply that is counted twice changes nothing; one that is taken for a repeat is lost. So the key
always holds a time: without one, the "1" of next week would be a repeat of the "1" of today. What
a carrier brings again minutes later is then counted again. Source: carriers.md §5.6.
"""

import hashlib
from datetime import datetime, timedelta

AGE_MAX = timedelta(days=7)
"""No carrier keeps a reply for longer; an older time is a clock that stands, or a zero."""
AHEAD_MAX = timedelta(days=1)
"""A clock without its zone is ahead by hours, not by more."""


def fingerprint(*words: str, at: datetime | None, received_at: datetime) -> str:
    """Return a key that repeats share. `at`: the carrier's time, which may be anything."""
    minute = (at if at is not None and believable(at, received_at) else received_at).strftime(
        "%Y%m%d%H%M"
    )
    joined = "\n".join((*words, minute))
    # Half a surrogate pair out of JSON is no text for anybody, and still a reply.
    return f"sha256:{hashlib.sha256(joined.encode('utf-8', 'surrogatepass')).hexdigest()}"


def believable(at: datetime, received_at: datetime) -> bool:
    """Return whether a carrier can mean this time for what it brings now."""
    return received_at - AGE_MAX <= at <= received_at + AHEAD_MAX
