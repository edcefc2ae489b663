"""The form says what carriers cannot send, beside the text, and loses nothing that was typed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels.base import ChannelKind
from tests.fakes.picky import PickyChannel, by_name, templates_for, text_at_most
from tests.web.rig import TOWNS, Desk, open_desk
from warnsvc.service import bulletin as bulletins
from warnsvc.service.fleet import Fleet
from warnsvc.store.port import Store

TEXT = "今晚十点前，沟口各户全部转移到村委会。"
RIGHT = {
    "status": "actual",
    "hazard": "11A51",
    "colour": "red",
    "regions": [TOWNS[0]],
    "onset_at": "2026-07-05T15:00",
    "expires_at": "2026-07-05T21:00",
    "text_zh": TEXT,
    "text_ug": "",
    "text_kk-Arab": "",
    "text_en": "",
}
SMALL = PickyChannel("aliyun", text_at_most(10))
WIDE = PickyChannel("gateway")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@asynccontextmanager
async def desk_with(store: Store, folder: Path, *channels: PickyChannel) -> AsyncIterator[Desk]:
    """A desk with these carriers."""
    async with open_desk(store, folder) as plain:
        fleet = Fleet(by_name(*channels))
        async with Desk(replace(plain.ctx, fleet=fleet), plain.clock) as desk:
            desk.officers = plain.officers
            yield desk


async def shown(desk: Desk, **changes: Any) -> dict[str, list[str]]:
    """What the form says of carriers, by language, while it is being written."""
    browser = await desk.logged_in("duty")
    response = await browser.client.post(
        "/bulletins/preview", data=RIGHT | changes, headers={"X-CSRF": browser.csrf}
    )
    return {one["language"]: one["notes"] for one in await response.json() if one["channel"] == "sms"}


async def test_a_text_that_no_carrier_can_send_is_refused_beside_it_and_everything_is_kept(
    store: Store, folder: Path
) -> None:
    async with desk_with(store, folder, SMALL) as desk:
        browser = await desk.logged_in("duty")

        status, page = await browser.post("/bulletins/new", {**RIGHT, "act": "submit"})

        assert status == 422
        assert "还不能保存，有 1 处要改" in page
        assert 'id="error-text_zh"' in page
        assert (
            "没有一个短信通道能发：审定的模板里这段话最多 10 个字，现在 19 个。请删短。" in page
        )
        assert TEXT in page
        assert 'value="2026-07-05T15:00"' in page
        async with desk.ctx.store.view() as view:
            assert await view.fetch("SELECT id FROM bulletin") == []


async def test_every_fault_is_told_at_once_this_one_too(store: Store, folder: Path) -> None:
    async with desk_with(store, folder, SMALL) as desk:
        browser = await desk.logged_in("duty")

        _, page = await browser.post("/bulletins/new", {**RIGHT, "hazard": "", "colour": ""})

        assert "还不能保存，有 3 处要改" in page
        assert "审定的模板里这段话最多 10 个字" in page


async def test_the_same_text_is_saved_when_the_next_carrier_can_send_it(
    store: Store, folder: Path
) -> None:
    async with desk_with(store, folder, SMALL, WIDE) as desk:
        browser = await desk.logged_in("duty")

        status, page = await browser.post("/bulletins/new", {**RIGHT, "act": "save"})

        assert status == 200
        assert "草稿已保存" in page
        assert (
            "汉语手机短信的叫应、叫上级（列村名）、通报上级、告知不必再联系："
            "aliyun “正文”太长（最多 10 个字，现在 19 个）。改由 gateway 发送。" in page
        )


async def test_the_form_tells_it_while_it_is_being_written(store: Store, folder: Path) -> None:
    async with desk_with(store, folder, SMALL, WIDE) as desk:
        long = await shown(desk)
        short = await shown(desk, text_zh="立即转移。")

    assert any("改由 gateway 发送" in said for said in long["zh"])
    assert not any("叫应" in said for said in short["zh"])


async def test_a_text_without_a_template_is_refused_in_its_own_field(
    store: Store, folder: Path
) -> None:
    async with desk_with(store, folder, PickyChannel("aliyun", templates_for(call="zh"))) as desk:
        browser = await desk.logged_in("duty")

        status, page = await browser.post("/bulletins/new", {**RIGHT, "text_ug": "سەل كېلىدۇ."})

        assert status == 422
        assert 'id="error-text_ug"' in page
        assert 'id="error-text_zh"' not in page
        assert "没有一个短信通道有这种语言的审定模板。请清空这一栏，这些人会收到汉语" in page


async def test_missing_templates_are_told_on_the_bulletins_page_and_stop_nothing(
    store: Store, folder: Path
) -> None:
    async with desk_with(store, folder, PickyChannel("aliyun", templates_for(call="zh"))) as desk:
        number = await desk.submitted(texts={"zh": TEXT})
        browser = await desk.logged_in("signer")

        _, page = await browser.get(f"/bulletins/{number}")

        assert (
            "汉语手机短信的通报上级、告知不必再联系、解除通知：没有通道能发。aliyun 没有审定的模板。"
            in page
        )


async def test_a_carrier_that_hears_no_replies_is_told(store: Store, folder: Path) -> None:
    deaf = PickyChannel("twilio", inbound_countries=frozenset())
    async with desk_with(store, folder, deaf, WIDE) as desk:
        notes = await shown(desk)

    assert notes["zh"] == [
        "汉语手机短信的叫应、叫上级（列村名）：twilio 收不到回复。改由 gateway 发送。"
    ]


async def test_the_sentences_are_there_in_english(store: Store, folder: Path) -> None:
    async with desk_with(store, folder, SMALL, WIDE) as desk:
        browser = await desk.logged_in("duty")
        number = await desk.draft(texts={"zh": TEXT})

        _, page = await browser.post("/language", {"to": "en", "back": f"/bulletins/{number}"})

        assert (
            "aliyun “text” is too long (at most 10 characters, now 19). gateway sends it instead."
            in page
        )


async def test_a_change_of_carriers_after_saving_is_told_when_it_is_submitted(
    store: Store, folder: Path
) -> None:
    async with open_desk(store, folder) as plain:
        number = await plain.draft(texts={"zh": TEXT})
        phone = PickyChannel(
            "phone", text_at_most(10), kind=ChannelKind.VOICE, dtmf=True, languages=frozenset({"zh"})
        )
        ctx = replace(plain.ctx, fleet=Fleet(by_name(phone)))
        async with Desk(ctx, plain.clock) as desk:
            desk.officers = plain.officers
            browser = await desk.logged_in("duty")

            status, page = await browser.post(f"/bulletins/{number}/submit")

            assert status == 422
            assert "没有一个电话通道能念：审定的模板里这段话最多 10 个字，现在 18 个。请删短。" in page
            assert (await bulletins.get(ctx, number)).state == "draft"
