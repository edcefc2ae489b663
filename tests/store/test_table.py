"""The schema's own rules."""

from sqlalchemy import DateTime, LargeBinary
from sqlalchemy.types import TypeDecorator
from sqlmodel import SQLModel
from sqlmodel.sql.sqltypes import UTCDateTime

from tests.store.rows import LEGAL

COLUMNS = [column for table in SQLModel.metadata.tables.values() for column in table.columns]


def _plain(kind: object) -> object:
    return kind.impl if isinstance(kind, TypeDecorator) else kind


def test_every_datetime_column_is_aware_and_utc() -> None:
    wrong = [
        str(column)
        for column in COLUMNS
        if isinstance(_plain(column.type), DateTime) and not isinstance(column.type, UTCDateTime)
    ]

    assert wrong == []


def test_instants_are_known_by_their_names_and_nothing_else_is_called_so() -> None:
    for column in COLUMNS:
        named_so = column.name.endswith(("_at", "_until"))
        assert named_so == isinstance(column.type, UTCDateTime), str(column)


def test_no_name_is_a_boolean_here_and_something_else_there() -> None:
    kinds: dict[str, set[type]] = {}
    for column in COLUMNS:
        kinds.setdefault(column.name, set()).add(column.type.python_type)

    mixed = {name: found for name, found in kinds.items() if bool in found and len(found) > 1}

    assert mixed == {}


def test_what_is_hashed_is_stored_as_bytes() -> None:
    line = SQLModel.metadata.tables["ledger_line"]

    assert isinstance(line.c.body.type, LargeBinary)
    assert isinstance(line.c.leaf.type, LargeBinary)


def test_the_tests_know_a_legal_row_of_every_table() -> None:
    assert {kind.__tablename__ for kind in LEGAL} == set(SQLModel.metadata.tables)
