"""Every page in a real browser: axe finds nothing, nothing overflows, scripts do what they say.

Run with `make test-browser`; without Chromium these are skipped.
"""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from channels.segment import count
from tests.web.look import CHROMIUM, browser, log_in, seeded
from tests.web.rig import Desk
from warnsvc.core.answer import AnswerKind
from warnsvc.service.answer import by_hand
from warnsvc.service.sweep import sweep

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.asyncio(loop_scope="module"),
]

Look = tuple[Desk, dict[str, str], Browser]
WIDTHS = (1280, 390)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def look() -> AsyncIterator[Look]:
    async with seeded() as (desk, pages), browser() as chromium:
        yield desk, pages, chromium


async def opened(look: Look, *, width: int = 1280, login: str = "all") -> Page:
    """Return a page that is logged in and fails the test on any script error."""
    desk, _, chromium = look
    room = await chromium.new_context(
        viewport={"width": width, "height": 900}, locale="zh-CN", timezone_id="America/New_York"
    )
    page = await room.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"{page.url}: {error}"))
    await log_in(page, desk.base, login)
    return page


@pytest.mark.parametrize("width", WIDTHS)
async def test_axe_finds_nothing_and_nothing_is_wider_than_the_screen(
    look: Look, width: int
) -> None:
    desk, pages, _ = look
    page = await opened(look, width=width)
    found: dict[str, object] = {}

    for name, path in pages.items():
        await page.goto(desk.base + path)
        await page.wait_for_load_state("load")
        results = await Axe().run(page)
        violations = [
            f"{violation['id']}: {node['html'][:120]}"
            for violation in results.response["violations"]
            for node in violation["nodes"][:3]
        ]
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if violations or wide > width:
            found[name] = (violations, wide)

    assert found == {}


async def test_no_page_asks_another_server_for_anything(look: Look) -> None:
    desk, pages, _ = look
    page = await opened(look)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    for name in ("desk", "new", "board", "ledger"):
        await page.goto(desk.base + pages[name])

    assert asked
    assert [url for url in asked if not url.startswith(desk.base)] == []


async def test_every_target_is_large_enough_for_a_thumb(look: Look) -> None:
    desk, pages, _ = look
    page = await opened(look, width=390)

    for name in ("desk", "new", "signed", "board", "tasks", "carriers", "carrier", "carrier_form"):
        await page.goto(desk.base + pages[name])
        small = await page.evaluate(
            """() => [...document.querySelectorAll('button, .button, summary, .menu a, .chip')]
                .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5)
                .map((e) => e.textContent.trim().slice(0, 30))"""
        )

        assert small == [], name


async def test_parts_are_counted_in_the_browser_as_on_the_server(look: Look) -> None:
    page = await opened(look)
    texts = [
        "", "a", "收到", "雨" * 70, "雨" * 71, "雨" * 134, "雨" * 135, "a" * 160, "a" * 161,
        "[" * 80, "[" * 81, "€" * 160, "🚨" * 35, "🚨" * 36, "雨" * 66 + "🚨" * 40,
        "a" * 152 + "[" + "a" * 30, "سەل ئاپىتى" * 20, "@£$¥èéùìòÇØøÅåΔ_ΦΓ", "tab\there", "\n" * 9,
    ]  # fmt: skip

    counted = await page.evaluate(
        """async (texts) => {
            const { count } = await import('/static/segment.js');
            return texts.map((text) => [count(text).characters, count(text).parts]);
        }""",
        texts,
    )

    assert counted == [[count(text).characters, count(text).parts] for text in texts]


async def test_a_bulletin_is_written_in_the_form(look: Look) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/bulletins/new")

    await page.check("#status-actual")
    await page.select_option("#hazard", "11A51")
    await page.check("#colour-red")
    await page.fill("#region-search", "鹿鸣乡")
    await page.click("#region-found label")
    await expect(page.locator("#choice")).to_contain_text("村")
    await page.click("#starter")
    await page.wait_for_selector("#phones .bubble")
    text = await page.input_value("#text_zh")
    counts = await page.inner_text('[data-counts="zh"]')
    bubble = await page.inner_text("#phones .bubble >> nth=0")
    await page.click('button[value="submit"]')
    await page.wait_for_url(re.compile(r"/bulletins/\d+"))

    assert "鹿鸣乡" in text
    assert "山洪" in text
    assert f"{len(text)} 字" in counts
    assert text in bubble
    assert "待签发" in await page.inner_text("main")


