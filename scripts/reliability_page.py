"""Write the figures of build/*.json into docs/RELIABILITY.md, between its marks.

`make figures` runs it after the suites that measure. A figure that was not measured again keeps
the row it has: each row says when, where and with which command it was found.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "RELIABILITY.md"
SOURCES = {"faults": "faults.json", "bench": "bench.json", "sim": "sim.json"}
COMMANDS = {"bench": "make bench", "sim": "make test-sim"}
HEAD = "| figure | value | unit | what | command | when |\n|---|---:|---|---|---|---|"
DIGITS = 4
"""Significant ones: the machine's own scatter is larger than the rest."""


def written(page: str, build: Path) -> str:
    """Return the page with its tables brought up to date."""
    for part, name in SOURCES.items():
        path = build / name
        found = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        page = _replaced(page, part, found)
    return page


def _replaced(page: str, part: str, found: dict[str, Any]) -> str:
    begin, end = f"<!-- {part} -->", f"<!-- /{part} -->"
    before, _, rest = page.partition(begin)
    table, _, after = rest.partition(end)
    rows = _known(table) | {name: _row(part, name, one) for name, one in found.items()}
    lines = "\n".join([HEAD, *(rows[name] for name in sorted(rows))])
    return f"{before}{begin}\n{lines}\n{end}{after}"


def _known(table: str) -> dict[str, str]:
    rows = (line for line in table.splitlines() if line.startswith("| `"))
    return {row.split("`")[1]: row for row in rows}


def _row(part: str, name: str, one: dict[str, Any]) -> str:
    command = one.get("command") or COMMANDS.get(part, "")
    if seed := one.get("seed"):
        command += f" (seed {seed})"
    cells = (
        f"`{name}`",
        f"{one['value']:,.{DIGITS}g}",
        one["unit"],
        one.get("note", ""),
        f"`{command}`",
        one["at"][:16].replace("T", " "),
    )
    return "| " + " | ".join(re.sub(r"\s*\|\s*", " / ", str(cell)) for cell in cells) + " |"


def main() -> int:
    """Bring the page up to date."""
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(written(page, ROOT / "build"), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
