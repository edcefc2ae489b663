"""Writing, handing over, sending back: every refusal by its code, every step with its line."""

from datetime import timedelta

import pytest

from tests.fakes.county import RAIN, County
from warnsvc.core.bulletin import BulletinState
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service import bulletin


async def test_every_wrong_field_is_named_at_once(county: County) -> None:
    wrong = county.written(
        hazard="",
        region_codes=("990100000000", "123456789012"),
        texts={"zh": " "},
        expires_at=county.clock.now() - timedelta(hours=1),
    )

    with pytest.raises(Refusals) as caught:
        await bulletin.draft(county.ctx, officer=county.duty, draft=wrong)

    assert {field: r.code for field, r in caught.value.by_field().items()} == {
        "hazard": "hazard_missing",
        "expires_at": "expires_before_onset",
        "text_zh": "text_missing",
        "regions": "region_unknown",
    }
    assert caught.value.by_field()["regions"].params == {"codes": "123456789012"}
    assert await county.rows("SELECT id FROM bulletin") == []


async def test_texts_are_kept_without_what_is_blank(county: County) -> None:
    draft = county.written(texts={"zh": f" {RAIN}\n", "ug": "  "})

    new = await bulletin.draft(county.ctx, officer=county.duty, draft=draft)

    assert (await bulletin.get(county.ctx, new)).texts == {"zh": RAIN}


async def test_it_is_sent_back_with_a_reason_and_loses_its_signature(county: County) -> None:
    new = await county.signed()

    with pytest.raises(Refusal, match="reason_missing"):
        await bulletin.send_back(county.ctx, officer=county.signer, bulletin_id=new, reason=" ")
    with pytest.raises(Refusal, match="reason_too_long"):
        await bulletin.send_back(
            county.ctx, officer=county.signer, bulletin_id=new, reason="长" * 501
        )
    await bulletin.send_back(county.ctx, officer=county.signer, bulletin_id=new, reason="时间不对")

    kept = await bulletin.get(county.ctx, new)
    assert (kept.state, kept.signed_by, kept.signed_digest) == (BulletinState.DRAFT, None, None)
    with pytest.raises(Refusal, match="wrong_state"):
        await bulletin.send_back(county.ctx, officer=county.signer, bulletin_id=new, reason="再来")


async def test_a_draft_that_was_thrown_away_stays_as_a_row_and_goes_nowhere(county: County) -> None:
    new = await county.signed()

    await bulletin.discard(county.ctx, officer=county.duty, bulletin_id=new)

    assert (await bulletin.get(county.ctx, new)).state is BulletinState.DISCARDED
    for act in (bulletin.submit, bulletin.sign, bulletin.discard):
        with pytest.raises(Refusal, match="wrong_state"):
            await act(county.ctx, officer=county.signer, bulletin_id=new)
    with pytest.raises(Refusal, match="wrong_state"):
        await county.release(new)


async def test_what_is_released_cannot_be_edited(county: County) -> None:
    warning = await county.red_warning()

    with pytest.raises(Refusal, match="wrong_state"):
        await bulletin.edit(
            county.ctx, officer=county.duty, bulletin_id=warning.id, draft=county.written()
        )


async def test_what_has_run_out_while_it_lay_there_is_not_signed_and_not_released(
    county: County,
) -> None:
    new = await bulletin.draft(county.ctx, officer=county.duty, draft=county.written(hours=1))
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)
    signed = await county.signed(hours=1)
    county.clock.move(hours=2)

    with pytest.raises(Refusals, match="expires_in_the_past"):
        await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new)
    with pytest.raises(Refusals, match="expires_in_the_past"):
        await county.release(signed)


async def test_a_bulletin_that_does_not_exist_is_refused_everywhere(county: County) -> None:
    for act in (bulletin.submit, bulletin.sign, bulletin.discard):
        with pytest.raises(Refusal, match="bulletin_unknown"):
            await act(county.ctx, officer=county.duty, bulletin_id=77)
    with pytest.raises(Refusal, match="bulletin_unknown"):
        await bulletin.get(county.ctx, 77)


async def test_every_step_leaves_a_line_with_the_digest_of_what_was_read(county: County) -> None:
    new = await county.signed()
    await bulletin.send_back(county.ctx, officer=county.signer, bulletin_id=new, reason="改")
    await bulletin.edit(
        county.ctx, officer=county.duty, bulletin_id=new, draft=county.written(hours=3)
    )

    rows = await county.rows("SELECT act, actor, body FROM ledger_line ORDER BY id")

    assert [(row["act"], row["actor"]) for row in rows] == [
        ("bulletin.drafted", "officer:1"),
        ("bulletin.submitted", "officer:1"),
        ("bulletin.signed", "officer:2"),
        ("bulletin.sent_back", "officer:2"),
        ("bulletin.edited", "officer:1"),
    ]
    bodies = [bytes(row["body"]).decode() for row in rows]
    digests = [body.partition('"digest":"')[2][:64] for body in bodies]
    assert len(set(digests[:4])) == 1
    assert digests[4] not in digests[:4]