async def test_the_tree_is_opened_branch_by_branch_and_a_parent_swallows_its_children(
    look: Look,
) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/bulletins/new")

    town = page.locator("#region-tree summary", has_text="鹿鸣乡")
    await town.click()
    await page.locator("#region-tree li[data-children='0'] input").first.check()
    one = await page.locator("#picked li").count()
    await page.locator("#region-tree li[data-code='990102000000'] input[data-pick]").first.check()
    after = await page.locator("#picked li").all_inner_texts()
    disabled = await page.locator("#region-tree li[data-children='0'] input").first.is_disabled()

    assert one == 1
    assert [text.strip() for text in after] == ["虚构省 / 虚构地区 / 云岭县"]
    assert disabled


async def test_the_focus_goes_to_the_first_wrong_field(look: Look) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/bulletins/new")
    await page.check("#status-exercise")

    await page.click('button[value="save"]')
    await page.wait_for_selector("#summary")

    await expect(page.locator("#hazard")).to_be_focused()
    assert await page.is_checked("#status-exercise")


async def test_what_was_typed_survives_a_login_that_ended(look: Look) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/bulletins/new")
    await page.fill("#text_zh", "写了很久的一段话")
    async with desk.ctx.store.unit() as unit:
        await unit.execute("UPDATE session SET revoked_at = $1", desk.clock.now())

    await page.click('button[value="save"]')
    await page.wait_for_selector("#password")
    await page.fill("#login", "all")
    await page.fill("#password", "summer-rain-2026")
    await page.click("form.panel button")
    await page.wait_for_url(re.compile("/bulletins/new"))
    await page.click("#kept-use")

    await expect(page.locator("#text_zh")).to_have_value("写了很久的一段话")


async def test_slash_leads_to_the_search(look: Look) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/contacts")

    await page.keyboard.press("/")

    await expect(page.locator("#q")).to_be_focused()


async def test_the_board_turns_green_and_red_without_a_reload(look: Look) -> None:
    desk, _, _ = look
    number = await desk.released(
        region_codes=("990102103000",), texts={"zh": "今晚有大风。"}, hazard="11B06"
    )
    page = await opened(look)
    await page.goto(f"{desk.base}/bulletins/{number}/board")
    await page.wait_for_selector('#link[data-state="live"]')
    await page.evaluate("window.stayed = true")
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT m.escalation_id, m.callout_id FROM member m JOIN escalation e"
            " ON e.id = m.escalation_id JOIN callout c ON c.id = m.callout_id"
            " WHERE e.bulletin_id = $1 AND e.state = 'calling' AND c.state = 'calling'"
            " ORDER BY e.id LIMIT 1",
            number,
        )
    assert row is not None
    cell = page.locator(f'.town .cell-item[data-id="{row["escalation_id"]}"]')

    await by_hand(
        desk.ctx,
        officer=desk.officers["duty"],
        callout_id=row["callout_id"],
        kind=AnswerKind.RECEIVED,
        happened_at=desk.clock.now(),
        note="",
    )
    await expect(cell).to_have_attribute("data-tone", "good")
    words = await cell.inner_text()
    for _ in range(12):
        desk.clock.move(minutes=6)
        await sweep(desk.ctx)
    await page.wait_for_selector('.town .cell-item[data-tone="bad"]')

    assert "已应答" in words
    assert await page.evaluate("window.stayed") is True
    assert int(await page.inner_text('[data-sum="exhausted"]')) > 0
    assert "未叫应" in await page.inner_text("#urgent")


async def test_only_the_unanswered_are_shown_on_demand(look: Look) -> None:
    desk, pages, _ = look
    page = await opened(look)
    await page.goto(desk.base + pages["board"])

    everything = await page.locator(".town .cell:visible").count()
    await page.click('.chip[data-filter="open"]')
    waiting = await page.locator(".town .cell:visible").count()

    assert 0 < waiting < everything
    assert await page.locator('.chip[data-filter="open"]').get_attribute("aria-pressed") == "true"


