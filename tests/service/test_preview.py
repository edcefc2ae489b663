"""A large preview is kept for a minute, and never when the directory has changed."""

import pytest

from tests.fakes.county import County
from warnsvc.core.plan import plan
from warnsvc.service import preview as room
from warnsvc.service.release import preview


@pytest.fixture(autouse=True)
def every_preview_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "KEPT_PEOPLE_MIN", 1)


async def test_it_is_planned_once_and_anew_after_a_minute(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await county.signed()
    first = await preview(county.ctx, new)
    planned: list[int] = []
    _count_plans(monkeypatch, planned)

    assert await preview(county.ctx, new) == first
    assert not planned

    county.clock.move(seconds=61)
    assert await preview(county.ctx, new) == first
    assert planned == [1]


async def test_a_number_that_failed_is_seen_at_once(county: County) -> None:
    new = await county.signed()
    before = await preview(county.ctx, new)

    async with county.store.unit() as unit:
        await unit.execute("UPDATE contact_number SET failed_at = $1", county.clock.now())

    after = await preview(county.ctx, new)
    assert len(after.gaps) > len(before.gaps)


def _count_plans(monkeypatch: pytest.MonkeyPatch, planned: list[int]) -> None:
    def counted(**given: object) -> object:
        planned.append(1)
        return plan(**given)  # type: ignore[arg-type]

    monkeypatch.setattr("warnsvc.service.preview.plan", counted)
