"""Fixtures of the web tests: a desk on an empty store. SQLite unless a test says otherwise."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.web.rig import Desk, open_desk
from warnsvc.store.port import Store


@pytest.fixture(params=["sqlite"])
def backend(request: pytest.FixtureRequest) -> str:
    """Pages are tested on SQLite; `test_both.py` opens every page on PostgreSQL too."""
    return str(request.param)


@pytest.fixture
async def desk(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(store, tmp_path) as opened:
        yield opened
