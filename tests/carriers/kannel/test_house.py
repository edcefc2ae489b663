"""5,000 people, a real Kannel, and what breaks on the way: nothing is lost, nothing is doubled."""

from dataclasses import asdict

import pytest

from tests.carriers.kannel.house import House, open_house, write_figures
from tests.carriers.kannel.kannel import LINE_WINDOW

PEOPLE = 5_000
BOTH = pytest.mark.parametrize("database", ["sqlite", "postgresql"])


@BOTH
@pytest.mark.parametrize("line", ["fake", "smpp"])
async def test_five_thousand_texts_ten_thousand_receipts_and_a_thousand_replies(
    line: str, database: str
) -> None:
    async with open_house(PEOPLE, line=line, database=database) as house:
        await house.release()

        house.start()
        await house.until_settled(receipts=2 * PEOPLE)

        result = await house.result()
        write_figures(f"kannel_{line}_{database}", result)
        assert house.kannel.copies().keys() == house.numbers
        assert (result.lost, result.doubled) == (0, 0)
        assert result.receipts == 2 * PEOPLE
        assert result.replies == result.answered == house.repliers == 1_000
        assert await wrong_ones(house) == 0
        assert await house.rig.states() == {"delivered": PEOPLE}


async def test_a_line_that_ends_half_way_and_comes_back_loses_and_doubles_nothing() -> None:
    """Kannel keeps what its line has not confirmed, and hands it over when the line is back."""
    async with open_house(PEOPLE) as house:
        await house.release()
        house.start()
        await house.until_taken(PEOPLE // 3)

        house.kannel.smsc.end()
        at_end = await house.taken()
        await house.pause(seconds=3)
        house.kannel.smsc.start()
        await house.until_settled(receipts=2 * PEOPLE)

        result = await house.result()
        write_figures("kannel_smsc_ended", result)
        assert at_end < PEOPLE, "it was too late for an end half-way"
        assert (result.lost, result.doubled) == (0, 0)
        assert result.receipts == 2 * PEOPLE
        assert result.answered == house.repliers
        assert await wrong_ones(house) == 0


@BOTH
async def test_an_smsc_killed_half_way_loses_nothing_and_doubles_what_was_unconfirmed(
    database: str,
) -> None:
    """Kannel cannot know of the last few whether the SMSC took them, and sends them again."""
    async with open_house(PEOPLE, database=database) as house:
        await house.release()
        house.start()
        await house.until_taken(PEOPLE // 3)

        house.kannel.smsc.kill()
        at_kill = await house.taken()
        await house.pause(seconds=3)
        house.kannel.smsc.start()
        await house.until_settled(receipts=2 * PEOPLE)

        result = await house.result()
        write_figures(f"kannel_smsc_killed_{database}", result)
        assert at_kill < PEOPLE, "it was too late for a kill half-way"
        assert result.lost == 0
        assert result.doubled <= LINE_WINDOW
        assert (result.unknown, result.resent) == (0, 0), "we sent each once"
        assert result.receipts == 2 * PEOPLE
        assert result.answered == house.repliers
        assert await wrong_ones(house) == 0


VICTIMS = [("smsbox",), ("bearerbox",), ("smsbox", "bearerbox")]


@pytest.mark.parametrize("victims", VICTIMS, ids="+".join)
async def test_a_kannel_killed_half_way_loses_no_text_and_unknowns_end_by_policy(
    victims: tuple[str, ...],
) -> None:
    """What it had confirmed is in its spool; what it had not is unknown, and red is sent once more.

    What it holds in memory dies with it: who wants receipts, and replies on their way to us. Whoever
    sent those has not answered for us and is called again; here it is counted.
    """
    async with open_house(PEOPLE) as house:
        await house.release()
        house.start()
        await house.until_handed_over(PEOPLE // 5)

        for name in victims:
            getattr(house.kannel, name).kill()
        at_kill = await house.handed_over()
        await house.pause(seconds=3)
        if "bearerbox" in victims:
            house.kannel.smsbox.kill()  # it is lost without its bearerbox
            await house.kannel.start_bearerbox()
        await house.kannel.start_smsbox()
        await house.until_quiet()

        result = await house.result()
        forgotten = house.repliers - result.answered
        figures = {**asdict(result), "replies_forgotten_by_kannel": forgotten}
        write_figures(f"kannel_killed_{'_'.join(victims)}", figures)
        assert at_kill < PEOPLE, "it was too late for a kill half-way"
        assert result.lost == 0
        assert result.doubled <= result.resent + LINE_WINDOW, "no copy but policy's and the line's"
        assert result.answered > house.repliers // 2
        assert await wrong_ones(house) == 0
        assert set(await house.rig.states()) <= {"accepted", "delivered"}


async def wrong_ones(house: House) -> int:
    """How many people are credited with an answer that their phone did not give."""
    return int(
        await house.rig.one(
            "SELECT COUNT(*) FROM answer n JOIN inbound i ON i.id = n.inbound_id"
            " JOIN callout c ON c.id = n.callout_id JOIN contact_number m ON m.contact_id = c.contact_id"
            " WHERE m.address <> i.sender"
        )
    )
