"""The figures of one run: a table for people, build/bench.json for programs."""

import json
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

BENCH_JSON = Path("build/bench.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number: what it is of, and what it was measured against."""

    name: str
    value: float
    unit: str
    note: str = ""


@dataclass(slots=True)
class Report:
    """Figures in the order in which they were measured."""

    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Keep a figure and say it at once: a long run must not be silent."""
        self.figures.append(Figure(name=name, value=round(value, 4), unit=unit, note=note))
        print(f"  {name}: {value:.4g} {unit}  {note}", file=sys.stderr, flush=True)

    def show(self) -> None:
        """Print the table."""
        table = Table(
            title=f"warnsvc bench, {platform.machine()}, Python {platform.python_version()}"
        )
        for heading in ("figure", "value", "unit", "measured"):
            table.add_column(heading, justify="right" if heading == "value" else "left")
        for figure in self.figures:
            table.add_row(figure.name, f"{figure.value:,.4g}", figure.unit, figure.note)
        Console(width=130).print(table)

    def write(self, path: Path = BENCH_JSON) -> None:
        """Write name → value, unit, note; figures of other runs in the file are kept."""
        path.parent.mkdir(parents=True, exist_ok=True)
        known = json.loads(path.read_text()) if path.exists() else {}
        for figure in self.figures:
            known[figure.name] = {
                "value": figure.value,
                "unit": figure.unit,
                "note": figure.note,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
            }
        path.write_text(json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
