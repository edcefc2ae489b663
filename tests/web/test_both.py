"""Every page on PostgreSQL too: the statements behind the pages are written once for both."""

import pytest

from tests.web.rig import BARE, COUNTY, TOWNS, Desk
from tests.web.test_board import watch
from warnsvc.core.bulletin import BulletinStatus
from warnsvc.service.officer import Role
from warnsvc.service.sweep import sequence_ledger, sweep

PAGES = (
    "/", "/bulletins", "/bulletins?show=running&status=actual&before=99", "/bulletins/new",
    "/bulletins/1", "/bulletins/1/board", "/bulletins/2", "/bulletins/2/edit", "/bulletins/3",
    "/escalations/1", "/callouts/1", "/contacts", "/contacts?q=甲&after=1",
    "/contacts?trouble=no_number", "/contacts?trouble=failed", "/contacts?trouble=by_hand",
    "/contacts?trouble=no_duty", "/contacts/1", "/regions", f"/regions?of={COUNTY}",
    f"/regions?of={BARE}&q=村", "/tasks", "/inbox", "/ledger",
    "/ledger?bulletin=1&act=bulletin.released&actor=officer:1&since=2026-07-05T00:00"
    "&until=2026-07-06T00:00&escalation=1&callout=1&before=999",
    "/import", "/officers", "/account", "/now",
)  # fmt: skip


@pytest.mark.parametrize("backend", ["postgresql", "sqlite"], indirect=True)
async def test_every_page_opens_on_both_databases(desk: Desk) -> None:
    await desk.add("all", *Role)
    await desk.released()
    await desk.draft()
    await desk.submitted(status=BulletinStatus.EXERCISE, texts={"zh": "演练：看看电话通不通。演练"})
    for _ in range(4):
        desk.clock.move(minutes=6)
        await sweep(desk.ctx)
    await sequence_ledger(desk.ctx)
    browser = await desk.logged_in("all")

    opened = {path: (await browser.get(path))[0] for path in PAGES}
    town = await (await browser.client.get(f"/bulletins/1/board.json?town={TOWNS[0]}")).json()
    stream = await watch(browser, 1)
    hello = await stream.next()
    stream.close()
    _, verified = await browser.post("/ledger/verify")
    choice = await browser.client.post(
        "/bulletins/choice", data={"regions": [COUNTY]}, headers={"X-CSRF": browser.csrf}
    )

    assert {path: status for path, status in opened.items() if status != 200} == {}
    assert len(town) == 3
    assert hello["sum"]["exhausted"] > 0
    assert "台账完整" in verified
    assert "615" in (await choice.json())["sentence"]


@pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
async def test_logins_lock_and_end_on_postgresql_too(desk: Desk) -> None:
    on_duty = await desk.logged_in("duty")
    for _ in range(5):
        _, page = await desk.browser().log_in("duty", "wrong")
    for _ in range(21):
        await desk.logged_in("signer")
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT count(*) AS n FROM session WHERE officer_id = $1 AND revoked_at IS NULL",
            desk.officers["signer"],
        )

    await on_duty.get("/account")
    _, ended = await on_duty.post("/account/sessions/end-others")

    assert "账号已锁定" in page
    assert row is not None
    assert row["n"] == 20
    assert "登录已全部退出" in ended
