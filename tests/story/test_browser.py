"""The story of one warning, as the people in front of the screens live it.

`make test-browser` starts `warnsvc demo` and looks at it through headless Chromium, with nothing
but what an officer has: his eyes, a mouse and a keyboard. Nothing sleeps; conditions are waited for.
"""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.story.audience import PHONE_SIZE, Audience, audience, everybody_can_use, fits
from tests.story.demo import CHROMIUM, ROOT, Demo, chromium, clean_environment, running

WINDOW_SECONDS = 10
"""The shortest that the demo allows: three tiers of silence are half a minute."""

HANDY = {"北阳坡村": "金向朴", "深草湖村": "周海声", "东墩子村": "ئايلىتاي قاسۇمەت"}
"""Villages of 云溪镇 whose secretaries answer by one click on their phones."""
TWIN = "上河湾村"
"""Two villages have this name; the one in 雁落乡 is meant. It is reached by hand."""
TWIN_SECRETARY = "孔溪苗"
SILENT = "柳荫镇后山滑坡隐患点"
"""A slope above a village. Three tiers stand behind it, and all of them keep silent."""
REGIONS = 5
SLIP = "这是一次演练，"
ADVICE = "沟口的人先走，老人和孩子由村干部背出来。" * 2 + "不要等雨停。"
LIFT_REASON = "雨停了，河水已退"
LIFTED = {
    "金向朴": f"解除.*{LIFT_REASON}",
    "ئايلىتاي قاسۇمەت": "بىكار قىلىندى",
    TWIN_SECRETARY: f"解除.*{LIFT_REASON}",
}
"""What somebody's phone says at the end, in his own language."""
PHRASE, SLIPPED_PHRASE = "发布云岭县", "发布云溪镇"
"""The smallest place that holds all of it, and a slip of the tongue."""

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def demo() -> AsyncIterator[Demo]:
    async with running(Demo(window_seconds=WINDOW_SECONDS)) as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def test_a_red_warning_reaches_every_village_or_a_person_at_the_desk(
    demo: Demo, browser: Browser, tmp_path: Path
) -> None:
    async with audience(demo, browser) as people:
        await make_signer_of_the_duty_officer(await people.officer("admin"))
        duty, signer = await people.officer("duty"), await people.officer("signer")

        await fill_in_with_mistakes(duty)
        await see_the_mistakes_and_mend_them(duty)
        await write_the_text(duty)
        bulletin = await send_for_signing(duty)
        await read_numbers_and_sign(signer, bulletin)
        board = await release(duty, bulletin)
        await answer_on_the_phones(people)
        await see_villages_turn_on_the_board(board)
        await see_silence_climb(board)
        desk = await people.beside(duty)
        await answer_by_hand(desk, board)
        await look_again_on_a_phone(people, desk, bulletin)
        await see_silence_end_with_a_person(board, desk)
        await lift(desk, board, bulletin)
        await hear_of_it_on_the_phones(people)
        await audit(await people.officer("auditor"), tmp_path)


async def test_a_drill_never_looks_like_a_real_warning(demo: Demo, browser: Browser) -> None:
    async with audience(demo, browser) as people:
        signer = await people.officer("signer")

        await signer.get_by_role("link", name="云溪镇、鹿鸣乡").click()

        await expect(signer.locator(".band")).to_contain_text("演练 DRILL")
        await expect(signer.locator(".band.real")).to_have_count(0)
        await expect(signer.get_by_role("button", name="签发这条演练")).to_be_visible()
        await expect(signer.locator("#phones-title ~ .phones .bubble").first).to_contain_text(
            "演练"
        )
        await everybody_can_use(signer)


# The chapters ----------------------------------------------------------------------------------


async def make_signer_of_the_duty_officer(admin: Page) -> None:
    """Give the author the right to sign: what stops him must be the rule, not his role."""
    await admin.get_by_role("link", name="账号").click()
    row = admin.locator(".cards-list > li", has_text="周岚")
    await row.locator("summary").click()
    await row.get_by_label("签发").check()
    await row.get_by_role("button", name="保存职责").click()
    await expect(row).to_contain_text("签发")


