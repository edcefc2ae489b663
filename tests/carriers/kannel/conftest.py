"""Everything here drives a real Kannel: marked `carriers`, skipped where there is none but in CI."""

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.carriers.kannel.kannel import why_not

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark what stands in this folder."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.carriers)


@pytest.fixture(autouse=True)
def needs_kannel() -> None:
    """Skip without a Kannel; fail where a missing one would go unseen."""
    reason = why_not()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
