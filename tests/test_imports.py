"""The import table of ARCHITECTURE.md, kept true by walking every import.

It also keeps `core` and the pure part of `contacts` pure: no clock, no chance, no files, no
database, no network; and it keeps everybody but `warnsvc.clock` from asking what time it is.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("warnsvc", "channels", "contacts")

MAY_IMPORT = {
    "core": {"core", "contacts"},
    "channels": {"channels"},
    "contacts": {"contacts"},
    "directory": {"contacts", "directory"},
    "shell": {"core", "contacts", "directory", "shell", "channels:port"},
    "web": {"core:values", "contacts:values", "shell", "web", "worker", "channels:port"},
    "worker": {"core:values", "contacts:values", "shell", "web", "worker", "channels:port"},
    "root": {"core", "contacts", "directory", "shell", "web", "worker", "channels", "root"},
}
"""Room → rooms. `:port` is base, errors, registry, segment; `:values` is classes and constants only."""

CHANNEL_PORT = {
    *("channels", "channels.base", "channels.errors", "channels.registry"),
    "channels.segment",  # pure: how many parts a text has
}

READERS = {
    *("warnsvc.core.hazard.hazard_of", "warnsvc.core.answer.parse"),
    *("contacts.phone.mask", "contacts.phone.as_typed_in_china"),
}
"""Functions that pages may use as if they were values: they look up or spell, and decide nothing."""

COMPOSITION_ROOT = {"warnsvc.app", "warnsvc.__main__", "warnsvc.cli", "warnsvc.demo"}

PURE_STANDARD_LIBRARY = {
    *("__future__", "abc", "base64", "bisect", "collections", "dataclasses", "datetime"),
    *("decimal", "enum", "fractions", "functools", "hashlib", "heapq", "hmac", "itertools"),
    *("json", "math", "operator", "random", "re", "string", "struct", "typing", "types"),
    *("unicodedata", "zoneinfo"),
}
PURE_THIRD_PARTY = {"phonenumbers"}

IMPURE_CALLS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "uuid4"),
    *("time.monotonic", "uuid.uuid4", "uuid.uuid1", "os.urandom", "open", "input", "print"),
}
CLOCK_CALLS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"),
}
MAY_ASK_THE_TIME = {"warnsvc.clock", "channels.clock"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One imported name: `from module import name`, or `import module` when name is empty."""

    module: str
    name: str
    line: int


def test_every_import_is_one_that_the_table_allows() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{imported.line}: {module} may not import {imported.module}"
        f" {imported.name}".rstrip()
        for path, module in modules()
        for imported in imports_of(ast.parse(path.read_text(encoding="utf-8")), module)
        if not allowed(module, imported)
    ]

    assert not offences, "\n".join(offences)


def test_the_pure_rooms_stay_pure() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{line}: {what} does not belong into a pure room"
        for path, module in modules()
        if room_of(module) in {"core", "contacts"}
        for line, what in impurities(ast.parse(path.read_text(encoding="utf-8")), module)
    ]

    assert not offences, "\n".join(offences)


def test_only_the_clock_knows_what_time_it_is() -> None:
    offences = [
        f"{path.relative_to(ROOT)}:{line}: {what}(): use warnsvc.clock"
        for path, module in modules()
        if module not in MAY_ASK_THE_TIME and not module.startswith("channels.simulator")
        for line, what in calls_of(ast.parse(path.read_text(encoding="utf-8")))
        if what in CLOCK_CALLS
    ]

    assert not offences, "\n".join(offences)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("warnsvc.core.plan", "from warnsvc.store.port import Unit"),
        ("warnsvc.core.plan", "import channels.base"),
        ("warnsvc.core.plan", "from contacts.directory.table import RegionRow"),
        ("channels.simulated", "from warnsvc.core.bulletin import Bulletin"),
        ("channels.simulated", "import warnsvc"),
        ("channels.simulated", "from contacts.phone import parse"),
        ("contacts.region", "from contacts.directory import table"),
        ("contacts.directory.table", "from warnsvc.settings import Settings"),
        ("warnsvc.service.release", "from channels.simulated import SimulatedChannel"),
        ("warnsvc.service.release", "from warnsvc.web.auth import Session"),
        ("warnsvc.outbox", "from warnsvc.app import create_app"),
        ("warnsvc.web.board", "from warnsvc.core.escalation import decide"),
        ("warnsvc.web.board", "from warnsvc.core import escalation"),
        ("warnsvc.web.board", "from contacts.directory.table import RegionRow"),
        ("warnsvc.worker.engine", "from ..app import create_app"),
    ],
)
def test_the_walk_finds_what_the_table_forbids(module: str, statement: str) -> None:
    (imported,) = imports_of(ast.parse(statement), module)

    assert not allowed(module, imported)