async def test_an_alarm_that_comes_while_a_page_stands_open_is_shown(look: Look) -> None:
    desk, pages, _ = look
    page = await opened(look)
    await page.goto(desk.base + pages["contacts"])
    before = int(await page.inner_text("#number-alarms"))
    async with desk.ctx.store.unit() as unit:
        (alarm_id,) = await unit.new_ids("alarm", 1)
        await unit.insert_rows(
            "alarm",
            ("id", "kind", "text", "raised_at"),
            [(alarm_id, "channel", "sim-sms", desk.clock.now() + timedelta(seconds=1))],
        )

    await expect(page.locator("#number-alarms")).to_have_text(str(before + 1), timeout=15_000)

    assert await page.is_visible("#alarm-strip")
    assert "ringing" in (await page.get_attribute("#alarm-strip", "class") or "")


async def test_a_test_turns_green_while_its_page_stands_open(look: Look) -> None:
    desk, _, _ = look
    page = await opened(look)
    await page.goto(f"{desk.base}/carriers/sms-county")

    await page.fill("#address", "13900001234")
    await page.click('form[action$="/test"] button')
    await page.wait_for_url(re.compile(r"test=\d+"))
    await page.evaluate("window.stayed = true")
    before = await page.inner_text("#tests .steps")
    async with desk.ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE test_send SET state = 'delivered', receipt_at = $1, answered_at = $1,"
            " answer = '1' WHERE state = 'accepted'",
            desk.clock.now(),
        )
    await expect(page.locator("#tests .steps .done")).to_have_count(4)

    assert "“1”" not in before
    assert "“1”" in await page.inner_text("#tests .steps")
    assert await page.evaluate("window.stayed") is True
    assert "13900001234" not in await page.content()


async def test_a_refused_carrier_keeps_what_was_typed_and_leads_to_the_field(look: Look) -> None:
    desk, pages, _ = look
    page = await opened(look, width=390)
    await page.goto(desk.base + pages["carrier_form"])

    await page.fill("#name", "Wrong Name")
    await page.fill("#p_account_sid", "AC123")
    await page.click("form.panel button.main")
    await page.wait_for_selector("#summary")

    await expect(page.locator("#name")).to_be_focused()
    await expect(page.locator("#p_account_sid")).to_have_value("AC123")


async def test_a_board_of_fifteen_thousand_opens_group_by_group(look: Look) -> None:
    desk, _, _ = look
    number = await desk.released(
        region_codes=("990102103000",), texts={"zh": "今晚有大风。"}, hazard="11B06"
    )
    await _many(desk, number, towns=100, villages=150)
    page = await opened(look)

    await page.goto(f"{desk.base}/bulletins/{number}/board")
    await page.wait_for_selector('#link[data-state="live"]')
    drawn = await page.locator(".cell").count()
    await page.click('.town[data-code="98000000"] summary')
    await page.wait_for_selector('.town[data-code="98000000"] .cell')
    in_town = await page.locator('.town[data-code="98000000"] .cell').count()
    async with desk.ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE escalation SET state = 'answered', deadline_at = NULL, closed_at = $1,"
            " changed_at = $1 WHERE bulletin_id = $2 AND region_code = '98000000-1'",
            desk.clock.now(),
            number,
        )
    await page.wait_for_selector('.town[data-code="98000000"] .cell[data-tone="good"]')

    assert drawn < 20
    assert in_town == 150


async def _many(desk: Desk, number: int, *, towns: int, villages: int) -> None:
    now = desk.clock.now()
    codes = [f"98{town:06d}" for town in range(towns)]
    async with desk.ctx.store.unit() as unit:
        await unit.insert_rows(
            "region",
            ("code", "parent_code", "level", "name", "kind", "headcount"),
            [(code, None, "township", f"第{code[-3:]}乡", "gov", 0) for code in codes]
            + [
                (f"{code}-{at}", code, "village", f"{at}村", "gov", 10)
                for code in codes
                for at in range(villages)
            ],
        )
        ids = await unit.new_ids("escalation", towns * villages)
        rows = [(code, at) for code in codes for at in range(villages)]
        await unit.insert_rows(
            "escalation",
            ("id", "bulletin_id", "region_code", "region_name", "parent_code", "parent_name",
             "state", "tier", "tiers_json", "opened_at", "deadline_at", "late", "reason",
             "changed_at"),
            [(i, number, f"{code}-{at}", f"{at}村", code, code, "calling", 1, "[]", now,
              now + timedelta(hours=1), False, "", now)
             for i, (code, at) in zip(ids, rows, strict=True)],
        )  # fmt: skip
