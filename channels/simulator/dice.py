"""Chance that can be repeated: the same seed and the same question give the same answer.

Rolls are hashes, not draws from one stream, so the order in which requests happen to arrive
changes nobody's habits and a run on virtual time is the run again.
"""

from hashlib import blake2b
from math import exp
from statistics import NormalDist

_NORMAL = NormalDist()
_WORD = 2.0**64
_EDGE = 1e-9
"""Keeps a roll away from 0 and 1, where the bell curve has no value."""


class Dice:
    """Answers questions of chance from a seed."""

    def __init__(self, seed: int) -> None:
        self._key = seed.to_bytes(16, "big", signed=True)

    def roll(self, *about: object) -> float:
        """Return a number from 0 up to 1 that depends on the seed and on `about` alone."""
        question = "\x1f".join(map(str, about)).encode()
        digest = blake2b(question, digest_size=8, key=self._key).digest()
        return int.from_bytes(digest, "big") / _WORD

    def happens(self, chance: float, *about: object) -> bool:
        """Return whether something with this chance happens."""
        if chance <= 0.0:
            return False
        return chance >= 1.0 or self.roll(*about) < chance

    def duration(self, median: float, spread: float, *about: object) -> float:
        """Return seconds around a median: half below, a long tail above (log-normal)."""
        if spread <= 0.0 or median <= 0.0:
            return max(median, 0.0)
        place = min(max(self.roll(*about), _EDGE), 1.0 - _EDGE)
        return median * exp(spread * _NORMAL.inv_cdf(place))
