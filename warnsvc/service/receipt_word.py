"""What a carrier's word means: for an attempt or a test its state, for the person called his rung.

A word raises both and never lowers them (carriers.md §5.5). Tables only; it never decides.
"""

from collections.abc import Mapping
from typing import Final

from channels.base import ReceiptWord
from warnsvc.core.answer import (
    RUNG_CUT_SHORT,
    RUNG_DELIVERED,
    RUNG_HEARD,
    RUNG_RINGING,
    RUNG_SUBMITTED,
)

CUT_SHORT: Final = "cut_short"
"""Why a call that somebody hung up has not brought its message: a class of error of our own."""

STATE_OF: Final[Mapping[ReceiptWord, str]] = {
    ReceiptWord.ACCEPTED: "accepted",
    ReceiptWord.SENT: "accepted",
    ReceiptWord.RINGING: "accepted",
    ReceiptWord.PICKED_UP: "accepted",
    ReceiptWord.PERSON: "accepted",
    ReceiptWord.PLAYED: "accepted",
    ReceiptWord.CUT_SHORT: "undelivered",
    ReceiptWord.HEARD: "delivered",
    ReceiptWord.DELIVERED: "delivered",
    ReceiptWord.UNDELIVERED: "undelivered",
}

RANK: Final[Mapping[str, int]] = {
    "planned": 0,
    "sending": 0,
    "unknown": 0,
    "accepted": 1,
    "expired": 2,
    "failed": 2,
    "cancelled": 2,
    "undelivered": 3,
    "delivered": 4,
}
"""A receipt raises an attempt's state and never lowers it."""

RUNG_OF: Final[Mapping[ReceiptWord, int]] = {
    ReceiptWord.ACCEPTED: RUNG_SUBMITTED,
    ReceiptWord.SENT: RUNG_SUBMITTED,
    ReceiptWord.RINGING: RUNG_RINGING,
    ReceiptWord.PICKED_UP: RUNG_RINGING,
    ReceiptWord.PERSON: RUNG_RINGING,
    ReceiptWord.PLAYED: RUNG_RINGING,
    ReceiptWord.CUT_SHORT: RUNG_CUT_SHORT,
    ReceiptWord.HEARD: RUNG_HEARD,
    ReceiptWord.DELIVERED: RUNG_DELIVERED,
}
