"""PostgreSQL's spelling becomes SQLite's, and nothing else changes."""

import pytest

from warnsvc.store.translate import Untranslatable, translate

CASES = [
    ("numbers", "SELECT $1, $12, $1", "SELECT ?1, ?12, ?1"),
    ("any", "id = ANY($1)", "id IN (SELECT value FROM json_each(?1))"),
    ("any with a cast", "id =ANY( $2::bigint[] )", "id IN (SELECT value FROM json_each(?2))"),
    ("all", "state <> ALL($1)", "state NOT IN (SELECT value FROM json_each(?1))"),
    ("cast", "SELECT count(*)::int, $1::text", "SELECT count(*), ?1"),
    ("cast with length", "x::varchar(20)", "x"),
    ("cast of two words", "x::double precision > 1", "x > 1"),
    ("cast to an instant", "$1::timestamp with time zone", "?1"),
    ("lock", "SELECT 1 FROM a WHERE b FOR UPDATE", "SELECT 1 FROM a WHERE b "),
    ("skip locked", "LIMIT $1 FOR UPDATE OF a, b SKIP LOCKED)", "LIMIT ?1 )"),
    ("weaker locks", "FOR NO KEY UPDATE NOWAIT", ""),
    ("materialized", "WITH a AS MATERIALIZED (SELECT 1)", "WITH a AS MATERIALIZED (SELECT 1)"),
    ("upsert", "ON CONFLICT (a) DO UPDATE SET b = excluded.b", None),
    ("string", "SELECT '$1 ''now()'' x::int FOR UPDATE'", None),
    ("quoted name", 'SELECT "a$1::b"', None),
    ("comment", "SELECT 1 -- $1 now()\n", None),
    (
        "unnest",
        "FROM unnest($2::int[], $3) AS g(id, state)",
        "FROM (SELECT value ->> 0 AS id, value ->> 1 AS state FROM json_each(?2)) AS g",
    ),
]


@pytest.mark.parametrize(
    ("given", "expected"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_statement_is_translated(given: str, expected: str | None) -> None:
    assert translate(given).sql == (given if expected is None else expected)


@pytest.mark.parametrize(
    "given",
    [
        "UPDATE a SET b = now()",
        "SELECT CURRENT_TIMESTAMP",
        "WHERE a > ANY($1)",
        "SELECT unnest($1)",
        "FROM unnest($1, $2) AS g(id)",
        "SELECT $1 FROM unnest($1) AS g(id)",
    ],
)
def test_what_would_mean_something_else_is_refused(given: str) -> None:
    with pytest.raises(Untranslatable):
        translate(given)


def test_lists_that_are_unnested_travel_as_one() -> None:
    statement = translate("SELECT $1 FROM unnest($2, $3) AS a(x, y), unnest($4) AS b(z)")

    assert statement.zipped == ((1, 2), (3,))
    assert statement.used == 4
