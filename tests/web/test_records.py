"""Timelines, answers by hand, tasks, replies, contacts, the ledger: what is read and recorded."""

import json
import re
from datetime import timedelta

import pytest

from tests.web.rig import BARE, COUNTY, VILLAGES, Desk
from warnsvc.service.alarm import raise_alarm
from warnsvc.service.ledger import verify_export
from warnsvc.service.officer import Role
from warnsvc.service.sweep import sequence_ledger, sweep
from warnsvc.store.inbound import Inbound, insert_inbound
from warnsvc.store.retention import WAITED


async def one(desk: Desk, sql: str, *params: object) -> int:
    """Return the first column of the first row."""
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one(sql, *params)
    assert row is not None
    return int(row[0])


async def callout_of(desk: Desk, name: str) -> int:
    return await one(desk, "SELECT id FROM callout WHERE contact_name = $1", name)


async def escalation_of(desk: Desk, code: str) -> int:
    return await one(desk, "SELECT id FROM escalation WHERE region_code = $1", code)


async def test_a_regions_page_tells_its_tiers_and_its_story(desk: Desk) -> None:
    await desk.released()
    desk.clock.move(minutes=6)
    await sweep(desk.ctx)
    browser = await desk.logged_in("auditor")

    status, page = await browser.get(f"/escalations/{await escalation_of(desk, VILLAGES[0])}")

    assert status == 200
    assert "第 2 层，共 3 层" in page
    assert "云溪镇（上级）" in page
    assert "上一层到时没有应答" in page
    assert page.index("预警发布") < page.index("上一层到时没有应答")
    assert "14:30:00" in page
    assert "14:36:00" in page


async def test_a_village_without_anybody_says_who_is_called_instead(desk: Desk) -> None:
    await desk.released()
    browser = await desk.logged_in("duty")

    _, page = await browser.get(f"/escalations/{await escalation_of(desk, BARE)}")

    assert "鹿鸣乡（上级）" in page
    assert "乡长1" in page


async def test_numbers_are_masked_until_somebody_asks_and_is_written_down(desk: Desk) -> None:
    number = await desk.released()
    callout = await callout_of(desk, "支书0")
    browser = await desk.logged_in("duty")

    _, page = await browser.get(f"/callouts/{callout}")
    _, revealed = await browser.post(f"/callouts/{callout}/reveal")
    lines = await one(
        desk,
        "SELECT count(*) FROM ledger_line WHERE act = 'number.revealed' AND bulletin_id = $1",
        number,
    )

    assert "199****0001" in page
    assert "19900000001" not in page
    assert "19900000001" in revealed
    assert lines == 1


@pytest.mark.parametrize("path", ["/", "/contacts", "/tasks", "/inbox", "/contacts/1"])
async def test_no_list_shows_a_whole_number(desk: Desk, path: str) -> None:
    await desk.released()
    await desk.add("all", *Role)
    browser = await desk.logged_in("all")

    _, page = await browser.get(path)

    assert not re.search(r"199\d{8}", page)


async def test_an_answer_is_entered_by_hand_with_when_it_was_said(desk: Desk) -> None:
    await desk.released()
    callout = await callout_of(desk, "支书0")
    desk.clock.move(minutes=3)
    browser = await desk.logged_in("duty")
    await browser.get("/")

    status, page = await browser.post(
        f"/callouts/{callout}/answer",
        {"kind": "on_post", "happened_at": "2026-07-05T14:31", "note": "已在村口"},
    )

    assert status == 200
    assert "应答已记录" in page
    assert "已到岗" in page
    assert "14:31:00" in page
    assert "王值班于 14:33:00 记录" in page
    assert "已在村口" in page


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "请选择对方怎么说"),
        ({"kind": "shrugged"}, "请选择对方怎么说"),
        ({"kind": "received", "happened_at": "刚才"}, "时间要写成"),
        ({"kind": "received", "happened_at": "2026-07-05T23:59"}, "不能在将来"),
        ({"kind": "received", "happened_at": "2026-07-01T00:00"}, "不能早于发布时间"),
        ({"kind": "received", "note": "长" * 600}, "备注最多 500 个字"),
    ],
)
async def test_an_answer_that_cannot_be_is_refused_beside_its_field(
    desk: Desk, fields: dict[str, str], sentence: str
) -> None:
    await desk.released()
    callout = await callout_of(desk, "支书0")
    browser = await desk.logged_in("duty")
    await browser.get("/")

    status, page = await browser.post(f"/callouts/{callout}/answer", fields)

    assert status == 422
    assert sentence in page
    assert fields.get("happened_at", "") in page
    assert fields.get("note", "") in page
    assert await one(desk, "SELECT count(*) FROM answer") == 0


