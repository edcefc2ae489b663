"""Nothing goes out that two people have not signed, nor by half, nor twice, nor drill for live."""

import json

import pytest

from channels.base import ChannelKind
from tests.fakes.channel import Taken
from tests.fakes.county import DRILL, RAIN, County, context
from tests.fakes.faulty_store import FaultyStore
from tests.story.conftest import Build
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.service import bulletin, release
from warnsvc.service.release import preview
from warnsvc.store.port import Store, StoreFault


async def test_the_author_cannot_sign_his_own_red_warning(build: Build) -> None:
    county = await build()
    new = await bulletin.draft(county.ctx, officer=county.duty, draft=county.written())
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)

    with pytest.raises(Refusal, match="signer_is_author"):
        await bulletin.sign(county.ctx, officer=county.duty, bulletin_id=new)

    with pytest.raises(Refusal, match="wrong_state"):
        await county.release(new)


async def test_whoever_edits_becomes_the_author_and_cannot_sign_either(build: Build) -> None:
    county = await build()
    new = await bulletin.draft(county.ctx, officer=county.duty, draft=county.written())
    changed = county.written(texts={"zh": f"{RAIN}注意山洪。"})
    await bulletin.edit(county.ctx, officer=county.signer, bulletin_id=new, draft=changed)
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)

    with pytest.raises(Refusal, match="signer_is_author"):
        await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new)


async def test_an_edit_after_the_signature_makes_it_void(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    new = await county.signed()

    changed = county.written(texts={"zh": f"{RAIN}注意山洪。"})
    await bulletin.edit(county.ctx, officer=county.duty, bulletin_id=new, draft=changed)

    with pytest.raises(Refusal, match="wrong_state"):
        await county.release(new)
    await county.settle()
    village.expects_nothing()


async def test_a_text_changed_behind_our_back_is_not_released(build: Build) -> None:
    county = await build()
    (village,) = county.villages
    new = await county.signed()
    async with county.store.unit() as unit:
        changed = json.dumps({"zh": "一切正常，请勿转移。"}, ensure_ascii=False)
        await unit.execute("UPDATE bulletin SET texts_json = $2 WHERE id = $1", new, changed)

    with pytest.raises(Refusal, match="signature_void"):
        await county.release(new)

    await county.settle()
    village.expects_nothing()


async def test_what_changed_while_it_was_being_read_is_not_signed(build: Build) -> None:
    county = await build()
    new = await bulletin.draft(county.ctx, officer=county.duty, draft=county.written())
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)
    shown = (await preview(county.ctx, new)).digest
    await bulletin.edit(
        county.ctx, officer=county.duty, bulletin_id=new, draft=county.written(hours=5)
    )
    await bulletin.submit(county.ctx, officer=county.duty, bulletin_id=new)

    with pytest.raises(Refusal, match="changed_while_reading"):
        await bulletin.sign(county.ctx, officer=county.signer, bulletin_id=new, digest=shown)


TABLES = ["escalation", "callout", "member", "message", "attempt", "ledger_line", "ledger_pending"]


@pytest.mark.parametrize("table", [*TABLES, "the commit itself"])
async def test_a_release_that_fails_in_the_middle_leaves_nothing_at_all(
    store: Store, table: str
) -> None:
    faulty = FaultyStore(store)
    county = await County.build(faulty, villages=3)
    new = await county.signed()
    before = await _counts(county)
    if table in TABLES:
        faulty.fail_on(f"INSERT INTO {table} ")
    else:
        faulty.fail_on("UPDATE bulletin SET updated_at")

    with pytest.raises(StoreFault):
        await county.release(new)

    assert faulty.failed == 1
    assert await _counts(county) == before
    assert (await county.rows("SELECT state FROM bulletin"))[0]["state"] == "signed"
    await county.release(new)
    await county.finish()


async def _counts(county: County) -> dict[str, int]:
    found = {}
    for table in (*TABLES, "task", "alarm"):
        (row,) = await county.rows(f"SELECT COUNT(*) AS many FROM {table}")
        found[table] = row["many"]
    return found


async def test_a_bulletin_is_released_once(build: Build) -> None:
    county = await build(villages=2)
    new = await county.signed()
    await county.release(new)
    before = await _counts(county)

    with pytest.raises(Refusal, match="wrong_state"):
        await county.release(new)

    assert await _counts(county) == before
    await county.settle()
    for village in county.villages:
        village.expects_sms()
        village.expects_call()
        village.expects_nothing()


