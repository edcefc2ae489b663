"""The mutants: each is still a mistake that can be planted, and leaves nothing behind.

That each is caught is shown by `python -m tests.sim.mutants`, which takes two minutes.
"""

import pytest

from tests.sim.mutant_list import MUTANTS, Mutant
from tests.sim.mutants import Caught, _function, hunt, planted

LEAST = 20
"""So many the issue asks for."""


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_can_be_planted_and_taken_out(mutant: Mutant) -> None:
    before = [_function(edit.where).__code__ for edit in mutant.edits]

    with planted(mutant):
        planted_code = [_function(edit.where).__code__ for edit in mutant.edits]

    assert all(was is not now for was, now in zip(before, planted_code, strict=True))
    assert [_function(edit.where).__code__ for edit in mutant.edits] == before


def test_there_are_enough_and_each_has_a_name_of_its_own() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= LEAST


@pytest.mark.parametrize("name", ["window_early", "quiet_exhaustion", "mark_before_send"])
def test_a_mutant_is_caught(name: str) -> None:
    (mutant,) = [m for m in MUTANTS if m.name == name]

    caught = hunt(mutant)

    assert caught != Caught(name, caught.runs, caught.seconds), f"{name} survived"