async def fill_in_with_mistakes(duty: Page) -> None:
    await everybody_can_use(duty)
    await duty.get_by_role("link", name="写新预警").click()
    await duty.get_by_label("正式预警").check()
    await duty.get_by_label("灾种").select_option(label="暴雨")
    await duty.get_by_label("结束时间").fill(await hours_after_onset(duty, -1))
    await duty.get_by_label("汉语").fill(f"{SLIP}今晚有暴雨。")
    await duty.get_by_role("button", name="保存并送签").click()


async def see_the_mistakes_and_mend_them(duty: Page) -> None:
    await expect(duty.locator("#summary h2")).to_have_text("还不能保存，有 4 处要改")
    for field, says in {
        "colour": "请选择预警颜色。",
        "regions": "请至少选择一个区域。",
        "expires_at": "结束时间要晚于开始时间。",
        "text_zh": "正式预警的正文里不能出现“演练”",
    }.items():
        await expect(duty.locator(f"#error-{field}")).to_contain_text(says)
    await expect(duty.get_by_label("正式预警")).to_be_checked()
    await expect(duty.get_by_label("灾种").locator("option:checked")).to_have_text("暴雨")
    await expect(duty.get_by_label("汉语")).to_have_value(f"{SLIP}今晚有暴雨。")
    await everybody_can_use(duty)

    await duty.get_by_label("红色").check()
    await duty.get_by_role("button", name="6 小时", exact=True).click()
    await expect(duty.get_by_label("结束时间")).to_have_value(await hours_after_onset(duty, 6))
    await pick_from_the_tree(duty)
    await find_by_name(duty, "上河湾", "雁落乡")
    await find_by_name(duty, "后山滑坡", "柳荫镇")
    await expect(duty.locator("#choice")).to_contain_text(f"共 {REGIONS} 个村和场所")


async def pick_from_the_tree(duty: Page) -> None:
    tree = duty.locator("#region-tree")
    await tree.locator("summary", has_text="云溪镇").click()
    for village in HANDY:
        await tree.get_by_label(village).check()


async def find_by_name(duty: Page, text: str, township: str) -> None:
    await duty.get_by_label("按名称或代码查找").fill(text)
    await duty.locator("#region-found").get_by_label(re.compile(f"{township}.*{text}")).check()


async def write_the_text(duty: Page) -> None:
    text, counts = duty.get_by_label("汉语"), duty.locator('[data-counts="zh"]')
    await expect(counts).to_have_text(re.compile("，1 条短信$"))
    await text.fill("")
    await expect(counts).to_have_text("")
    await duty.get_by_role("button", name="按上面的内容起草文字").click()
    await expect(text).to_have_value(re.compile("预计发生暴雨，红色预警。.*撤到高处"))
    await expect(duty.get_by_label("维吾尔语")).not_to_have_value("")
    await expect(counts).to_have_text(re.compile("，2 条短信$"))
    await text.press("ControlOrMeta+End")
    await text.press_sequentially(ADVICE)
    await expect(counts).to_have_text(re.compile("，3 条短信$"))

    phone = duty.locator("#phones .phone", has_text="汉语")
    await expect(phone.locator(".bubble")).to_contain_text("不要等雨停。 收到回1，无法到岗回2。")
    await expect(phone.locator(".bubble")).to_contain_text("【云岭县应急局】")
    await everybody_can_use(duty)


async def send_for_signing(duty: Page) -> str:
    """Send it; the author may sign other people's warnings, and still cannot sign his own."""
    await duty.get_by_role("button", name="保存并送签").click()
    await expect(said(duty)).to_contain_text("已送签，等另一位签发。")
    await expect(duty.get_by_text("这条是您写的，不能由您自己签发。")).to_be_visible()
    await expect(duty.get_by_role("button", name="签发")).to_have_count(0)
    return duty.url.partition("?")[0]


async def read_numbers_and_sign(signer: Page, bulletin: str) -> None:
    await signer.reload()
    row = signer.locator("#main li", has_text="正式")
    await row.get_by_role("link", name="去签发").click()
    await expect(signer).to_have_url(bulletin)
    await expect(signer.locator(".band.real")).to_contain_text("正式预警 REAL")
    sizes = signer.locator(".sizes li")
    await expect(sizes.filter(has_text="个村和场所").locator("b")).to_have_text(str(REGIONS))
    for words in ("名第一层责任人", "名各层责任人", "次首轮发送", "条短信", "通电话"):
        number = sizes.filter(has_text=words).locator("b")
        await expect(number).to_have_text(re.compile(r"^[1-9]\d*$"))
    await expect(sizes.filter(has_text="叫到所有层每个人").locator("b")).to_contain_text("分")
    await everybody_can_use(signer)
    await signer.get_by_role("button", name="签发这条正式预警").click()
    await expect(said(signer)).to_contain_text("已签发，可以发布。")


