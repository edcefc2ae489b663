"""Accounts and imports: what administrators do."""

from pathlib import Path

from aiohttp import FormData

from tests.web.rig import PASSWORD, TOWNS, Browser, Desk
from warnsvc.service.officer import Role, find_officer

NEW = {
    "login": "Zhou.Min",
    "name": "周敏",
    "post": "值班员",
    "password": "spring-wind-2026",
    "roles": ["duty", "signer"],
}
REGIONS = f"""代码,上级代码,级别,名称,人口
990102100009,{TOWNS[0]},村级,新村,88
"""
DAMAGED = f"""代码,上级代码,级别,名称,人口
990102100009,{TOWNS[0]},村级,新村,八十
99010210000X,{TOWNS[0]},村级,坏村,1
"""


async def admin(desk: Desk) -> Browser:
    browser = await desk.logged_in("admin")
    await browser.get("/officers")
    return browser


async def test_an_account_is_added_and_can_log_in(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await browser.post("/officers/add", NEW)
    _, desk_page = await desk.browser().log_in("zhou.min", NEW["password"])  # type: ignore[arg-type]

    assert status == 200
    assert "账号已添加" in page
    assert "周敏" in desk_page


async def test_every_wrong_field_of_an_account_is_named_and_kept(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await browser.post(
        "/officers/add", {"login": "有空格 的", "name": "", "post": "员" * 90, "password": "short"}
    )

    assert status == 422
    for field in ("login", "name", "post", "roles", "password"):
        assert f'id="error-{field}"' in page
    assert 'value="有空格 的"' in page
    assert "short" not in page


async def test_a_login_is_given_once(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await browser.post("/officers/add", {**NEW, "login": "duty"})

    assert status == 422
    assert "这个用户名已经有人用了" in page


async def test_a_password_that_is_easy_to_guess_is_refused(desk: Desk) -> None:
    browser = await admin(desk)

    _, repeated = await browser.post("/officers/add", {**NEW, "password": "abababab"})
    _, login = await browser.post(
        "/officers/add", {**NEW, "login": "longlogin", "password": "LongLogin"}
    )

    assert "太容易猜" in repeated
    assert "太容易猜" in login


async def test_a_disabled_account_is_shown_so_and_let_in_again(desk: Desk) -> None:
    browser = await admin(desk)
    duty = desk.officers["duty"]

    _, off = await browser.post(f"/officers/{duty}/disabled", {"disabled": "yes"})
    refused, _ = await desk.browser().log_in("duty")
    await browser.post(f"/officers/{duty}/disabled", {"disabled": "no"})
    again, _ = await desk.browser().log_in("duty")

    assert "已停用" in off
    assert refused == 401
    assert again == 200


async def test_nobody_shuts_himself_out(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await browser.post(
        f"/officers/{desk.officers['admin']}/disabled", {"disabled": "yes"}
    )

    assert status == 422
    assert "不能停用自己的账号" in page


async def test_the_last_administrator_stays_one(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await browser.post(
        f"/officers/{desk.officers['admin']}/roles", {"roles": ["duty"]}
    )
    officer = await find_officer(desk.ctx, "admin")

    assert status == 422
    assert "最后一位管理员" in page
    assert officer is not None
    assert Role.ADMIN in officer.roles


async def test_a_new_password_unlocks_and_ends_every_login(desk: Desk) -> None:
    on_duty = await desk.logged_in("duty")
    for _ in range(5):
        await desk.browser().log_in("duty", "wrong")
    browser = await admin(desk)

    _, page = await browser.post(
        f"/officers/{desk.officers['duty']}/password", {"password": "autumn-fog-2026"}
    )
    _, thrown_out = await on_duty.get("/")
    old, _ = await desk.browser().log_in("duty", PASSWORD)
    new, _ = await desk.browser().log_in("duty", "autumn-fog-2026")

    assert "密码已重置" in page
    assert 'name="password"' in thrown_out
    assert (old, new) == (401, 200)


async def upload(browser: Browser, content: bytes, **fields: str) -> tuple[int, str]:
    form = FormData({"csrf": browser.csrf, "kind": "regions", **fields})
    form.add_field("file", content, filename="区域.csv", content_type="text/csv")
    response = await browser.client.post("/import", data=form)
    return response.status, await response.text()


async def villages(desk: Desk) -> int:
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one("SELECT count(*) AS n FROM region WHERE level = 'village'")
    assert row is not None
    return int(row["n"])


async def test_an_import_is_tried_first_and_then_done(desk: Desk) -> None:
    browser = await admin(desk)
    content = REGIONS.encode()

    tried, first = await upload(browser, content, act="try")
    after_try = await villages(desk)
    done, second = await upload(browser, content, act="import")

    assert (tried, done) == (200, 200)
    assert "没有错误，还没有写入" in first
    assert after_try == 6
    assert "已导入" in second
    assert await villages(desk) == 7


async def test_a_damaged_file_imports_nothing_and_names_row_and_column(desk: Desk) -> None:
    browser = await admin(desk)

    status, page = await upload(browser, DAMAGED.encode(), act="import")

    assert status == 422
    assert "什么都没有导入" in page
    assert "人口" in page
    assert "八十" in page
    assert "99010210000X" in page
    assert await villages(desk) == 6


async def test_an_import_without_a_file_or_a_kind_says_so(desk: Desk) -> None:
    browser = await admin(desk)

    status, no_kind = await upload(browser, b"", kind="", act="try")
    response = await browser.client.post(
        "/import", data={"csrf": browser.csrf, "kind": "regions", "act": "try"}
    )

    assert status == 422
    assert "请选择导入的是区域还是联系人" in no_kind
    assert "请选择要导入的文件" in await response.text()


async def test_a_file_that_is_too_large_is_refused_before_it_is_read(
    desk: Desk, tmp_path: Path
) -> None:
    browser = await admin(desk)

    status, page = await upload(browser, b"x" * (20 * 1024 * 1024 + 1), act="try")

    assert status == 413
    assert "内容太大" in page


async def test_an_upload_needs_the_token_too(desk: Desk) -> None:
    browser = await admin(desk)
    browser.csrf = "guessed"

    status, _ = await upload(browser, REGIONS.encode(), act="import")

    assert status == 403
    assert await villages(desk) == 6
