"""What `make test-carriers` says at its end: how each carrier did, in one line."""

from collections import Counter, defaultdict
from pathlib import PurePosixPath

import pytest

ENDS = ("passed", "failed", "error", "skipped")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print a table, when the carriers were what was asked for."""
    if not str(terminalreporter.config.option.markexpr).startswith("carriers"):
        return
    rows: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for end in ENDS:
        for report in terminalreporter.stats.get(end, ()):
            rows[room_of(report.nodeid)][end] += 1
    terminalreporter.section("carriers")
    for room, counted in sorted(rows.items()):
        ends = ", ".join(f"{counted[end]} {end}" for end in ENDS if counted[end])
        terminalreporter.write_line(f"{room:<44} {ends}")


def room_of(nodeid: str) -> str:
    """Return `conformance: TestX` for the suite that all pass, else the folder of the test."""
    path, *names = nodeid.split("::")
    place = PurePosixPath(path)
    if place.name == "test_conformance.py" and len(names) > 1:
        return f"conformance: {names[0]}"
    return place.parent.name
