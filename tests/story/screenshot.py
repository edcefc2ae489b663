"""The pictures of the README: a live board in the middle of a red warning, at a desk and on a phone.

    .venv/bin/python -m tests.story.screenshot

Runs the demo with its crowd, writes and releases a warning as officers do, waits until some have
answered, some are still being called and one has not been reached, and takes the pictures.
"""

import asyncio
import re

from playwright.async_api import FloatRect, Page, expect

from tests.story.audience import PHONE_SIZE, Audience, audience
from tests.story.demo import ROOT, Demo, chromium, running

DOCS = ROOT / "docs"
WINDOW_SECONDS = 60
MIX_SECONDS_MAX = 200
HEIGHT = 1310
"""As much as the board of two townships needs at a desk."""
TOWNSHIPS = ("雁落乡", "柳荫镇")
PHONES = {
    "长台子村柳荫镇后山滑坡隐患点": {"condition": "wrong_number"},
    "云岭县柳荫镇": {"condition": "wrong_number"},
    "雁落乡东沙梁村": {"habit": "silent"},
    "雁落乡西岔口村": {"habit": "silent"},
    "柳荫镇南沙梁村": {"habit": "silent"},
    "柳荫镇大石滩村": {"habit": "silent"},
    "雁落乡老磨坊村": {"habit": "refuses"},
}
"""Places whose people are not like the crowd: a misprint in the list, deep sleepers, a burst dam."""
MIX = """() => {
  const number = (name) => Number(document.querySelector(`[data-sum="${name}"]`).textContent);
  const words = [...document.querySelectorAll(".town .cell-words")].map((each) => each.textContent);
  const climbing = words.filter((each) => each.includes("第 2 层")).length;
  const running = [...document.querySelectorAll(".town .countdown")].some(
    (left) => /^0:4/.test(left.textContent));
  return number("exhausted") >= 1 && number("done") >= 14 && climbing >= 3 && running;
}"""
"""What makes a picture worth looking at."""


async def take() -> None:
    """Write docs/screenshot.png and docs/screenshot-phone.png."""
    async with (
        running(Demo(window_seconds=WINDOW_SECONDS)) as demo,
        chromium() as browser,
        audience(demo, browser) as people,
    ):
        await give_habits(people)
        duty, signer = await people.officer("duty"), await people.officer("signer")
        bulletin = await write(duty)
        await signer.goto(bulletin)
        await signer.get_by_role("button", name="签发这条正式预警").click()
        await expect(signer.locator("p.said")).to_contain_text("已签发")
        small = await people.seat("small", size=PHONE_SIZE, like=duty)
        await release(duty, bulletin)
        await small.goto(f"{bulletin}/board")
        for page, name in ((duty, "screenshot.png"), (small, "screenshot-phone.png")):
            await page.wait_for_function(MIX, timeout=MIX_SECONDS_MAX * 1000)
            await page.screenshot(path=DOCS / name, full_page=True, clip=clip_of(page))
            print(DOCS / name)


def clip_of(page: Page) -> FloatRect:
    """Return the part of a page that is worth a picture: a phone's page is long."""
    assert page.viewport_size is not None
    return {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": HEIGHT}


async def give_habits(people: Audience) -> None:
    """Set the phones of some places before anything is sent, as one can on the phones page."""
    phones = await people.seat("phones")
    await phones.goto(people.demo.phones_url)
    for place, setting in PHONES.items():
        answer = await phones.request.get(
            f"{people.demo.phones_url}/control/handsets", params={"q": place}
        )
        numbers = [each["number"] for each in (await answer.json())["items"]]
        assert numbers, place
        for number in numbers:
            await phones.request.post(
                f"{people.demo.phones_url}/phones/{number}/settings", form=setting
            )
    await let_the_crowd_answer(phones)


async def write(duty: Page) -> str:
    """Write a red warning for some townships and send it for signing; returns its address."""
    await duty.get_by_role("link", name="写新预警").click()
    await duty.get_by_label("正式预警").check()
    await duty.get_by_label("灾种").select_option(label="暴雨")
    await duty.get_by_label("红色").check()
    for township in TOWNSHIPS:
        await duty.get_by_label("按名称或代码查找").fill(township)
        found = duty.locator("#region-found").get_by_label(re.compile(f"{township}$"))
        await found.first.check()
    await expect(duty.locator("#picked li")).to_have_count(len(TOWNSHIPS))
    await duty.get_by_role("button", name="按上面的内容起草文字").click()
    await expect(duty.get_by_label("汉语")).not_to_have_value("")
    await duty.get_by_role("button", name="保存并送签").click()
    await expect(duty.locator("p.said")).to_contain_text("已送签")
    return duty.url.partition("?")[0]


async def release(duty: Page, bulletin: str) -> None:
    await duty.goto(bulletin)
    phrase = await duty.locator("label[for=phrase] b").inner_text()
    await duty.get_by_label("请照着输入").fill(phrase)
    await duty.get_by_role("button", name="正式发布").click()
    await expect(duty).to_have_url(re.compile(r"/board\b"))
    await duty.goto(f"{bulletin}/board")  # Without the sentence about the release.
    await expect(duty.locator("#link")).to_have_text("实时更新中")


async def let_the_crowd_answer(phones: Page) -> None:
    await phones.get_by_label("人群自动应答").check()
    crowd = phones.locator("section", has=phones.get_by_text("让人群按习惯应答"))
    async with phones.expect_response(lambda got: got.request.method == "POST"):
        await crowd.get_by_role("button", name="应用").click()


if __name__ == "__main__":
    asyncio.run(take())
