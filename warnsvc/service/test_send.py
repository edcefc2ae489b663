"""Test sends: a message to an officer's phone, or a canary, that warns nobody.

    checked ──► row (sending) ──commit──► carrier ──► accepted | failed | unknown
                  │                                      │ receipts and answers, by our own token
                  └─ a crash: unknown after a minute     └► delivered | undelivered, answered

They stand in a table of their own, never among attempts, and what carriers and people say of them
never raises an alarm by itself and never reaches a callout.
"""

from channels.base import Channel
from warnsvc.service.context import Context
from warnsvc.store.test_send import TestSend

__all__ = ["TestSend", "send_test"]


async def send_test(
    ctx: Context,
    channel: Channel,
    *,
    address: str,
    officer_id: int | None,
    purpose: str = "by_hand",
    language: str = "zh",
) -> TestSend:
    """Send a test and return what became of it. Raises Refusal: nothing was sent."""
    raise NotImplementedError