async def release(duty: Page, bulletin: str) -> Page:
    """Release it; a slip in the phrase releases nothing."""
    await duty.goto(bulletin)
    phrase = duty.get_by_label("请照着输入")
    await expect(duty.locator("label[for=phrase] b")).to_have_text(PHRASE)
    await phrase.fill(SLIPPED_PHRASE)
    await duty.get_by_role("button", name="正式发布").click()
    await expect(duty.locator("#error-release")).to_contain_text("确认文字不对")
    await expect(phrase).to_have_value(SLIPPED_PHRASE)

    await phrase.fill(PHRASE)
    await duty.get_by_role("button", name="正式发布").click()
    await expect(duty).to_have_url(re.compile(r"/board\b"))
    await expect(duty.locator(".band.real")).to_be_visible()
    await expect(duty.locator("#link")).to_have_text("实时更新中")
    await duty.evaluate("window.neverReloaded = true")
    return duty


async def answer_on_the_phones(people: Audience) -> None:
    phones = await people.seat("phones")
    await phones.goto(people.demo.phones_url)
    for person in HANDY.values():
        await answer(phones, person)
    await everybody_can_use(phones)


async def answer(phones: Page, person: str) -> None:
    """Answer as people do: by the key while it rings, by a reply when it has stopped."""
    phone = phones.locator(".phone", has_text=person)
    await phones.locator("#q").fill(person)
    await expect(phones.locator(".phone")).to_have_count(1)
    await expect(phone.locator(".text, .call").first).to_be_visible()
    status = 0
    while status != 204:
        # A call may stop ringing under the pointer; the phone then says so, and one presses again.
        async with phones.expect_response(lambda got: got.request.method == "POST") as answered:
            await phone.locator(".acts .button.main").click()
        status = (await answered.value).status
        assert status in {204, 409}
    await expect(phone.locator(".mine .bubble").first).to_have_text("1")


async def see_villages_turn_on_the_board(board: Page) -> None:
    for village in HANDY:
        await expect(cell(board, village)).to_have_text("已应答")
    await expect(board.locator('[data-sum="done"]')).to_have_text("3")
    await expect(board.locator("#rate")).to_have_text("60%")
    await never_reloaded(board)


async def see_silence_climb(board: Page) -> None:
    await expect(cell(board, SILENT)).to_have_text("呼叫中（第 2 层）")
    await never_reloaded(board)
    await everybody_can_use(board)


async def answer_by_hand(desk: Page, board: Page) -> None:
    """Somebody was reached from the desk's own phone; the officer writes down what he said."""
    await desk.goto(board.url)
    await desk.locator(".town .cell", has_text=TWIN).click()
    await expect(desk.get_by_role("heading", level=1)).to_contain_text(f"雁落乡 {TWIN}")
    await everybody_can_use(desk)
    await desk.get_by_role("link", name=TWIN_SECRETARY).first.click()
    await everybody_can_use(desk)
    await desk.get_by_role("radio", name="收到").check()
    await desk.get_by_label("原话或备注").fill("手机没电，座机接的")
    await desk.get_by_role("button", name="记录应答").click()
    await expect(said(desk)).to_contain_text("应答已记录")
    await expect(desk.get_by_text("手机没电，座机接的").first).to_be_visible()
    await expect(cell(board, TWIN)).to_have_text("已应答")
    await never_reloaded(board)


async def look_again_on_a_phone(people: Audience, desk: Page, bulletin: str) -> None:
    """The same on a screen of 390 pixels, and in English."""
    small = await people.seat("small", size=PHONE_SIZE, like=desk)
    for path in ("", "/board"):
        await small.goto(f"{bulletin}{path}")
        await fits(small)
    await small.get_by_role("button", name="English").click()
    await expect(small.locator("html")).to_have_attribute("lang", "en")
    await expect(cell(small, next(iter(HANDY)))).to_have_text("Answered")
    await fits(small)
    await small.goto(people.demo.url)
    await expect(small.get_by_role("heading", level=1)).to_have_text("What to do next")
    await small.get_by_role("button", name="中文").click()
    await expect(small.get_by_role("heading", level=1)).to_have_text("下一步做什么")


