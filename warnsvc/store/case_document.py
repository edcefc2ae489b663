"""The documents that are frozen into a case's rows: a person's numbers, a region's tiers.

    Number ⇄ [rank, kind, address, failed]        tier ⇄ [ordinal, window, quorum, n, source]

A release writes one document a person and a sweep reads them by the thousand, so encoder and
decoder are made once and what repeats is remembered. No database here.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

from contacts.contact import Number, NumberKind
from warnsvc.core.escalation import Tier
from warnsvc.core.pack import Quorum, QuorumKind

_encode = json.JSONEncoder(separators=(",", ":")).encode
_decode = json.JSONDecoder().decode
_quoted = json.encoder.encode_basestring_ascii
_KINDS = {kind.value: kind for kind in NumberKind}
"""A dict is four times as fast as calling the enum."""


def numbers_to_json(numbers: Sequence[Number]) -> str:
    """Return the numbers as the document that is frozen into a callout."""
    parts = [
        f'[{n.rank},"{n.kind.value}",{_quoted(n.address)},{"true" if n.failed else "false"}]'
        for n in numbers
    ]
    return f"[{','.join(parts)}]"


def numbers_from_json(text: str) -> tuple[Number, ...]:
    """Read frozen numbers."""
    return tuple(
        [
            Number(rank=rank, kind=_KINDS[kind], address=address, failed=failed)
            for rank, kind, address, failed in _decode(text)
        ]
    )


def tiers_to_json(tiers: Sequence[Tier], region_code: str) -> str:
    """Return the tiers without their members; a region's own code is left out, so texts repeat."""
    return _tiers_to_json(
        tuple(
            (
                t.ordinal,
                t.window_seconds,
                t.quorum.kind.value,
                t.quorum.n,
                "" if t.source_code == region_code else t.source_code,
            )
            for t in tiers
        )
    )


@lru_cache(maxsize=4096)
def _tiers_to_json(tiers: tuple[tuple[int, int, str, int, str], ...]) -> str:
    return _encode(tiers)


@lru_cache(maxsize=4096)
def tiers_from_json(text: str) -> tuple[tuple[int, int, Quorum, str], ...]:
    """Return (ordinal, window, quorum, source) of each tier; no source means the region itself."""
    return tuple(
        (ordinal, window, Quorum(kind=QuorumKind(kind), n=n), source)
        for ordinal, window, kind, n, source in json.loads(text)
    )
