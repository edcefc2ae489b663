"""Halves: a call was heard when it was played to its end and a person had picked up.

    played ─┬─► heard, as soon as both are on disk: in one batch or in two, whichever came first
    person ─┘   and whichever web process was told

A half is looked for by its key, which has an index. Both are facts before either is applied, and
whoever is applied last finds the other, so two workers cannot miss it between them. It only reads.
"""

from collections.abc import Sequence

from channels.base import HALVES, ReceiptWord, half_key
from warnsvc.service.inbound_receipt import Told
from warnsvc.service.intake import receipt_key
from warnsvc.store.inbound import Inbound, without_known
from warnsvc.store.port import Unit


async def with_heard(unit: Unit, receipts: Sequence[Told]) -> list[Told]:
    """Return receipts; one whose other half is known says that a person heard it all."""
    others = {r.fact["id"]: _other(r) for r in receipts if _is_half(r)}
    if not others:
        return list(receipts)
    missing = {fact.dedupe_key for fact in await without_known(unit, list(others.values()))}
    whole = {i for i, other in others.items() if other.dedupe_key not in missing}
    return [r._replace(word=ReceiptWord.HEARD) if r.fact["id"] in whole else r for r in receipts]


def _is_half(told: Told) -> bool:
    """Without a reference nobody knows of which call it is one."""
    return told.word in HALVES and bool(told.said.get("reference"))


def _other(told: Told) -> Inbound:
    """Return the fact that would make it whole."""
    carrier, reference = told.fact["carrier"], told.said["reference"]
    return Inbound(
        kind="receipt",
        carrier=carrier,
        channel=told.fact["channel"],
        dedupe_key=receipt_key(carrier, half_key(reference, HALVES[told.word])),
        received_at=told.fact["received_at"],
    )
