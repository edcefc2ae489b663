"""F2: kill -9 of web and worker while people answer. Pass: no answer that got its 2xx is lost."""

import pytest

from tests.faults.answers import answer_run, figures_of
from tests.faults.figures import Figures

ANSWERS = 1_500
KILLS = 8


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
async def test_no_answer_that_was_taken_is_lost_by_eight_kills(kind: str) -> None:
    result = await answer_run(kind, answers=ANSWERS, kills=KILLS, seed=3)

    figures = Figures(seed=3)
    figures_of(result, f"answers_short_{kind}", figures)
    figures.show()
    figures.write()
    assert sum(result.kills.values()) == KILLS
    assert len(result.accepted) == ANSWERS
    assert not result.lost
    assert result.unapplied == 0
    assert result.applied == ANSWERS, "each is applied exactly once"
    assert result.open_left == 0, "whoever has answered is not called again"