async def see_silence_end_with_a_person(board: Page, desk: Page) -> None:
    await expect(cell(board, SILENT)).to_have_text("未叫应")
    await expect(board.locator("#urgent")).to_contain_text(SILENT)
    await expect(board.locator("#alarm-strip")).to_be_visible()
    await never_reloaded(board)

    await desk.get_by_role("link", name="处置台").click()
    alarms = desk.locator("#alarms li", has_text=SILENT)
    await expect(alarms.filter(has_text="各级都没有应答，须人工叫应")).to_have_count(1)
    tasks = desk.locator("section", has=desk.get_by_role("heading", name="人工任务"))
    await expect(tasks.locator("li", has_text=SILENT)).to_contain_text("上门叫应")
    await everybody_can_use(desk)


async def lift(desk: Page, board: Page, bulletin: str) -> None:
    await desk.goto(bulletin)
    await desk.locator("summary", has_text="解除这条预警").click()
    await desk.get_by_label("为什么解除").fill(LIFT_REASON)
    await desk.get_by_role("button", name="解除预警并通知").click()
    await expect(desk.get_by_text(f"解除原因：{LIFT_REASON}")).to_be_visible()
    await expect(board.locator("#bulletin-state")).to_contain_text("已解除")


async def hear_of_it_on_the_phones(people: Audience) -> None:
    phones = people.page("phones")
    for person, says in LIFTED.items():
        await phones.locator("#q").fill(person)
        await expect(phones.locator(".phone").first).to_contain_text(person)
        await expect(phones.locator(".text .bubble").last).to_have_text(re.compile(says))


async def audit(auditor: Page, folder: Path) -> None:
    """Verify on the page and from a copy; then change the copy by one byte."""
    await auditor.get_by_role("link", name="台账").click()
    await auditor.get_by_role("button", name="核验台账").click()
    verdict = auditor.locator(".said")
    await expect(verdict).to_contain_text("台账完整，没有被改动。")
    size = number_in(await verdict.inner_text(), r"共 ([\d,]+) 行")
    await everybody_can_use(auditor)
    async with auditor.expect_download() as downloading:
        await auditor.get_by_role("link", name="导出全部").click()
    file = folder / "ledger.jsonl"
    await (await downloading.value).save_as(file)

    code, said = await command("ledger", "verify", str(file))
    assert code == 0, said
    assert number_in(said, r"台账完整：([\d,]+) 条") >= size

    line = change_one_byte(file, "bulletin.signed")
    code, said = await command("ledger", "verify", str(file))
    assert code == 1, said
    assert f"（文件第 {line} 行）" in said


# What they use -----------------------------------------------------------------------------------


def said(page: Page) -> Locator:
    """Return what a page says about what has just been done."""
    return page.locator("p.said")


def cell(board: Page, name: str) -> Locator:
    """Return the words of a region's cell in its township."""
    return board.locator(".town .cell-item", has_text=name).locator(".cell-words")


async def edge(duty: Page, words: str) -> str:
    """Return how the frame of a choice is drawn: for whoever cannot tell colours."""
    frame = duty.locator(".kind", has_text=words).first
    style: str = await frame.evaluate("frame => getComputedStyle(frame).borderTopStyle")
    return style


async def hours_after_onset(duty: Page, hours: int) -> str:
    onset = datetime.fromisoformat(await duty.get_by_label("开始时间").input_value())
    return (onset + timedelta(hours=hours)).isoformat(timespec="minutes")


async def never_reloaded(board: Page) -> None:
    assert await board.evaluate("window.neverReloaded") is True


def number_in(text: str, pattern: str) -> int:
    found = re.search(pattern, text)
    assert found is not None, text
    return int(found[1].replace(",", ""))


def change_one_byte(file: Path, where: str) -> int:
    """Change a letter in the first line that has `where`; returns the line's number, from 1."""
    content = file.read_bytes()
    at = content.index(where.encode())
    file.write_bytes(content[:at] + b"B" + content[at + 1 :])
    return content[:at].count(b"\n") + 1


async def command(*arguments: str) -> tuple[int, str]:
    """Run `warnsvc` as an auditor would; returns its code and what it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "warnsvc", *arguments,
        cwd=ROOT,
        env=clean_environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()
