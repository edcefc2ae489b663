"""What simulated processes leave behind when they are killed.

A killed process never runs again, so its units of work are never ended; on PostgreSQL they hold
coroutines that can only be thrown away. That happens when the collector comes, in whatever test
then runs, and is loud there. So they are thrown away here, quietly, after each test of a world.
"""

import gc
import sys
import warnings
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def bury_the_dead(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what a world on PostgreSQL has left, before another test meets it."""
    yield
    if not request.module.__name__.rpartition(".")[2].startswith("test_pg"):
        return
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
    finally:
        sys.unraisablehook = hook
