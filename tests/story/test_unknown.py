"""Sends of which nobody knows whether they arrived: asked about, counted, and never waited for."""

import json
from itertools import pairwise

import pytest

from channels.errors import ErrorClass
from tests.fakes.channel import Reject, Unknown
from tests.fakes.county import County
from tests.story.conftest import Build
from warnsvc.core.bulletin import Colour
from warnsvc.service.unknown import SENT_AGAIN


async def without_word(build: Build, **options: object) -> County:
    """A county whose SMS carrier takes everything and never says so."""
    county = await build(**options)
    county.sms.always(Unknown(taken=True))
    county.sms.answers_lookups = False
    county.resends = 1
    return county


def lookups(county: County, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the SMS carrier is asked about something, in seconds from now."""
    asked: list[float] = []
    began_at, lookup = county.clock.now(), county.sms.lookup

    async def counted(token: str) -> object:
        asked.append((county.clock.now() - began_at).total_seconds())
        return await lookup(token)

    monkeypatch.setattr(county.sms, "lookup", counted)
    return asked


async def test_a_window_does_not_wait_for_an_unknown(build: Build) -> None:
    county = await without_word(build)
    (village,) = county.villages
    village.first.ignores_everything()
    await county.red_warning()

    await county.advance(minutes=5)

    assert len(county.sms.tries) == 3  # to the first, to the first again, and to the second
    assert county.sms.tries[-1].to == village.second.phone.address


async def test_a_second_copy_is_marked_in_the_ledger_and_on_the_row(build: Build) -> None:
    county = await without_word(build)
    (village,) = county.villages
    warning = await county.red_warning()

    await county.advance(seconds=10)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["send_count"] == 2
    (line,) = await county.rows(
        "SELECT body FROM ledger_line WHERE act = 'attempt.unknown_settled'"
    )
    told = json.loads(bytes(line["body"]))
    assert (told["why"], told["to"]) == (SENT_AGAIN, "planned")


async def test_an_orange_text_is_waited_for_and_not_repeated(build: Build) -> None:
    county = await without_word(build)
    (village,) = county.villages
    warning = await county.red_warning(colour=Colour.ORANGE, texts={"zh": "暴雨橙色预警。"})

    await county.advance(minutes=3)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["send_count"]) == ("unknown", 1)


async def test_a_drill_is_not_repeated_either(build: Build) -> None:
    county = await without_word(build)
    (village,) = county.villages
    warning = await county.drill()

    await county.advance(minutes=3)

    (sms,) = await warning.attempts(village.first, channel="sms")
    assert (sms["state"], sms["send_count"]) == ("unknown", 1)


async def test_a_carrier_in_trouble_is_asked_ever_more_seldom(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    county = await without_word(build)
    asked = lookups(county, monkeypatch)
    await county.drill()

    await county.advance(minutes=5)

    assert asked[:4] == [10, 15, 22.5, 33.75]
    gaps = [b - a for a, b in pairwise(asked)]
    assert max(gaps) == 30
    assert asked[-1] == 300  # and once more when its time is over


async def test_what_ends_unknown_is_told_to_its_callout_as_a_failure(build: Build) -> None:
    """His line takes no calls and the text stays unknown: another text is tried."""
    county = await without_word(build)
    (village,) = county.villages
    county.voice.script(Reject(ErrorClass.NOT_CAPABLE), to=village.first.phone.address)
    warning = await county.drill()
    assert len(await warning.attempts(village.first, channel="sms")) == 1

    await county.advance(minutes=5)

    first, *more = await warning.attempts(village.first, channel="sms")
    assert (first["state"], first["error_text"]) == ("failed", "outcome never known")
    assert more


async def test_what_a_dead_worker_left_is_not_sent_again_before_a_receipt_could_come(
    build: Build,
) -> None:
    """It may have handed it over in its last moment, and the carrier does not say."""
    county = await without_word(build)
    (village,) = county.villages
    warning = await county.release(await county.signed())
    await county.outbox.claim()
    county.crash()
    await county.advance(seconds=69.9)
    assert county.sms.tries == []

    await county.advance(seconds=0.1)

    assert len(county.sms.tries) == 1
    (sms,) = await warning.attempts(village.first, channel="sms")
    assert sms["send_count"] == 2


async def test_many_unknowns_are_settled_together(build: Build) -> None:
    county = await build(villages=40, tiers=1)
    county.sms.script(*[Unknown(taken=n % 2 == 0) for n in range(40)])
    await county.red_warning()

    await county.advance(seconds=10)

    rows = await county.rows("SELECT state, COUNT(*) AS n FROM attempt GROUP BY state")
    assert [tuple(row) for row in rows] == [("accepted", 80)]
    assert len(county.sms.tries) == 60
