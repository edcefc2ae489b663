"""Stories: one warning each, on both databases, on virtual time.

build   `county = await build(villages=2)`: a county whose every warning is run to its end when
        the story is over, and checked: nothing may end quietly.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.fakes.county import County
from tests.fakes.quick_store import postgresql_url, reused_postgresql_url, store
from warnsvc.store.port import Store

__all__ = ["postgresql_url", "reused_postgresql_url", "store"]

Build = Callable[..., Awaitable[County]]


@pytest.fixture
async def build(store: Store) -> AsyncIterator[Build]:
    built: list[County] = []

    async def make(**options: Any) -> County:
        built.append(await County.build(store, **options))
        return built[-1]

    yield make
    for county in built:
        await county.finish()


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What was logged. Rendering a traceback would take longer than all the rest."""
    with capture_logs() as captured:
        yield captured
