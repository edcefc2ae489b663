"""Services on both databases, on a small county."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs
from structlog.typing import EventDict

from tests.fakes.county import County
from tests.fakes.quick_store import postgresql_url, reused_postgresql_url, store
from warnsvc.store.port import Store

__all__ = ["postgresql_url", "reused_postgresql_url", "store"]


@pytest.fixture
async def county(store: Store) -> County:
    """One township of two villages, two tiers each; nothing is released."""
    return await County.build(store, villages=2)


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[EventDict]]:
    """What was logged. Rendering a traceback would take longer than all the rest."""
    with capture_logs() as captured:
        yield captured
