"""An endpoint on its contact's page: its address is mended there, and its secret read by whoever may."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from channels.webhook import WebhookChannel
from tests.fakes.clock import ManualClock
from tests.web import rig
from tests.web.rig import Desk
from warnsvc.service.directory import ImportKind, import_file
from warnsvc.service.fleet import Fleet
from warnsvc.service.officer import Role
from warnsvc.store.port import Store

SIREN = "https://siren.example/hook/very-private-path"
LIST = f"姓名,回调地址,区划代码,层级,语言\n甲村大喇叭,{SIREN},{rig.VILLAGES[0]},1,汉语\n"


@pytest.fixture
def hooks() -> WebhookChannel:
    return WebhookChannel(name="hooks", secrets=["the-channels-secret-" * 2])


@pytest.fixture
async def desk(store: Store, tmp_path: Path, hooks: WebhookChannel) -> AsyncIterator[Desk]:
    clock = ManualClock()
    settings = rig.settings(tmp_path).model_copy(update={"demo": False})
    ctx = rig.context(store, clock, settings, Fleet({"hooks": hooks}))
    async with store.unit() as unit:
        await rig.bulk_load(unit, rig.regions(), rig.people(), now=clock.now())
    async with Desk(ctx, clock) as opened:
        await opened.add("duty", Role.DUTY)
        await opened.add("admin", Role.ADMIN)
        yield opened


async def imported(desk: Desk) -> int:
    """Bring an endpoint in by a list; returns its contact."""
    officer = desk.officers["admin"]
    report = await import_file(
        desk.ctx, officer=officer, kind=ImportKind.CONTACTS, content=LIST.encode(), dry_run=False
    )
    assert report.applied, report.faults
    (row,) = await rows(desk, "SELECT id, kind, language FROM contact WHERE name = '甲村大喇叭'")
    assert (row["kind"], row["language"]) == ("endpoint", "zh")
    return int(row["id"])


async def rows(desk: Desk, sql: str, *params: Any) -> list[Any]:
    async with desk.ctx.store.view() as unit:
        return await unit.fetch(sql, *params)


async def test_an_endpoint_comes_in_by_a_list_and_its_page_shows_its_host_only(desk: Desk) -> None:
    contact = await imported(desk)
    browser = await desk.logged_in("duty")

    status, page = await browser.get(f"/contacts/{contact}")

    assert status == 200
    assert "siren.example" in page
    assert "very-private-path" not in page
    assert "whsec_" not in page
    assert f"/contacts/{contact}/secret" not in page  # not a duty officer's to see


async def test_its_address_is_mended_and_stays_an_endpoints(desk: Desk) -> None:
    contact = await imported(desk)
    browser = await desk.logged_in("duty")
    await browser.get(f"/contacts/{contact}")

    for wrong in ("13812345678", "http://siren.example/", "https://a:b@siren.example/", "https://"):
        status, page = await browser.post(
            f"/contacts/{contact}/number", {"rank": "1", "number": wrong}
        )
        assert status == 422
        assert "接口地址要以 https:// 开头" in page
    done, page = await browser.post(
        f"/contacts/{contact}/number", {"rank": "1", "number": " https://new.example/hook "}
    )

    assert done == 200
    assert "new.example" in page
    (row,) = await rows(
        desk, "SELECT kind, address FROM contact_number WHERE contact_id = $1", contact
    )
    assert tuple(row) == ("webhook", "https://new.example/hook")


async def test_an_administrator_reads_its_secret_and_the_ledger_says_so(
    desk: Desk, hooks: WebhookChannel
) -> None:
    contact = await imported(desk)
    browser = await desk.logged_in("admin")
    _, before = await browser.get(f"/contacts/{contact}")

    status, page = await browser.post(f"/contacts/{contact}/secret")

    assert "whsec_" not in before
    assert status == 200
    assert re.findall(r"whsec_[\w+/=]+", page) == [hooks.endpoint_secret(SIREN)]
    lines = await rows(desk, "SELECT * FROM ledger_line WHERE act = 'secret.revealed'")
    assert [line["actor"] for line in lines] == [f"officer:{desk.officers['admin']}"]
    assert "whsec" not in str(tuple(lines[0]))


async def test_a_duty_officer_does_not_read_secrets(desk: Desk) -> None:
    contact = await imported(desk)
    browser = await desk.logged_in("duty")
    await browser.get(f"/contacts/{contact}")

    status, page = await browser.post(f"/contacts/{contact}/secret")

    assert status == 403
    assert "whsec_" not in page


async def test_a_person_has_no_secret_to_show(desk: Desk) -> None:
    browser = await desk.logged_in("admin")
    _, page = await browser.get("/contacts/1")

    status, said = await browser.post("/contacts/1/secret")

    assert "/contacts/1/secret" not in page
    assert status == 422
    assert "没有可查看的密钥" in said
    assert await rows(desk, "SELECT id FROM ledger_line WHERE act = 'secret.revealed'") == []
