"""Measure: `python -m tests.bench [dispatch inbound release windows claim]`.

Prints a table and writes build/bench.json.
"""

import argparse
import asyncio
import logging

import structlog

from tests.bench import claim, dispatch, inbound, release, windows
from tests.bench.report import Report

PARTS = {
    "dispatch": dispatch.measure,
    "inbound": inbound.measure,
    "claim": claim.measure,
    "release": release.measure,
    "windows": windows.measure,
}


def main() -> None:
    """Run the parts that were named, or all."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    wanted = parser.parse_args().parts or list(PARTS)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    report = Report()
    for name in wanted:
        asyncio.run(PARTS[name](report))
        report.write()
    report.show()


if __name__ == "__main__":
    main()
