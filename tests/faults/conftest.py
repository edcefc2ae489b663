"""Everything here breaks real processes: marked `faults`, run one after another, in real time."""

from collections.abc import Iterable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: Iterable[pytest.Item]) -> None:
    """Mark what stands in this folder; a test that takes minutes marks itself `faults_long`."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.faults)