@pytest.mark.parametrize(
    ("module", "statement"),
    [
        ("warnsvc.core.plan", "from contacts.region import RegionTree"),
        ("warnsvc.service.release", "from warnsvc.core.escalation import decide"),
        ("warnsvc.outbox", "from channels.base import SendRequest"),
        ("warnsvc.web.board", "from warnsvc.core.escalation import EscalationState"),
        ("warnsvc.web.board", "from warnsvc.core.bulletin import TEXT_CHARS_MAX"),
        ("warnsvc.app", "from channels.simulated import SimulatedChannel"),
    ],
)
def test_the_walk_lets_through_what_the_table_allows(module: str, statement: str) -> None:
    (imported,) = imports_of(ast.parse(statement), module)

    assert allowed(module, imported)


@pytest.mark.parametrize(
    "code",
    [
        "from datetime import datetime\ndatetime.now()",
        "import datetime\ndatetime.datetime.utcnow()",
        "import time\ntime.time()",
        "import random\nrandom.choice([1])",
        "from random import shuffle",
        "import asyncio",
        "from sqlmodel import Field",
        "from uuid import uuid4",
        "open('x')",
    ],
)
def test_the_walk_finds_what_is_not_pure(code: str) -> None:
    assert list(impurities(ast.parse(code), "warnsvc.core.plan"))


def test_a_seeded_generator_is_pure() -> None:
    code = "import random\nrandom.Random(7).choice([1])"

    assert not list(impurities(ast.parse(code), "contacts.county"))


def modules() -> Iterator[tuple[Path, str]]:
    """Yield every file of ours with its dotted name."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(tree: ast.Module, module: str) -> Iterator[Imported]:
    """Yield every name that a module imports, also inside functions and for type checking."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(module=alias.name, name="", line=node.lineno)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = module.split(".")[: -node.level]
                base = ".".join([*package, *([base] if base else [])])
            for alias in node.names:
                yield Imported(module=base, name=alias.name, line=node.lineno)


def room_of(module: str) -> str:
    """Return the room of the table in which a module stands."""
    for prefix, room in (
        ("channels", "channels"),
        ("contacts.directory", "directory"),
        ("contacts", "contacts"),
        ("warnsvc.core", "core"),
        ("warnsvc.web", "web"),
        ("warnsvc.worker", "worker"),
        *((root, "root") for root in sorted(COMPOSITION_ROOT)),
    ):
        if module == prefix or module.startswith(f"{prefix}."):
            return room
    return "shell"


def allowed(module: str, imported: Imported) -> bool:
    """Return whether the table lets `module` import this."""
    if imported.module.partition(".")[0] not in PACKAGES:
        return True
    target = imported.module
    if imported.name and is_module(f"{target}.{imported.name}"):
        target = f"{target}.{imported.name}"
    room, there = room_of(module), room_of(target)
    if room == there or there in MAY_IMPORT[room]:
        return True
    if there == "channels":
        return target in CHANNEL_PORT and "channels:port" in MAY_IMPORT[room]
    is_value = target == imported.module and (
        imported.name[:1].isupper() or f"{target}.{imported.name}" in READERS
    )
    return is_value and f"{there}:values" in MAY_IMPORT[room]


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def impurities(tree: ast.Module, module: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of whatever reaches out of a pure module."""
    for imported in imports_of(tree, module):
        top = imported.module.partition(".")[0]
        if top not in {*PACKAGES, *PURE_STANDARD_LIBRARY, *PURE_THIRD_PARTY}:
            yield imported.line, f"import {imported.module}"
        if top == "random" and imported.name not in {"", "Random"}:
            yield imported.line, f"random.{imported.name}"
    for line, name in calls_of(tree):
        if name in IMPURE_CALLS or (name.startswith("random.") and name != "random.Random"):
            yield line, name


def calls_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name, the last two parts of it, of every call."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield node.lineno, ".".join(ast.unparse(node.func).split(".")[-2:])
