"""Recordings in a real browser: uploaded by keyboard, played, as long as we say, nothing too wide.

Run with `make test-browser`; without Chromium these are skipped. Chromium's decoder is the
independent judge of the lengths that are read from headers.
"""

import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, expect

from contacts.county import COUNTY
from tests.fakes import sound as make
from tests.web import rig
from tests.web.look import CHROMIUM, TEXTS, browser, log_in, seeded
from tests.web.rig import Desk
from warnsvc.service.recording import add_recording
from warnsvc.service.sound import read_sound

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(not Path(CHROMIUM).exists(), reason=f"there is no {CHROMIUM}"),
    pytest.mark.asyncio(loop_scope="module"),
]

Look = tuple[Desk, Browser]
WIDTHS = (1280, 390)
SOUNDS = Path(__file__).resolve().parents[1] / "service" / "sounds"
PICTURES = os.environ.get("WARNSVC_TEST_PICTURES", "")
"""A folder for pictures, for people who want to look."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def look() -> AsyncIterator[Look]:
    voice = rig.CAPABILITIES["voice"]
    rig.CAPABILITIES["voice"] = replace(voice, languages=frozenset({"zh", "en"}), plays=True)
    try:
        async with seeded() as (desk, _), browser() as chromium:
            yield desk, chromium
    finally:
        rig.CAPABILITIES["voice"] = voice


async def opened(look: Look, number: int, *, width: int = 1280) -> Page:
    """Return a bulletin's page; any script error fails the test."""
    desk, chromium = look
    room = await chromium.new_context(viewport={"width": width, "height": 900}, locale="zh-CN")
    page = await room.new_page()
    page.on("pageerror", lambda error: pytest.fail(f"{page.url}: {error}"))
    page.on("dialog", lambda dialog: dialog.accept())
    await log_in(page, desk.base)
    await page.goto(f"{desk.base}/bulletins/{number}")
    return page


async def drafted(desk: Desk, *, recorded: str = "") -> int:
    """Write a bulletin in four languages; one of them may be recorded."""
    number = await desk.draft(region_codes=(COUNTY,), texts=TEXTS)
    if recorded:
        await add_recording(
            desk.ctx,
            officer=desk.officers["duty"],
            bulletin_id=number,
            language=recorded,
            sound=make.wav(3),
        )
    return number


@pytest.mark.parametrize("width", WIDTHS)
async def test_the_section_is_accessible_and_nothing_is_wider_than_the_screen(
    look: Look, width: int
) -> None:
    page = await opened(look, await drafted(look[0], recorded="ug"), width=width)
    await page.locator("#recordings details").first.evaluate("(e) => { e.open = true; }")

    found = (await Axe().run(page)).response["violations"]
    wide = await page.evaluate("document.documentElement.scrollWidth")
    small = await page.evaluate(
        """() => [...document.querySelectorAll(
            '#recordings button, #recordings summary, #recordings input[type=file], audio')]
            .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 43.5)
            .map((e) => e.outerHTML.slice(0, 60))"""
    )
    if PICTURES:
        await page.locator("#recordings").screenshot(path=f"{PICTURES}/recordings-{width}.png")

    assert [f"{v['id']}: {v['nodes'][0]['html'][:120]}" for v in found] == []
    assert wide <= width
    assert small == []


async def test_the_text_to_read_aloud_runs_from_right_to_left(look: Look) -> None:
    page = await opened(look, await drafted(look[0]))

    text = page.locator('#recordings pre[lang="ug"]')

    assert await text.evaluate("(e) => getComputedStyle(e).direction") == "rtl"
    assert TEXTS["ug"].rstrip(".") in await text.inner_text()


async def test_a_recording_is_uploaded_by_keyboard_and_plays(look: Look, tmp_path: Path) -> None:
    file = tmp_path / "ug.wav"
    file.write_bytes(make.wav(3.5))
    page = await opened(look, await drafted(look[0]))

    await page.set_input_files("#sound-ug", file)
    await page.focus("#sound-ug")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/bulletins/*#recordings")
    player = page.locator('audio[src*="/recordings/ug"]')
    await expect(player).to_be_visible()

    assert await _seconds(page, 'audio[src*="/recordings/ug"]') == pytest.approx(3.5, abs=0.01)
    reached = await player.evaluate(
        """(e) => new Promise((done, fail) => {
            e.addEventListener('seeked', () => done(e.currentTime));
            e.addEventListener('error', () => fail(e.error.message));
            e.currentTime = 2.0;
        })"""
    )
    assert reached == pytest.approx(2.0)


async def test_a_refused_file_is_told_beside_its_field_and_the_focus_is_there(
    look: Look, tmp_path: Path
) -> None:
    file = tmp_path / "stereo.wav"
    file.write_bytes(make.wav(3, channels=2))
    page = await opened(look, await drafted(look[0]), width=390)

    await page.set_input_files("#sound-ug", file)
    await page.locator('form[action$="/recordings/ug"] button').click()
    error = page.locator("#error-recording_ug")
    await expect(error).to_contain_text("2 个声道")
    if PICTURES:
        await page.locator("#recordings").screenshot(path=f"{PICTURES}/refused-390.png")

    assert await page.evaluate("document.activeElement.id") == "sound-ug"
    await expect(error).to_be_in_viewport()


@pytest.mark.parametrize("name", ["lame.mp3", "ffmpeg.mp3", "made.mp3", "made.wav"])
async def test_the_browser_finds_the_same_length(look: Look, name: str) -> None:
    made = {"made.mp3": make.mp3(5), "made.wav": make.wav(2.25, rate=16_000)}
    content = made[name] if name in made else (SOUNDS / name).read_bytes()
    number = await drafted(look[0])
    desk = look[0]
    await add_recording(
        desk.ctx, officer=desk.officers["duty"], bulletin_id=number, language="ug", sound=content
    )
    page = await opened(look, number)

    heard = await _seconds(page, "audio")

    # Players leave out the silence that an encoder notes at both ends: up to two frames.
    assert heard == pytest.approx(read_sound(content).seconds, abs=0.11)


async def _seconds(page: Page, selector: str) -> float:
    return float(
        await page.locator(selector).evaluate(
            """(e) => new Promise((done, fail) => {
                e.addEventListener('loadedmetadata', () => done(e.duration));
                e.addEventListener('error', () => fail(e.error.message));
                e.preload = 'metadata';
                e.load();
            })"""
        )
    )
