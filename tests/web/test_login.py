"""Logging in, being locked out, being thrown out."""

import pytest

from tests.web.rig import PASSWORD, Desk
from warnsvc.service.officer import set_disabled


async def test_the_desk_asks_who_is_there_and_leads_back(desk: Desk) -> None:
    browser = desk.browser()

    status, page = await browser.get("/bulletins?show=open")

    assert status == 200
    assert 'name="next" value="/bulletins?show=open"' in page
    assert 'name="password"' in page


async def test_a_right_password_opens_the_desk(desk: Desk) -> None:
    status, page = await desk.browser().log_in("duty")

    assert status == 200
    assert "下一步做什么" in page
    assert "王值班" in page


async def test_a_wrong_password_says_so_and_keeps_the_login(desk: Desk) -> None:
    status, page = await desk.browser().log_in("duty", "wrong")

    assert status == 401
    assert "用户名或密码不对" in page
    assert 'value="duty"' in page
    assert 'value="wrong"' not in page


async def test_an_unknown_login_gets_the_same_answer(desk: Desk) -> None:
    known = await desk.browser().log_in("duty", "wrong")
    unknown = await desk.browser().log_in("nobody", "wrong")

    assert known[0] == unknown[0]
    assert known[1].replace("duty", "") == unknown[1].replace("nobody", "")


async def test_five_wrong_passwords_lock_the_account_for_a_while(desk: Desk) -> None:
    browser = desk.browser()
    for _ in range(4):
        await browser.log_in("duty", "wrong")

    _, fifth = await browser.log_in("duty", "wrong")
    _, right = await browser.log_in("duty")
    desk.clock.move(minutes=16)
    status, later = await browser.log_in("duty")

    assert "账号已锁定，约 15 分钟" in fifth
    assert "账号已锁定" in right
    assert status == 200
    assert "下一步做什么" in later


async def test_a_locked_account_stays_logged_in_where_it_was(desk: Desk) -> None:
    on_duty = await desk.logged_in("duty")
    for _ in range(5):
        await desk.browser().log_in("duty", "wrong")

    _, page = await on_duty.get("/")

    assert "下一步做什么" in page


async def test_a_login_ends_after_an_hour_without_use(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    desk.clock.move(minutes=59)
    _, used = await browser.get("/")
    desk.clock.move(minutes=61)

    _, page = await browser.get("/")

    assert "下一步做什么" in used
    assert 'name="password"' in page


async def test_a_page_that_asks_by_itself_does_not_keep_the_login_alive(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    for _ in range(4):
        desk.clock.move(minutes=16)
        await browser.get("/now", headers={"X-Script": "1"})

    status, _ = await browser.get("/now", headers={"X-Script": "1"})

    assert status == 401


async def test_a_login_ends_after_twelve_hours_however_much_it_is_used(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    for _ in range(15):
        desk.clock.move(minutes=50)
        _, page = await browser.get("/")

    assert 'name="password"' in page


async def test_a_login_that_is_ended_elsewhere_is_over_at_once(desk: Desk) -> None:
    stolen, owner = await desk.logged_in("duty"), await desk.logged_in("duty")
    await owner.get("/account")

    _, account = await owner.post("/account/sessions/end-others")
    _, page = await stolen.get("/")

    assert "登录已全部退出" in account
    assert 'name="password"' in page


async def test_whoever_is_disabled_is_out_at_once(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    await set_disabled(
        desk.ctx, by=desk.officers["admin"], officer_id=desk.officers["duty"], disabled=True
    )
    _, page = await browser.get("/")
    _, again = await desk.browser().log_in("duty")

    assert 'name="password"' in page
    assert "账号已停用" in again


async def test_logging_out_ends_the_login_on_the_server_too(desk: Desk) -> None:
    browser = await desk.logged_in("duty")
    token = browser.client.session.cookie_jar.filter_cookies(browser.client.make_url("/"))[
        "warnsvc_session"
    ].value

    await browser.post("/logout")
    copied = desk.browser()
    _, page = await copied.get("/", headers={"Cookie": f"warnsvc_session={token}"})

    assert 'name="password"' in page


async def test_a_new_password_needs_the_old_one_and_ends_other_logins(desk: Desk) -> None:
    other, browser = await desk.logged_in("duty"), await desk.logged_in("duty")
    await browser.get("/account")
    new = {"new": "winter-snow-2026", "again": "winter-snow-2026"}

    refused, page = await browser.post("/account/password", {"old": "wrong", **new})
    _, changed = await browser.post("/account/password", {"old": PASSWORD, **new})
    _, thrown_out = await other.get("/")

    assert refused == 422
    assert "现在的密码不对" in page
    assert "密码已修改" in changed
    assert 'name="password"' in thrown_out


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
async def test_a_login_leads_nowhere_but_into_this_house(desk: Desk, wanted: str) -> None:
    browser = desk.browser()

    response = await browser.client.post(
        "/login",
        data={"login": "duty", "password": PASSWORD, "next": wanted},
        allow_redirects=False,
    )

    assert response.status == 303
    assert response.headers["Location"] == "/"


async def test_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites(desk: Desk) -> None:
    browser = desk.browser()

    response = await browser.client.post(
        "/login", data={"login": "duty", "password": PASSWORD}, allow_redirects=False
    )
    cookie = response.headers["Set-Cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert PASSWORD not in cookie
