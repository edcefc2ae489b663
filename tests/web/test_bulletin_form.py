"""The bulletin form: every fault told beside its field, nothing typed ever lost."""

from datetime import timedelta

from tests.web.rig import BARE, COUNTY, TOWNS, VILLAGES, Desk
from warnsvc.service import bulletin as bulletins

RIGHT = {
    "status": "actual",
    "hazard": "11A51",
    "colour": "red",
    "regions": [TOWNS[0], VILLAGES[4]],
    "onset_at": "2026-07-05T15:00",
    "expires_at": "2026-07-05T21:00",
    "text_zh": "今晚有山洪，请立即组织撤离。",
    "text_ug": "",
    "text_kk-Arab": "",
    "text_en": "Flash flood tonight.",
}


async def test_a_right_form_is_written_down_and_submitted(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    status, page = await browser.post("/bulletins/new", {**RIGHT, "act": "submit"})
    written = await bulletins.get(desk.ctx, 1)

    assert status == 200
    assert "已送签" in page
    assert written.state == "submitted"
    assert written.region_codes == (TOWNS[0], VILLAGES[4])
    assert written.texts == {"zh": RIGHT["text_zh"], "en": RIGHT["text_en"]}
    assert written.onset_at.isoformat() == "2026-07-05T07:00:00+00:00"


async def test_an_empty_form_names_every_field_that_is_missing(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    status, page = await browser.post("/bulletins/new", {})

    assert status == 422
    for field in ("status", "hazard", "colour", "regions", "onset_at", "expires_at", "text_zh"):
        assert f'id="error-{field}"' in page
    assert "还不能保存，有 7 处要改" in page
    assert 'data-wrong="status"' in page


async def test_every_field_wrong_is_told_and_everything_typed_is_kept(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    typed = {
        "status": "exercise",
        "hazard": "99X99",
        "colour": "mauve",
        "regions": ["123456789012", VILLAGES[0]],
        "onset_at": "昨天下午",
        "expires_at": "2026-07-05 25:99",
        "text_zh": "这不是演练，快跑！" + "长" * 500,
        "text_ug": "no mark here",
        "text_kk-Arab": "بەلگى جوق",
        "text_en": "This is not a drill",
    }

    status, page = await browser.post("/bulletins/new", typed)

    assert status == 422
    for field in (
        "hazard", "colour", "regions", "onset_at", "expires_at",
        "text_zh", "text_ug", "text_kk-Arab", "text_en",
    ):  # fmt: skip
        assert f'id="error-{field}"' in page
    for kept in ("昨天下午", "2026-07-05 25:99", "长" * 500, "no mark here", "بەلگى جوق"):
        assert kept in page
    assert 'value="123456789012" checked' in page
    assert f'value="{VILLAGES[0]}" checked' in page
    assert 'value="exercise" checked' in page
    async with desk.ctx.store.view() as view:
        assert await view.fetch("SELECT id FROM bulletin") == []


async def test_a_drill_without_its_mark_and_a_live_text_with_it_are_refused(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    _, drill = await browser.post("/bulletins/new", {**RIGHT, "status": "exercise"})
    _, live = await browser.post("/bulletins/new", {**RIGHT, "text_zh": "演练：山洪。演练"})

    assert "必须以“演练”开头" in drill
    assert "不能出现“演练”" in live


async def test_an_end_before_the_beginning_is_told_at_the_end(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    _, page = await browser.post("/bulletins/new", {**RIGHT, "expires_at": "2026-07-05T14:59"})

    assert 'id="error-expires_at"' in page
    assert "结束时间要晚于开始时间" in page
    assert 'id="error-onset_at"' not in page


async def test_times_are_read_in_the_desks_zone_and_the_form_says_which(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/bulletins/new")

    assert "北京时间" in page
    assert 'value="2026-07-05T14:30"' in page


async def test_an_edit_voids_the_signature_and_the_form_says_so(desk: Desk) -> None:
    number = await desk.signed()
    browser = await desk.logged_in("duty")

    _, form = await browser.get(f"/bulletins/{number}/edit")
    _, page = await browser.post(f"/bulletins/{number}/edit", {**RIGHT, "act": "save"})
    written = await bulletins.get(desk.ctx, number)

    assert "签发作废" in form
    assert "草稿已保存" in page
    assert written.state == "draft"
    assert written.signed_by is None


async def test_what_is_released_cannot_be_edited(desk: Desk) -> None:
    number = await desk.released()
    browser = await desk.logged_in("duty")

    shown, page = await browser.get(f"/bulletins/{number}/edit")
    saved, _ = await browser.post(f"/bulletins/{number}/edit", RIGHT)

    assert shown == 409
    assert "已发布" in page
    assert saved == 409


async def test_the_form_shows_what_a_phone_will_show(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    response = await browser.client.post(
        "/bulletins/preview", data=RIGHT, headers={"X-CSRF": browser.csrf}
    )
    messages = await response.json()

    text = next(m for m in messages if m["language"] == "zh" and m["channel"] == "sms")
    assert text["text"].startswith("【云岭县应急局】")
    assert RIGHT["text_zh"] in text["text"]
    assert text["parts"] == 1
    assert text["characters"] == len(text["text"])


async def test_the_form_says_what_the_chosen_regions_hold(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    response = await browser.client.post(
        "/bulletins/choice", data={"regions": [COUNTY, BARE]}, headers={"X-CSRF": browser.csrf}
    )
    held = await response.json()

    assert held["sentence"] == "共 6 个村和场所，615 人"
    assert held["bare"] == "1 处没有本级联系人，将直接叫上一级"


async def test_a_text_to_start_from_passes_the_rules(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    for status in ("actual", "exercise"):
        response = await browser.client.post(
            "/bulletins/starter",
            data={**RIGHT, "status": status},
            headers={"X-CSRF": browser.csrf},
        )
        texts = await response.json()
        fields = {f"text_{language}": text for language, text in texts.items()}
        code, page = await browser.post("/bulletins/new", {**RIGHT, "status": status, **fields})

        assert code == 200, page
        assert "云溪镇、戊村" in texts["zh"]
        assert "山洪" in texts["zh"]
        assert "红色" in texts["zh"]
        assert set(texts) == {"zh", "en", "ug", "kk-Arab"}


async def test_the_tree_is_fetched_branch_by_branch(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/bulletins/new")
    towns = await (await browser.client.get(f"/regions/children?of={COUNTY}")).json()
    found = await (await browser.client.get("/regions/search?q=戊")).json()

    assert COUNTY in page
    assert TOWNS[0] not in page
    assert [town["name"] for town in towns] == ["云溪镇", "鹿鸣乡"]
    assert [town["children"] for town in towns] == [3, 3]
    assert found[0]["path"] == ["云岭县", "鹿鸣乡", "戊村"]


async def test_a_search_takes_its_wildcards_literally(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    found = await (await browser.client.get("/regions/search?q=%25")).json()

    assert found == []


async def test_a_bulletin_longer_than_a_week_is_refused(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    late = (desk.clock.now() + timedelta(days=9)).strftime("%Y-%m-%dT%H:%M")

    _, page = await browser.post("/bulletins/new", {**RIGHT, "expires_at": late})

    assert "有效期不能超过 168 小时" in page
