"""Played to its end, and picked up by a person: two receipts of one call that together are heard."""

import pytest

from channels.base import HALVES, ReceiptWord
from channels.errors import ErrorClass
from tests.fakes.channel import Taken
from tests.fakes.county import County, Issued
from warnsvc.core.bulletin import Colour
from warnsvc.service.receipt_word import RUNG_OF, STATE_OF
from warnsvc.web.label import RECEIPT

PERSON, PLAYED = ReceiptWord.PERSON, ReceiptWord.PLAYED
ORDERS = [(PERSON, PLAYED), (PLAYED, PERSON)]


async def called(county: County) -> tuple[Issued, Taken]:
    """Release a yellow warning, which closes when it is heard, and wait for the first call."""
    warning = await county.red_warning(
        colour=Colour.YELLOW, texts={"zh": "暴雨黄色预警：请注意防范。"}
    )
    await county.advance(minutes=15)
    phone = county.villages[0].first.phone.address
    return warning, next(t for t in county.voice.taken if t.to == phone)


async def ends(county: County, warning: Issued) -> tuple[str, int, str]:
    """Return what became of the call, of him, and of his village."""
    village = county.villages[0]
    (call, *_) = await warning.attempts(village.first, channel="voice")
    rung = (await warning.callout(village.first))["rung"]
    return call["state"], rung, await warning.state(village)


@pytest.mark.parametrize("words", ORDERS)
@pytest.mark.parametrize("apart", [False, True], ids=["in_one_batch", "in_two"])
async def test_both_halves_are_heard_in_any_order(
    county: County, words: tuple[ReceiptWord, ...], apart: bool
) -> None:
    warning, call = await called(county)

    for word in words:
        county.voice.receipt(call, word)
        if apart:
            await county.settle()
    await county.settle()

    assert await ends(county, warning) == ("delivered", 5, "answered")


@pytest.mark.parametrize("words", ORDERS)
async def test_a_half_that_comes_when_the_call_is_over_still_counts(
    county: County, words: tuple[ReceiptWord, ...]
) -> None:
    warning, call = await called(county)
    first, last = words

    county.voice.receipt(call, first)
    county.voice.receipt(call, ReceiptWord.CUT_SHORT)  # `completed`, in Twilio's words
    await county.settle()
    assert await ends(county, warning) == ("undelivered", 4, "calling")
    county.voice.receipt(call, last)
    await county.settle()

    assert await ends(county, warning) == ("delivered", 5, "answered")


@pytest.mark.parametrize("word", sorted(HALVES))
async def test_one_half_is_no_more_than_picked_up(county: County, word: ReceiptWord) -> None:
    warning, call = await called(county)

    for _ in range(2):
        county.voice.receipt(call, word)
        await county.settle()

    assert await ends(county, warning) == ("accepted", 3, "calling")


@pytest.mark.parametrize("first", [True, False], ids=["verdict_first", "verdict_last"])
async def test_what_was_played_to_a_machine_is_not_heard(county: County, first: bool) -> None:
    warning, call = await called(county)
    said = [(ReceiptWord.UNDELIVERED, ErrorClass.VOICEMAIL), (PLAYED, None)]

    for word, error in said if first else reversed(said):
        county.voice.receipt(call, word, error)
        await county.settle()

    assert await ends(county, warning) == ("undelivered", 3, "calling")


async def test_halves_of_two_calls_make_no_whole(county: County) -> None:
    """A person picked up the first of one try's two calls; the second was played to a mailbox."""
    warning, call = await called(county)
    again = county.voice._take(call.request)

    county.voice.receipt(call, PERSON)
    county.voice.receipt(again, PLAYED)
    await county.settle()

    assert await ends(county, warning) == ("accepted", 3, "calling")


async def test_a_half_is_found_by_an_index(county: County) -> None:
    async with county.store.view() as unit:
        if unit.dialect != "sqlite":
            pytest.skip("a table this small is read from end to end, and rightly")
        rows = await unit.fetch(
            "EXPLAIN QUERY PLAN SELECT dedupe_key FROM inbound WHERE dedupe_key = ANY($1)", ["x"]
        )

    assert any("SEARCH inbound USING COVERING INDEX" in str(tuple(row)) for row in rows)


@pytest.mark.parametrize("word", ReceiptWord)
def test_every_word_has_a_state_a_rung_and_a_label(word: ReceiptWord) -> None:
    assert word in STATE_OF
    assert word in RUNG_OF or word is ReceiptWord.UNDELIVERED
    assert word.value in RECEIPT