async def test_the_phrase_of_a_live_warning_does_not_release_a_drill(build: Build) -> None:
    county = await build()
    drill = await county.signed(status=BulletinStatus.EXERCISE, texts={"zh": DRILL})
    live = await county.signed()
    phrases = {i: (await preview(county.ctx, i)).phrase for i in (drill, live)}
    assert phrases == {drill: "演练", live: "发布云岭县"}

    for wanted, typed in ((drill, phrases[live]), (live, phrases[drill]), (live, "")):
        with pytest.raises(Refusal, match="phrase_differs"):
            await release.release(county.ctx, officer=county.duty, bulletin_id=wanted, typed=typed)


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("status", "text", "code"),
    [
        (BulletinStatus.EXERCISE, RAIN, "drill_mark_missing"),
        (BulletinStatus.TEST, RAIN, "drill_mark_missing"),
        (BulletinStatus.ACTUAL, DRILL, "live_says_drill"),
        (BulletinStatus.EXERCISE, "演练：这不是演练，快跑。演练", "drill_says_not_a_drill"),
    ],
)
async def test_a_drill_says_so_and_a_live_warning_does_not(
    build: Build, status: BulletinStatus, text: str, code: str
) -> None:
    county = await build()

    with pytest.raises(Refusals) as caught:
        await county.signed(status=status, texts={"zh": text})

    assert [refusal.code for refusal in caught.value.refusals] == [code]


async def test_every_message_of_a_drill_begins_and_ends_with_the_word(build: Build) -> None:
    county = await build(villages=1, tiers=1)
    (village,), (township,) = county.villages, county.townships
    warning = await county.drill()
    late = village.expects_sms()
    await county.advance(minutes=5)
    late.replies("1")
    await county.settle()
    await warning.lift("演练结束")
    await county.settle()

    texts = [*village.first.phone.texts(), *township.first.phone.texts()]
    assert len(texts) == 5  # two calls, the stand-down, and the lifting to both
    for text in texts:
        words = text.partition("】")[2]
        assert (words[:2], words[-2:]) == ("演练", "演练"), text


async def test_live_goes_before_drill_and_red_before_yellow(build: Build) -> None:
    county = await build(villages=2, tiers=1)
    one, other = county.villages
    await county.release(
        await county.signed(status=BulletinStatus.EXERCISE, texts={"zh": DRILL}, places=[one])
    )
    yellow = {"colour": Colour.YELLOW, "texts": {"zh": "暴雨黄色预警：请防范。"}}
    await county.release(await county.signed(**yellow, places=[other]))
    await county.release(await county.signed(places=[one, other]))

    await county.settle()

    assert [_kind(t) for t in county.sms.taken] == ["red", "red", "yellow", "drill"]


def _kind(taken: Taken) -> str:
    return "drill" if "演练" in taken.text else "yellow" if "黄色" in taken.text else "red"


async def test_a_warning_that_nothing_can_carry_is_not_released(build: Build) -> None:
    county = await build()
    new = await county.signed()
    county.ctx = context(county.store, county.clock, {})

    with pytest.raises(Refusal, match="no_carrier"):
        await county.release(new)


async def test_a_channel_that_nobody_serves_is_named_in_the_preview(build: Build) -> None:
    county = await build()
    new = await county.signed()
    only_sms = {"sms": county.channels[ChannelKind.SMS.value]}
    county.ctx = context(county.store, county.clock, only_sms)

    shown = await preview(county.ctx, new)

    assert shown.warnings == ("channel_missing:voice",)
    assert shown.estimate.everyone_seconds == -1


async def test_what_the_preview_counts_is_what_the_release_sends(build: Build) -> None:
    county = await build(villages=4)
    new = await county.signed()
    shown = await preview(county.ctx, new)

    await county.release(new)
    await county.settle()

    assert shown.estimate.messages == len(county.sms.taken) + len(county.voice.taken)
    assert shown.estimate.calls == len(county.voice.taken)
    by_channel = {m.channel: m for m in shown.messages}
    assert by_channel["sms"].text == county.sms.taken[0].text
    assert by_channel["sms"].people == 9  # all who may be called, superiors included
