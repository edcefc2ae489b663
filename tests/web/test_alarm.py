"""Alarms on the desk: the worst first, those that are over last, in words."""

import re
from datetime import timedelta

import pytest

from tests.web.rig import Desk
from warnsvc.core.bulletin import BulletinStatus
from warnsvc.resource import locale_dir
from warnsvc.service.opt_out import CARRIER, tell_of_opt_outs
from warnsvc.service.watch import BOUNDS
from warnsvc.store.table import AlarmRow
from warnsvc.web.alarm_text import alarm_text
from warnsvc.web.label import ALARM, LATE_KIND
from warnsvc.web.query.badge import load_badges
from warnsvc.web.query.desk import WORST_FIRST, open_alarms
from warnsvc.words import Words

CHINESE = Words.load(locale_dir()).language("zh")
ENGLISH = Words.load(locale_dir()).language("en")


async def raised(desk: Desk, *kinds: str, over: bool = False, bulletin: int | None = None) -> None:
    now = desk.clock.now()
    async with desk.ctx.store.unit() as unit:
        for kind, alarm_id in zip(kinds, await unit.new_ids("alarm", len(kinds)), strict=True):
            ended_at = now + timedelta(seconds=9) if over else None
            await unit.insert_rows(
                "alarm",
                ("id", "kind", "bulletin_id", "text", "raised_at", "ended_at"),
                [(alarm_id, kind, bulletin, kind, now, ended_at)],
            )


async def listed(desk: Desk) -> list[str]:
    async with desk.ctx.store.view() as view:
        return [row["kind"] for row in await open_alarms(view)]


async def test_the_worst_stands_first(desk: Desk) -> None:
    await raised(desk, "unmatched", "database", "late", "exhausted", "clock", "help")

    assert await listed(desk) == ["exhausted", "help", "late", "clock", "database", "unmatched"]


async def test_who_opted_out_is_named_at_the_desk_and_on_his_card(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    async with desk.ctx.store.unit() as unit:
        contact, other = await unit.fetch("SELECT id, name FROM contact ORDER BY id LIMIT 2")
        await tell_of_opt_outs(unit, [contact["id"]], now=desk.clock.now(), by=CARRIER)

    _, page = await browser.get("/")
    _, card = await browser.get(f"/contacts/{contact['id']}")
    _, others = await browser.get(f"/contacts/{other['id']}")

    assert f'<a href="/contacts/{contact["id"]}"><bdi>{contact["name"]}</bdi></a>' in page
    assert "有人退订了短信" in page
    assert "已退订短信" in card
    assert "已退订短信" not in others


async def test_what_lasts_stands_before_what_is_over_and_live_before_drill(desk: Desk) -> None:
    drill = await desk.released(status=BulletinStatus.EXERCISE, texts={"zh": "演练：请应答。演练"})
    await raised(desk, "exhausted", over=True)
    await raised(desk, "help", bulletin=drill)
    await raised(desk, "unmatched")

    assert await listed(desk) == ["unmatched", "help", "exhausted"]


async def test_what_is_over_says_so_and_does_not_ring(desk: Desk) -> None:
    await raised(desk, "late", over=True)
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/")
    async with desk.ctx.store.view() as view:
        badges = await load_badges(view)

    assert "已恢复" in page
    assert (badges.alarms, badges.last_alarm) == (0, 0)
    (alarm_id,) = set(re.findall(r'name="alarm" value="(\d+)"', page))
    _, after = await browser.post("/alarms/acknowledge", {"alarm": [alarm_id]})
    assert 'id="alarms"' not in after


async def test_the_house_speaks_of_itself_in_words(desk: Desk) -> None:
    async with desk.ctx.store.unit() as unit:
        await unit.insert_rows(
            "alarm",
            ("id", "kind", "text", "raised_at"),
            [(900, "late", "escalation callout", desk.clock.now())],
        )
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/")

    assert "该办的事没有按时办" in page
    assert "到时没有叫下一层、到时没有重呼" in page


@pytest.mark.parametrize(
    ("kind", "text", "chinese", "english"),
    [
        ("late", "worker", "没有叫应进程在运行", "no engine is running"),
        ("unknown", "37 185", "37 次，最久的已 3 分 5 秒", "37 of them, the oldest for 3 min 5 s"),
        (
            "clock",
            "a machine +3600",
            "a：本机时钟快了 1 小时",
            "a: the machine's clock is ahead by 1 h",
        ),
        (
            "clock",
            "a database -7",
            "a：数据库时钟慢了 7 秒",
            "a: the database's clock is behind by 7 s",
        ),
        ("database", "a 42", "a：断开 42 秒", "a: away for 42 s"),
        (
            "canary",
            "sms-main 7200",
            "sms-main：2 小时没有一条试发成功",
            "sms-main: no canary came through for 2 h",
        ),
        ("late", "something new", "something new", "something new"),
        ("channel", "sms-main", "sms-main", "sms-main"),
    ],
)
def test_each_says_what_it_knows(kind: str, text: str, chinese: str, english: str) -> None:
    assert alarm_text(kind, text, "zh", CHINESE) == chinese
    assert alarm_text(kind, text, "en", ENGLISH) == english


def test_everything_that_can_be_late_has_a_word() -> None:
    assert set(LATE_KIND) == set(BOUNDS)


def test_every_kind_of_alarm_has_a_label_and_a_place() -> None:
    check = next(
        str(rule.sqltext)
        for rule in AlarmRow.__table__.constraints  # type: ignore[attr-defined]
        if rule.name == "ck_alarm_kind"
    )
    kinds = set(re.findall(r"'(\w+)'", check))

    assert kinds == set(ALARM) == set(WORST_FIRST)


async def test_a_bulletins_page_and_board_count_its_unknowns(desk: Desk) -> None:
    number = await desk.released()
    async with desk.ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE attempt SET state = 'unknown', send_count = 2 WHERE id IN"
            " (SELECT id FROM attempt ORDER BY id LIMIT 3)"
        )
        row = await unit.fetch_one("SELECT MIN(callout_id) AS id FROM attempt")
    assert row is not None
    browser = await desk.logged_in("duty")

    for path in (f"/bulletins/{number}", f"/bulletins/{number}/board"):
        _, page = await browser.get(path)
        assert "3 次发送结果不明" in page, path
    _, person = await browser.get(f"/callouts/{row['id']}")
    assert "发了 2 遍，可能收到重复" in person
