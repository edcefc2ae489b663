"""Look at every page: seed the invented county, open each page in Chromium, keep pictures.

    .venv/bin/python -m tests.web.look build/look [--page board] [--language en]

For people, and for the browser test that runs axe over the same pages.
"""

import argparse
import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from contacts.county import COUNTY, make_county
from contacts.directory.bulk import bulk_load
from tests.fakes.clock import ManualClock
from tests.web.carriers import carrier_settings, fleet, seed_carriers
from tests.web.rig import PASSWORD, Desk, context, settings
from warnsvc.core.answer import AnswerKind
from warnsvc.core.bulletin import BulletinStatus, Colour
from warnsvc.service.answer import by_hand
from warnsvc.service.officer import Role
from warnsvc.service.sweep import sweep
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.migrate import upgrade
from warnsvc.store.open import open_store

CHROMIUM = "/usr/bin/chromium"
WIDTHS = (1280, 390)
TEXTS = {
    "zh": "今晚20时至明晨8时（北京时间），云岭县沿山一带有强降雨，可能引发山洪，红色预警。请立即组织沟口、河边人员撤到高处，清点人数。",
    "ug": "بۈگۈن كەچ سائەت 20 دىن باشلاپ سەل ئاپىتى بولۇش مۇمكىن، قىزىل ئاگاھلاندۇرۇش. كىشىلەرنى دەرھال ئېگىز يەرگە يۆتكەڭ.",
    "kk-Arab": "بۇگىن كەشتە سەل تاسقىنى بولۋى مۇمكىن، قىزىل ەسكەرتۋ. ادامداردى دەرەۋ بيىككە كوشىرىڭىز.",
    "en": "Flash flood expected tonight. Move people to high ground now.",
}
DRILL_TEXTS = {"zh": "演练：今晚有暴雨，请检查雨具和联络。演练"}


