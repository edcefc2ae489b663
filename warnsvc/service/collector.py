"""Keeping the garbage collector out of a step that makes a million values, all of which stay alive.

It would walk them again and again and find nothing: a quarter of the time of a large release or
sweep. What is dropped meanwhile is freed by its count as ever. It never changes what is computed.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """Pause the collector; of two that overlap the first one out turns it on again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


COLLECT_AFTER = (10_000, 20, 20)
"""Allocations between collections: a batch of a thousand facts is one, not fifty."""


def leave_alone_what_stays() -> None:
    """Keep the collector from walking code, templates and tables again and again: once, at start.

    Measured: 290 µs a send before, 160 after, in a process that has loaded a county.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)
