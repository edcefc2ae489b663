"""What simulated processes leave behind when they are killed.

A killed process never runs again, so its units of work are never ended; on PostgreSQL they hold
coroutines that can only be thrown away. That happens when the collector comes, in whatever test
then runs, and is loud there. So they are thrown away here, quietly, after each test of a world.
"""

import asyncio
import gc
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@pytest.fixture(autouse=True)
def bury_the_dead(request: pytest.FixtureRequest) -> Iterator[None]:
    """Collect what a world on PostgreSQL has left, before another test meets it."""
    yield
    if not request.module.__name__.rpartition(".")[2].startswith("test_pg"):
        return
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings(), _a_loop_of_its_own():
            warnings.simplefilter("ignore")
            gc.collect()
    finally:
        sys.unraisablehook = hook


@contextmanager
def _a_loop_of_its_own() -> Iterator[None]:
    """What is thrown away may begin tasks to tidy up, on the loop that is current: not on ours."""
    policy = asyncio.get_event_loop_policy()
    ours = policy._local._loop  # type: ignore[attr-defined]
    loop = asyncio.new_event_loop()
    policy.set_event_loop(loop)
    try:
        yield
        for task in asyncio.all_tasks(loop):
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.get_coro().close()  # type: ignore[union-attr]
    finally:
        policy.set_event_loop(ours)
        loop.close()
