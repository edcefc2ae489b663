"""Reads country calling codes as settings and profiles say them: `86 7`, or `*` for all.

A name of a country, or its letters, is no code: no number begins with it, and nobody would ever be
reached.
"""

import re
from collections.abc import Iterable


def codes(given: str | Iterable[str]) -> frozenset[str]:
    """Return codes: those of a sequence, or words as settings can say them (`1 44, 61`).

    Raises ValueError for what is neither digits nor `*`.
    """
    words = re.split(r"[\s,]+", given.strip()) if isinstance(given, str) else list(given)
    found = frozenset(word.removeprefix("+") for word in words if word)
    if not all(code == "*" or (code.isascii() and code.isdecimal()) for code in found):
        raise ValueError("countries are calling codes such as 86 or 44, or *")
    return found