async def test_a_task_is_claimed_by_one_and_finished_with_a_result(desk: Desk) -> None:
    await desk.add("second", Role.DUTY, name="孙备班")
    await desk.released()
    await _until_exhausted(desk)
    task = await one(desk, "SELECT id FROM task WHERE kind = 'knock' ORDER BY id LIMIT 1")
    first, second = await desk.logged_in("duty"), await desk.logged_in("second")
    for browser in (first, second):
        await browser.get("/tasks")

    _, mine = await first.post(f"/tasks/{task}/claim")
    taken, theirs = await second.post(f"/tasks/{task}/claim")
    empty, refused = await first.post(f"/tasks/{task}/finish", {"result": " "})
    _, done = await first.post(f"/tasks/{task}/finish", {"choice": "已叫应", "result": "敲门叫醒"})

    assert "由您处理" in mine
    assert taken == 422
    assert "王值班正在处理这个任务" in theirs
    assert empty == 422
    assert "请写明结果" in refused
    assert "任务已完成" in done
    assert "已叫应：敲门叫醒" in done


async def test_a_claim_lapses_and_somebody_else_may_take_over(desk: Desk) -> None:
    await desk.add("second", Role.DUTY, name="孙备班")
    await desk.released()
    await _until_exhausted(desk)
    task = await one(desk, "SELECT id FROM task WHERE kind = 'knock' ORDER BY id LIMIT 1")
    first, second = await desk.logged_in("duty"), await desk.logged_in("second")
    await first.get("/")
    await first.post(f"/tasks/{task}/claim")
    desk.clock.move(minutes=4)
    await second.get("/")

    _, page = await second.post(f"/tasks/{task}/claim")

    assert "任务已认领" in page


async def test_alarms_stand_on_the_desk_until_somebody_has_seen_them(desk: Desk) -> None:
    await desk.released()
    await _until_exhausted(desk)
    browser = await desk.logged_in("duty")

    _, before = await browser.get("/")
    ids = re.findall(r'name="alarm" value="(\d+)"', before)
    _, after = await browser.post("/alarms/acknowledge", {"alarm": sorted(set(ids))})

    assert "各级都没有应答，须人工叫应" in before
    assert "云溪镇 甲村" in before
    assert "告警已确认" in after
    assert 'id="alarms"' not in after


async def test_a_reply_that_nobody_understood_is_read_and_put_away(desk: Desk) -> None:
    await desk.released()
    async with desk.ctx.store.unit() as unit:
        reply = Inbound(
            kind="answer", carrier="sim", channel="sms", dedupe_key="x", text="收到了吗<b>？",
            sender="+8619900000001", received_at=desk.clock.now(),
        )  # fmt: skip
        await insert_inbound(unit, [reply])
        await unit.execute("UPDATE inbound SET state = 'unmatched'")
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/inbox")
    empty, refused = await browser.post("/inbox/1/settle", {"result": ""})
    _, settled = await browser.post("/inbox/1/settle", {"result": "已回电，人在岗"})
    gone, _ = await browser.post("/inbox/1/settle", {"result": "再来一次"})

    assert "收到了吗&lt;b&gt;？" in page
    assert "199****0001" in page
    assert "支书0" in page
    assert empty == 422
    assert "请写明结果" in refused
    assert "回复已办结" in settled
    assert "已回电，人在岗" in settled
    assert gone == 422


async def test_receipts_about_nothing_stand_below_the_replies_and_go_together(desk: Desk) -> None:
    async with desk.ctx.store.unit() as unit:
        facts = [
            Inbound(
                kind="answer" if n == 3 else "receipt", carrier="mas", channel="sms",
                dedupe_key=f"k{n}", text="喂？" if n == 3 else "", received_at=desk.clock.now(),
            )
            for n in range(4)
        ]  # fmt: skip
        await insert_inbound(unit, facts)
        await unit.execute("UPDATE inbound SET state = 'unmatched', note = $1", WAITED)
        await raise_alarm(unit, "unmatched", "1", now=desk.clock.now())
    browser = await desk.logged_in("duty")

    _, page = await browser.get("/inbox")
    empty, refused = await browser.post("/inbox/receipts/settle", {"carrier": "mas", "result": " "})
    _, reply = await browser.post("/inbox/4/settle", {"result": "打错了"})
    _, settled = await browser.post(
        "/inbox/receipts/settle", {"carrier": "mas", "result": "气象局也在用"}
    )
    gone, _ = await browser.post("/inbox/receipts/settle", {"carrier": "mas", "result": "再来"})

    assert page.index("喂？") < page.index("对不上号的回执")
    assert "3 条" in page
    assert "等了一天也没有对上" in page
    assert page.count("（没有文字）") == 0
    assert re.search(r'id="number-inbox"[^>]*>2<', page)
    assert (empty, gone) == (422, 422)
    assert "请写明结果" in refused
    assert "回复已办结" in reply
    assert await one(desk, "SELECT count(*) FROM alarm WHERE ended_at IS NULL") == 0
    assert "回执已办结" in settled
    assert "没有待办的回复" in settled
    assert "对不上号的回执" not in settled
    assert await one(desk, "SELECT count(*) FROM ledger_line WHERE act = 'inbound.settled'") == 2


