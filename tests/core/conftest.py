"""Hypothesis as this house runs it: the same examples every time, and no stopwatch.

To search further: `HYPOTHESIS_PROFILE=search pytest tests/core`.
"""

import os

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, database=None)
settings.register_profile("search", deadline=None, max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))
