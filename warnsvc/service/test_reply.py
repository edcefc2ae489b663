"""Replies that name no message: is one of them the answer to a test?

    who waits for an answer of his? somebody ──► it is about that warning, whatever came later
                                    nobody   ──► the newest message we sent him, within a day:
                                                 a test ──► the test is answered

A person who tries out his phone must not ring the desk as somebody whose reply fits nothing. It
reads; `warnsvc.service.inbound` decides about everything else.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from warnsvc.store.port import Row, Unit
from warnsvc.store.test_send import TestSend, newest_of_addresses

ANSWERED_WITHIN = timedelta(hours=24)
"""Who answers a test the day after means something else."""


async def tests_of_senders(
    unit: Unit, senders: Sequence[str], awaited: Iterable[str], *, now: datetime
) -> dict[str, TestSend]:
    """Return by sender the test that a bare reply of his is about.

    `awaited`: senders from whom a warning still awaits an answer.
    """
    asked = sorted({*senders} - {*awaited})
    if not asked:
        return {}
    tests = await newest_of_addresses(unit, asked, since=now - ANSWERED_WITHIN)
    if not tests:
        return {}
    later = {row["address"]: row["last_at"] for row in await _last_sent(unit, list(tests))}
    return {
        address: test
        for address, test in tests.items()
        if address not in later or later[address] <= test.sent_at
    }


async def _last_sent(unit: Unit, addresses: Sequence[str]) -> list[Row]:
    return await unit.fetch(
        "SELECT address, MAX(sent_at) AS last_at FROM attempt WHERE address = ANY($1)"
        " AND sent_at IS NOT NULL GROUP BY address",
        list(addresses),
    )
