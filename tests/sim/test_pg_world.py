"""The simulation on a real PostgreSQL: nothing is violated, and the same seed is the same run."""

from collections.abc import Iterator

import pytest

from tests.sim.pg_world import Database, PgWorld
from tests.sim.scenario import draw

pytestmark = [
    # A process that dies drops what it had not begun; nobody is there to await it.
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def database(postgresql_dsn: str) -> Iterator[Database]:
    with Database.on(postgresql_dsn) as prepared:
        yield prepared


@pytest.mark.slow  # `make test-sim`
@pytest.mark.parametrize(("scenario", "seed"), [("crashes", 0), ("officers", 1)])
def test_a_seed_is_the_same_run_twice(database: Database, scenario: str, seed: int) -> None:
    plan = draw(scenario, seed)

    first, again = PgWorld(plan, database).run(), PgWorld(plan, database).run()

    assert first.violation is None, "\n".join(first.lines(40))
    assert first.lines() == again.lines()


def test_two_workers_share_one_database(database: Database) -> None:
    result = PgWorld(draw("two_workers", 1), database).run()

    assert result.violation is None, "\n".join(result.lines(40))
    assert result.sends > 0
