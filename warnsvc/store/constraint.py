"""The name of the constraint that refused a row, the same word on both databases.

A named constraint of the schema keeps its name. A primary key is `<table>_pkey`, a foreign key is
`foreign_key` and a missing value `not_null`, because SQLite does not say which one it was. An
append-only trigger is `<table>_append_only`.
"""

import re
from functools import lru_cache

from sqlalchemy import UniqueConstraint
from sqlmodel import SQLModel

FOREIGN_KEY = "foreign_key"
NOT_NULL = "not_null"

_FAILED = re.compile(r"^(UNIQUE|CHECK|NOT NULL|FOREIGN KEY) constraint failed(?:: (.*))?$")


def sqlite_constraint(message: str) -> str:
    """Return the constraint's name from SQLite's message, or nothing."""
    found = _FAILED.match(message)
    if found is None:
        return message.partition(":")[0] if "_append_only:" in message else ""
    match found[1]:
        case "CHECK":
            return found[2]
        case "UNIQUE":
            return _unique_keys().get(frozenset(found[2].split(", ")), "")
        case "NOT NULL":
            return NOT_NULL
        case _:
            return FOREIGN_KEY


@lru_cache(maxsize=1)
def _unique_keys() -> dict[frozenset[str], str]:
    keys: dict[frozenset[str], str] = {}
    for table in SQLModel.metadata.tables.values():
        keys[frozenset(f"{table.name}.{column.name}" for column in table.primary_key)] = (
            f"{table.name}_pkey"
        )
        for constraint in table.constraints:
            if isinstance(constraint, UniqueConstraint):
                names = frozenset(f"{table.name}.{column.name}" for column in constraint.columns)
                keys[names] = str(constraint.name)
    return keys
