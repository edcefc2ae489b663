"""Reading from Twilio's list of messages what came in since an instant, however much that is.

    since ├───────────────────────────────────────────┤ now     one reading, the newest first
          │            20 pages reach back to here ◄──┤         too much: what was read is kept
          ├─────┤ whole ├──────────┤ whole …                    windows, from the beginning on
                └ up to here nothing is missing

Twilio tells the newest first, so whoever reads too little and goes on from the newest loses the
oldest. Here a window counts only when it was read whole. The work of one poll is bounded. It asks
nothing that sends, and never tries again.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from channels.twilio_channel import TwilioChannel, instant

PAGE_SIZE: Final = 1_000
PAGES_MAX: Final = 20
"""20,000 messages are read at once; of a messaging service, those that we sent are among them."""
WINDOWS_MAX: Final = 8
"""… and eight times as many in one poll. A busy hour takes a few of them."""

ListPage = Callable[..., Awaitable[Any]]
"""The SDK's: a page of messages, by filters."""
IsReply = Callable[[Any], bool]


@dataclass(slots=True)
class Read:
    """Replies by SID, and up to when none is missing; None: up to now."""

    replies: dict[str, Any] = field(default_factory=dict)
    until: datetime | None = None


@dataclass(slots=True)
class _Window:
    """What was read of a time."""

    replies: dict[str, Any] = field(default_factory=dict)
    whole: bool = False
    reached: datetime | None = None
    """How far back."""


async def replies_since(
    channel: TwilioChannel,
    list_page: ListPage,
    is_reply: IsReply,
    *,
    since: datetime,
    now: datetime,
) -> Read | None:
    """Return the replies since an instant; None when a page of them is missing."""
    read = Read(until=since)
    start, end = since, None
    for _ in range(WINDOWS_MAX):
        window = await _read(channel, list_page, is_reply, start, end)
        if window is None:
            return None
        read.replies |= window.replies
        if window.whole and end is None:
            read.until = None
            break
        if window.whole and end is not None:
            read.until = end
            start, end = end, _following(start, end, now)
            continue
        end = _narrower(start, end or now, window.reached)
        if end <= start:
            break  # more in one second than can be read
    return read


async def _read(
    channel: TwilioChannel,
    list_page: ListPage,
    is_reply: IsReply,
    start: datetime,
    end: datetime | None,
) -> _Window | None:
    """Read what was sent in a time. Page by page: the SDK's lists go on as long as Twilio's do."""
    which = {"date_sent_after": start, "page_size": PAGE_SIZE}
    if end is not None:
        which["date_sent_before"] = end
    window = _Window()
    page = await channel.asked(list_page(**which))
    for left in range(PAGES_MAX - 1, -1, -1):
        if page is None:
            return None
        for record in page:
            window.reached = instant(record.date_sent) or window.reached
            if record.sid and is_reply(record):
                window.replies[record.sid] = record
        if page.next_page_url is None or (window.reached and window.reached < start):
            window.whole = True
            break
        page = await channel.asked(page.next_page_async()) if left else page
    return window


def _narrower(start: datetime, end: datetime, reached: datetime | None) -> datetime:
    """Return the end of a shorter window: half as long as the time that one reading covered."""
    covered = end - start if reached is None else max(end - reached, timedelta(0))
    return (start + min(covered, end - start) / 2).replace(microsecond=0)


def _following(start: datetime, end: datetime, now: datetime) -> datetime | None:
    """Return the end of the next window, which tries to be longer; None: it is open."""
    following = end + 2 * (end - start)
    return following if following < now else None
