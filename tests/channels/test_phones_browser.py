"""The phones page in a real browser: it moves by itself, and stays put under a hand."""

import shutil
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page, async_playwright, expect

from channels.base import SendRequest
from tests.channels.rigs import PHONE, SmsRig, VoiceRig

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
]


@pytest.fixture
async def window() -> AsyncIterator[Page]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 390, "height": 844})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        yield page
        await browser.close()
        assert [fault for fault in faults if "409" not in fault] == []


def request(rig: SmsRig | VoiceRig, to: str = PHONE, text: str = "山洪橙色预警，收到回1") -> SendRequest:
    return SendRequest(
        token=f"tok-{to[-6:]}",
        to=to,
        text=text,
        language="zh",
        valid_until=rig.now() + timedelta(minutes=10),
        callback_url=rig.callback_url("tok"),
    )


async def test_a_phone_rings_without_a_reload_and_is_answered(voice: VoiceRig, window: Page) -> None:
    await window.goto(voice.server.url)
    await expect(window.locator("#live")).to_have_text("实时更新中")

    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    await expect(window.locator(".badge.ring")).to_have_text("响铃中")
    await window.get_by_role("button", name="接听后按 1").click()

    await expect(window.locator(".badge.ring")).to_have_count(0)
    await expect(window.locator(".mine .bubble")).to_have_text("1")
    assert voice.carrier.counts.keys == 1


async def test_a_reply_is_typed_with_the_keyboard_alone(sms: SmsRig, window: Page) -> None:
    await sms.channel.send(request(sms))
    await sms.timeline.advance(10)
    await window.goto(sms.server.url)

    await window.get_by_placeholder("自己写回复").focus()
    await window.keyboard.type("知道了")
    await window.keyboard.press("Enter")

    await expect(window.locator(".mine .bubble")).to_have_text("知道了")
    await expect(window.get_by_placeholder("自己写回复")).to_have_value("")


async def test_what_is_being_typed_survives_a_new_message(sms: SmsRig, window: Page) -> None:
    await sms.channel.send(request(sms))
    await sms.timeline.advance(10)
    await window.goto(sms.server.url)
    field = window.get_by_placeholder("自己写回复")
    await field.fill("车坏在")
    await field.focus()

    await sms.channel.send(request(sms, text="第二条"))
    await sms.timeline.advance(10)

    await expect(window.locator(".text .bubble")).to_have_count(2)
    await expect(field).to_have_value("车坏在")
    await expect(field).to_be_focused()


async def test_phones_stay_where_they_are_while_one_is_in_use(sms: SmsRig, window: Page) -> None:
    first, second = "+8613900000001", "+8613900000002"
    for number in (first, second):
        await sms.channel.send(request(sms, to=number))
        await sms.timeline.advance(10)
    await window.goto(sms.server.url)
    phones = window.locator(".phone")
    await expect(phones.first).to_have_attribute("data-key", second)

    await phones.first.get_by_placeholder("自己写回复").focus()
    sms.carrier.reply(first, "1")
    await expect(window.locator("#moved")).to_be_visible()
    await expect(phones.first).to_have_attribute("data-key", second)
    await window.locator("#moved").click()

    await expect(phones.first).to_have_attribute("data-key", first)
    await expect(window.locator("#moved")).to_be_hidden()


async def test_searching_narrows_the_list_as_one_types(sms: SmsRig, window: Page) -> None:
    sms.carrier.shelf.label("+8613900000001", name="张三", place="松树村")
    sms.carrier.reply("+8613900000002", "1")
    await window.goto(sms.server.url)

    await window.locator("#q").fill("张三")

    await expect(window.locator(".phone")).to_have_count(1)
    await expect(window.locator(".phone h2")).to_have_text("张三")
    assert "q=" in window.url


async def test_a_call_that_has_just_stopped_ringing_says_so(voice: VoiceRig, window: Page) -> None:
    await window.route("**/live", lambda route: route.fulfill(status=204))
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    await window.goto(voice.server.url)
    voice.carrier.decline_call(PHONE)

    await window.get_by_role("button", name="不接").click()

    await expect(window.get_by_role("alert")).to_have_text("这部手机已不在响铃")
    await expect(window.locator(".badge.ring")).to_have_count(0)


async def test_a_switch_on_the_panel_stays_where_it_was_put(sms: SmsRig, window: Page) -> None:
    await window.goto(sms.server.url)
    crowd = window.locator("section", has_text="让人群按习惯应答")

    for on in (True, False):
        await window.get_by_label("人群自动应答").set_checked(on)
        async with window.expect_response("**/control"):
            await crowd.get_by_role("button", name="应用").click()
        await window.reload()

        await expect(window.get_by_label("人群自动应答")).to_be_checked(checked=on)
        assert sms.carrier.behaviour.crowd is on


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["zh", "en"])
async def test_the_page_fits_and_has_no_accessibility_fault(
    voice: VoiceRig, window: Page, width: int, language: str
) -> None:
    await window.set_viewport_size({"width": width, "height": 900})
    voice.carrier.shelf.label(PHONE, name="张三（村支书）", place="硫磺沟镇 松树村")
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)
    voice.carrier.reply("+8613900000002", "收到" * 60)
    await window.goto(f"{voice.server.url}/?lang={language}")
    await expect(window.locator("#live")).to_have_attribute("data-state", "on")

    found = await Axe().run(window)

    assert found.violations_count == 0, found.generate_report()
    assert await window.evaluate("document.documentElement.scrollWidth") == width
    small = await window.evaluate(
        "[...document.querySelectorAll('button, select, summary, input:not([type=hidden])')]"
        ".filter(e => e.checkVisibility() && e.type !== 'checkbox' && e.getBoundingClientRect().height < 44)"
        ".map(e => e.outerHTML.slice(0, 80))"
    )
    assert small == []
