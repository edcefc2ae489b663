"""The figures of fault runs: printed for people, kept in build/faults.json for the page of results.

Each says what was run, with which seed, and when; a later run of the same name replaces it.
"""

import fcntl
import json
import os
import platform
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FAULTS_JSON = Path(__file__).resolve().parents[2] / "build" / "faults.json"


def command_line() -> str:
    """Return what was typed, without the folder it was typed in."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    program = f"-m {spec.name}" if spec is not None else Path(sys.argv[0]).name
    return " ".join(["python", program.removesuffix(".__main__"), *sys.argv[1:]])


@dataclass(slots=True)
class Figures:
    """Figures in the order in which they were found."""

    seed: int = 0
    command: str = field(default_factory=command_line)
    found: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, name: str, value: float, unit: str, note: str = "") -> None:
        """Keep one."""
        self.found[name] = {
            "value": round(float(value), 3),
            "unit": unit,
            "note": note,
            "command": self.command,
            "seed": self.seed,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        }

    def show(self) -> None:
        """Print them."""
        for name, one in self.found.items():
            print(f"  {name:44} {one['value']:>12,g} {one['unit']}  {one['note']}", flush=True)

    def write(self, path: Path | None = None) -> None:
        """Add them to the file; figures of other runs in it are kept."""
        path = path or FAULTS_JSON
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # two sets of tests may end at the same time
            file.seek(0)
            text = file.read()
            known = json.loads(text) if text.strip() else {}
            known.update(self.found)
            file.truncate(0)
            file.write(json.dumps(known, ensure_ascii=False, indent=1, sort_keys=True) + "\n")
