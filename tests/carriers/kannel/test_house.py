"""5,000 people, a real Kannel, and what breaks on the way: nothing is lost, nothing is doubled."""

import pytest

from tests.carriers.kannel.house import House, open_house, write_figures

PEOPLE = 5_000


@pytest.mark.parametrize("line", ["fake", "smpp"])
async def test_five_thousand_texts_ten_thousand_receipts_and_a_thousand_replies(line: str) -> None:
    async with open_house(PEOPLE, line=line) as house:
        await house.release()

        house.start()
        await house.until_settled(receipts=2 * PEOPLE)

        result = await house.result()
        write_figures(f"kannel_{line}", result)
        assert house.kannel.copies().keys() == house.numbers
        assert (result.lost, result.doubled) == (0, 0)
        assert result.receipts == 2 * PEOPLE
        assert result.replies == result.answered == house.repliers == 1_000
        assert await wrong_ones(house) == 0
        assert await house.rig.states() == {"delivered": PEOPLE}


async def wrong_ones(house: House) -> int:
    """How many people are credited with an answer that their phone did not give."""
    return int(
        await house.rig.one(
            "SELECT COUNT(*) FROM answer n JOIN inbound i ON i.id = n.inbound_id"
            " JOIN callout c ON c.id = n.callout_id JOIN contact_number m ON m.contact_id = c.contact_id"
            " WHERE m.address <> i.sender"
        )
    )