async def test_contacts_are_found_by_name_by_place_and_by_trouble(desk: Desk) -> None:
    browser = await desk.logged_in("auditor")

    _, by_name = await browser.get("/contacts?q=乡长1")
    _, by_place = await browser.get("/contacts?q=甲村")
    _, by_hand = await browser.get("/contacts?trouble=by_hand")
    _, nothing = await browser.get("/contacts?q=%25")

    assert "乡长1" in by_name
    assert "支书0" not in by_name
    assert "支书0" in by_place
    assert "主任2" in by_hand
    assert "支书0" not in by_hand
    assert "没有找到" in nothing


async def test_a_wrong_number_is_mended_for_the_next_warning(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    await browser.get("/contacts/1")

    wrong, page = await browser.post("/contacts/1/number", {"rank": "1", "number": "12345"})
    done, mended = await browser.post("/contacts/1/number", {"rank": "1", "number": "13812345678"})

    assert wrong == 422
    assert "这个号码不能拨打" in page
    assert 'value="12345"' in page
    assert done == 200
    assert "138****5678" in mended


async def test_the_ledger_is_filtered_by_act_by_officer_and_by_time(desk: Desk) -> None:
    number = await desk.released()
    desk.clock.move(minutes=10)
    browser = await desk.logged_in("auditor")

    _, signed = await browser.get(f"/ledger?bulletin={number}&act=bulletin.signed")
    _, duty = await browser.get(f"/ledger?actor=officer:{desk.officers['duty']}")
    _, late = await browser.get("/ledger?since=2026-07-05T14:35")
    wrong, page = await browser.get("/ledger?since=gestern")

    assert "李签发" in signed
    assert "签发" in signed
    assert '<td class="figures"' in signed
    assert signed.count('scope="row"') == 1
    assert "起草预警" in duty
    assert "李签发</bdi>" not in duty
    assert "登录" in late
    assert late.count('scope="row"') == 1
    assert wrong == 422
    assert "时间要写成" in page


async def test_the_ledger_is_verified_with_one_button(desk: Desk) -> None:
    await desk.released()
    browser = await desk.logged_in("auditor")
    await browser.get("/ledger")

    _, whole = await browser.post("/ledger/verify")

    assert "台账完整，没有被改动" in whole
    assert re.search(r"[0-9a-f]{64}", whole)


async def test_a_line_changed_in_the_database_is_named(desk: Desk) -> None:
    await desk.released()
    await sequence_ledger(desk.ctx)
    browser = await desk.logged_in("auditor")
    await browser.get("/ledger")
    async with desk.ctx.store.unit() as unit:
        await unit.execute("DROP TRIGGER IF EXISTS ledger_line_no_update")
        rows = await unit.fetch("SELECT name FROM sqlite_master WHERE type = 'trigger'")
        for row in rows:
            await unit.execute(f"DROP TRIGGER {row['name']}")
        await unit.execute(
            "UPDATE ledger_line SET body = $1 WHERE id = (SELECT line_id FROM ledger_leaf"
            " WHERE seq = 3)",
            b'{"act":"nothing"}',
        )

    _, page = await browser.post("/ledger/verify")

    assert "台账有问题" in page
    assert "这一行的内容被改过" in page
    assert "第一处在第 3 行" in page


async def test_an_export_can_be_verified_by_anybody(desk: Desk) -> None:
    await desk.released()
    browser = await desk.logged_in("auditor")

    response = await browser.client.get("/ledger/export")
    text = await response.text()
    verdict = verify_export(text.splitlines())

    assert response.headers["Content-Disposition"].startswith("attachment")
    assert verdict.ok
    assert verdict.size > 10
    assert json.loads(text.splitlines()[0])["format"] == "warnsvc-ledger"


async def test_the_export_is_the_auditors(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    status, page = await browser.get("/ledger/export")
    _, ledger = await browser.get("/ledger")

    assert status == 403
    assert "审计" in page
    assert "导出全部" not in ledger


async def test_the_list_of_bulletins_is_filtered_and_shows_how_far_each_has_come(
    desk: Desk,
) -> None:
    released = await desk.released()
    await desk.draft(expires_at=desk.clock.now() + timedelta(hours=2))
    browser = await desk.logged_in("auditor")

    _, everything = await browser.get("/bulletins")
    _, running = await browser.get("/bulletins?show=running")
    _, drills = await browser.get("/bulletins?status=exercise")

    assert everything.count('scope="row"') == 2
    assert "0 / 6" in running
    assert f"/bulletins/{released}" in running
    assert "没有这样的预警" in drills


async def test_regions_are_browsed_from_the_top_to_a_village(desk: Desk) -> None:
    browser = await desk.logged_in("auditor")

    _, top = await browser.get("/regions")
    _, county = await browser.get(f"/regions?of={COUNTY}")
    _, bare = await browser.get(f"/regions?of={BARE}")
    missing, _ = await browser.get("/regions?of=1")

    assert "云岭县" in top
    assert "鹿鸣乡" in county
    assert "没有本级联系人，叫应时直接叫上一级" in bare
    assert missing == 404


async def _until_exhausted(desk: Desk) -> None:
    for _ in range(4):
        desk.clock.move(minutes=6)
        await sweep(desk.ctx)