@asynccontextmanager
async def seeded() -> AsyncIterator[tuple[Desk, dict[str, str]]]:
    """Yield a desk in the middle of a night, and the pages to look at by name."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        url = f"sqlite:///{folder / 'look.sqlite3'}"
        await upgrade(url)
        store = await open_store(url)
        clock = ManualClock()
        try:
            chosen = settings(folder, carriers=carrier_settings(folder))
            async with Desk(context(store, clock, chosen, fleet(clock)), clock) as desk:
                yield desk, await _seed(desk)
        finally:
            await store.close()


async def _seed(desk: Desk) -> dict[str, str]:
    county = make_county()
    async with desk.ctx.store.unit() as unit:
        await bulk_load(unit, county.regions, county.people, now=desk.clock.now())
    await desk.add("duty", Role.DUTY, name="王值班")
    await desk.add("signer", Role.SIGNER, name="李签发")
    await desk.add("all", *Role, name="阿依古丽·买买提")
    whole = {"region_codes": (COUNTY,), "texts": TEXTS}
    drill = {"region_codes": (COUNTY,), "texts": DRILL_TEXTS, "status": BulletinStatus.EXERCISE,
             "hazard": "11B03", "colour": Colour.YELLOW}  # fmt: skip
    running = await desk.released(**whole)
    draft = await desk.draft(**whole)
    submitted = await desk.submitted(**whole)
    signed = await desk.signed(**whole)
    drill_submitted = await desk.submitted(**drill)
    drill_signed = await desk.signed(**drill)
    await desk.draft(region_codes=("990102103000",), texts={"zh": "大风。"}, hazard="11B06")
    await _calls(desk, running)
    await seed_carriers(desk.ctx)
    escalation, callout, contact = await _interesting(desk, running)
    return {
        "login": "/login",
        "desk": "/",
        "bulletins": "/bulletins",
        "new": "/bulletins/new",
        "edit": f"/bulletins/{draft}/edit",
        "draft": f"/bulletins/{draft}",
        "submitted": f"/bulletins/{submitted}",
        "signed": f"/bulletins/{signed}",
        "drill_submitted": f"/bulletins/{drill_submitted}",
        "drill_signed": f"/bulletins/{drill_signed}",
        "released": f"/bulletins/{running}",
        "board": f"/bulletins/{running}/board",
        "escalation": f"/escalations/{escalation}",
        "callout": f"/callouts/{callout}",
        "contacts": "/contacts",
        "contact": f"/contacts/{contact}",
        "regions": f"/regions?of={COUNTY}",
        "region": "/regions?of=990102103001&q=上河湾",
        "tasks": "/tasks",
        "inbox": "/inbox",
        "carriers": "/carriers",
        "carrier": "/carriers/sms-county?test=2#tests",
        "carrier_open": "/carriers/sms-abroad",
        "carrier_voice": "/carriers/voice-main",
        "carrier_wrong": "/carriers/sms-wrong",
        "carrier_add": "/carriers/add",
        "carrier_form": "/carriers/add?adapter=twilio-sms",
        "carrier_sure": "/carriers/sms-spare/sure?act=remove",
        "ledger": f"/ledger?bulletin={running}",
        "import": "/import",
        "officers": "/officers",
        "account": "/account",
        "missing": "/nowhere",
    }


async def _calls(desk: Desk, number: int) -> None:
    """Let an evening pass: many answer, some late, some refuse, some never."""
    async with desk.ctx.store.view() as view:
        rows = await view.fetch(
            "SELECT id FROM callout WHERE bulletin_id = $1 AND state = 'calling' ORDER BY id",
            number,
        )
    ids = [row["id"] for row in rows]
    duty = desk.officers["duty"]
    kinds = [AnswerKind.RECEIVED] * 6 + [AnswerKind.ON_POST, AnswerKind.REFUSED]
    desk.clock.move(minutes=2)
    for at, callout in enumerate(ids):
        if at % 10 < 5:
            await by_hand(
                desk.ctx, officer=duty, callout_id=callout, kind=kinds[at % len(kinds)],
                happened_at=desk.clock.now() - timedelta(seconds=at % 90), note="",
            )  # fmt: skip
    for minutes in (4, 6, 6):
        desk.clock.move(minutes=minutes)
        await sweep(desk.ctx)
    for callout in ids[8::30]:
        await by_hand(
            desk.ctx, officer=duty, callout_id=callout, kind=AnswerKind.HELP,
            happened_at=desk.clock.now(), note="路断了，车过不去",
        )  # fmt: skip
    desk.clock.move(minutes=2)
    await sweep(desk.ctx)
    async with desk.ctx.store.unit() as unit:
        await insert_inbound(unit, [
            Inbound(kind="answer", carrier="sim", channel="sms", dedupe_key=f"x{at}", sender=sender,
                    text=text, received_at=desk.clock.now())
            for at, (sender, text) in enumerate(
                [("+8613800138000", "收到了吗？我们这边雨很大"), ("+8613911112222", "你是谁")])
        ])  # fmt: skip
        await unit.execute("UPDATE inbound SET state = 'unmatched'")


async def _interesting(desk: Desk, number: int) -> tuple[int, int, int]:
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT m.escalation_id, m.callout_id, c.contact_id FROM member m"
            " JOIN escalation e ON e.id = m.escalation_id JOIN callout c ON c.id = m.callout_id"
            " WHERE e.bulletin_id = $1 AND c.state = 'calling' ORDER BY e.tier DESC LIMIT 1",
            number,
        )
    assert row is not None
    return row["escalation_id"], row["callout_id"], row["contact_id"]


@asynccontextmanager
async def browser() -> AsyncIterator[Browser]:
    """Yield Debian's Chromium."""
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        await opened.close()


async def log_in(page: Page, base: str, login: str = "all") -> None:
    """Log in through the form."""
    await page.goto(f"{base}/login")
    await page.fill("#login", login)
    await page.fill("#password", PASSWORD)
    await page.click("form.panel button")
    await page.wait_for_url(f"{base}/")


async def _look(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    async with seeded() as (desk, pages), browser() as chromium:
        base = desk.base
        for width in WIDTHS:
            await _look_at(chromium, base, pages, width, folder, arguments)


async def _look_at(
    chromium: Browser, base: str, pages: dict[str, str], width: int, folder: Path, arguments: Any
) -> None:
    room = await chromium.new_context(
        viewport={"width": width, "height": 1400}, timezone_id="America/New_York", locale="zh-CN"
    )
    page = await room.new_page()
    page.on("console", lambda message: print(width, page.url, message.type, message.text))
    page.on("pageerror", lambda error: print(width, page.url, "ERROR", error))
    await log_in(page, base)
    if arguments.language == "en":
        await page.click('form[action="/language"] button')
    for name, path in pages.items():
        if arguments.page and name not in arguments.page.split(","):
            continue
        await page.goto(base + path)
        await page.wait_for_timeout(700)
        wide = await page.evaluate("document.documentElement.scrollWidth")
        if wide > width:
            print(f"{width} {name}: {wide} px wide")
        whole = arguments.whole
        await page.screenshot(path=folder / f"{name}-{width}.png", full_page=whole)
    await room.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--page", default="")
    parser.add_argument("--language", default="zh")
    parser.add_argument("--whole", action="store_true", help="the page to its end")
    asyncio.run(_look(parser.parse_args()))
