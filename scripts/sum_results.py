"""Add up the results of several pytest runs: `812 passed, 0 failed, 3 skipped`."""

import sys
from pathlib import Path
from xml.etree import ElementTree  # only our own pytest wrote these files

COUNTED = ("tests", "failures", "errors", "skipped")


def summed(folder: Path) -> dict[str, int]:
    """Return the counts over every JUnit file in `folder`."""
    totals = dict.fromkeys(COUNTED, 0)
    for path in sorted(folder.glob("*.xml")):
        for suite in ElementTree.parse(path).getroot().iter("testsuite"):  # noqa: S314
            for name in COUNTED:
                totals[name] += int(suite.get(name, 0))
    return totals


if __name__ == "__main__":
    counts = summed(Path(sys.argv[1]))
    failed = counts["failures"] + counts["errors"]
    passed = counts["tests"] - failed - counts["skipped"]
    sys.stdout.write(f"{passed} passed, {failed} failed, {counts['skipped']} skipped\n")
