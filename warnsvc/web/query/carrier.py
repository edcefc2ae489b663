"""What the pages about carriers read beside the service's view: history, and what was set.

No secret is read here: of a secret only the path of its file is known, and of a test number only
its mask is shown.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from contacts.phone import mask
from warnsvc.logging import mask_numbers
from warnsvc.service.context import Context
from warnsvc.store.port import Unit
from warnsvc.web.query.ledger import PAGE_ROWS, LedgerFilter, list_lines

CHANGES_LISTED_MAX = 20
CHANGE_PAGES_MAX = 5
"""Five hundred changes of all carriers are looked through for one carrier's; older ones are in the
ledger."""
VALUE_CHARS_MAX = 120
SECRETIVE = re.compile(r"secret|token|passw|access_key(?!_id)|api_key")
"""A plain parameter of such a name is not shown, whoever put what into it."""
_SECRET_INSIDE = re.compile(rf"((?:{SECRETIVE.pattern})\w*\s*[=:]\s*)[^;,&\s]+", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitChange:
    """A circuit that opened, was probed or closed."""

    at: datetime
    from_state: str
    to_state: str
    why: str
    """The carrier's words, or that a probe was answered."""
    failures: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SetValue:
    """A parameter as it was set. `path` instead of a value: it is a secret in that file."""

    name: str
    value: str = ""
    path: str = ""
    hidden: bool = False
    """A secret that came with the settings: not even a path is known."""


async def circuit_changes(view: Unit, name: str) -> list[CircuitChange]:
    """Return the latest changes of a carrier's circuit, newest first."""
    found: list[CircuitChange] = []
    before = 0
    for _ in range(CHANGE_PAGES_MAX):
        lines = await list_lines(view, LedgerFilter(act="circuit.changed", before=before))
        for line in lines:
            if line.data.get("carrier") != name:
                continue
            found.append(
                CircuitChange(
                    at=line.entered_at,
                    from_state=line.from_state,
                    to_state=line.to_state,
                    why=line.why if line.to_state == "open" else "",
                    failures=int(line.data.get("failures", 0)),
                )
            )
            if len(found) == CHANGES_LISTED_MAX:
                return found
        if len(lines) < PAGE_ROWS:
            break
        before = lines[-1].id
    return found


async def set_values(view: Unit, ctx: Context, name: str) -> list[SetValue]:
    """Return what was set for a carrier, by the settings or by an administrator."""
    for carrier in ctx.settings.carriers:
        if carrier.name == name:
            paths = {secret: str(path) for secret, path in carrier.secret_files.items()}
            bare = [secret for secret in carrier.secrets if secret not in paths]
            return [*_plain(carrier.params), *_files(paths), *_bare(bare)]
    row = await view.fetch_one(
        "SELECT params_json, secret_files_json FROM carrier WHERE name = $1", name
    )
    if row is None:
        return []
    return [*_plain(json.loads(row["params_json"])), *_files(json.loads(row["secret_files_json"]))]


def _plain(params: Mapping[str, object]) -> list[SetValue]:
    return [
        SetValue(name=name, hidden=True)
        if SECRETIVE.search(name.lower())
        else SetValue(name=name, value=shown_value(name, str(value)))
        for name, value in sorted(params.items())
    ]


def _files(paths: Mapping[str, str]) -> list[SetValue]:
    return [SetValue(name=name, path=path) for name, path in sorted(paths.items())]


def _bare(names: list[str]) -> list[SetValue]:
    return [SetValue(name=name, hidden=True) for name in sorted(names)]


def shown_value(name: str, value: str) -> str:
    """Return a value without a person's number, and an address without user or query."""
    if name == "canary_to":
        return mask(value)
    if "://" in value:
        parts = urlsplit(value)
        place = parts.netloc.rpartition("@")[2]
        value = f"{parts.scheme}://{place}{parts.path}{'?…' if parts.query else ''}"
    elif name != "sender":
        value = mask_numbers(value)
    value = _SECRET_INSIDE.sub(r"\1••••", value)
    return value if len(value) <= VALUE_CHARS_MAX else f"{value[:VALUE_CHARS_MAX]}…"
