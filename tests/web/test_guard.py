"""Who may do what, where a post may come from, and what stands around every answer."""

import re

import pytest

from tests.web.rig import COUNTY, Desk
from warnsvc.core.bulletin import BulletinStatus
from warnsvc.service import bulletin as bulletins

OPEN_PATHS = {"/healthz", "/readyz", "/metrics", "/login", "/language", "/static"}
OPEN_PREFIXES = ("/callbacks/", "/a/", "/recordings/", "/static")


async def test_every_page_asks_who_is_there(desk: Desk) -> None:
    browser = desk.browser()
    resources = browser.client.app.router.resources()  # type: ignore[union-attr]
    paths = {re.sub(r"\{\w+\}", "1", resource.canonical) for resource in resources}
    closed = {p for p in paths if p not in OPEN_PATHS and not p.startswith(OPEN_PREFIXES)}

    asked = {}
    for path in closed:
        for method in ("GET", "POST"):
            response = await browser.client.request(method, path, allow_redirects=False)
            if response.status != 405:
                asked[method, path] = response.headers.get("Location", "")[:6]

    assert len(asked) > 15
    assert set(asked.values()) == {"/login"}


async def test_a_post_without_the_token_is_refused_in_words(desk: Desk) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")
    browser.csrf = "guessed"

    status, page = await browser.post(f"/bulletins/{number}/submit")

    assert status == 403
    assert "没有通过安全检查" in page
    assert (await bulletins.get(desk.ctx, number)).state == "draft"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_post_from_another_site_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    status, _ = await browser.post(f"/bulletins/{number}/submit", headers=headers)

    assert status == 403
    assert (await bulletins.get(desk.ctx, number)).state == "draft"


async def test_another_site_cannot_log_somebody_in(desk: Desk) -> None:
    browser = desk.browser()

    status, _ = await browser.post(
        "/login", {"login": "duty", "password": "x"}, headers={"Origin": "https://evil.example"}
    )

    assert status == 403


@pytest.mark.parametrize(
    ("login", "path"),
    [
        ("auditor", "/bulletins/1/submit"),
        ("signer", "/bulletins/1/release"),
        ("duty", "/bulletins/1/sign"),
        ("admin", "/bulletins/1/lift"),
        ("duty", "/officers/add"),
        ("auditor", "/tasks/1/claim"),
    ],
)
async def test_a_role_that_is_missing_is_named(desk: Desk, login: str, path: str) -> None:
    browser = await desk.logged_in(login)

    status, page = await browser.post(path)

    assert status == 403
    assert "您没有这项职责" in page
    assert "什么都没有改变" in page


async def test_a_new_role_holds_from_the_next_page_on(desk: Desk) -> None:
    browser = await desk.logged_in("auditor")
    before, _ = await browser.get("/bulletins/new")

    async with desk.ctx.store.unit() as unit:
        await unit.execute("UPDATE officer SET roles = 'duty' WHERE login = 'auditor'")
    after, _ = await browser.get("/bulletins/new")

    assert (before, after) == (403, 200)


async def test_every_answer_carries_the_headers(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    for path in ("/", "/login", "/nowhere", "/static/console.css", "/healthz"):
        response = await browser.client.get(path, allow_redirects=False)

        assert "default-src 'self'" in response.headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in response.headers["Content-Security-Policy"]
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "same-origin"


async def test_no_page_is_kept_by_a_cache(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    response = await browser.client.get("/")

    assert response.headers["Cache-Control"] == "no-store"


async def test_a_page_that_is_not_there_says_what_to_do(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    status, page = await browser.get("/nowhere")
    strange, _ = await browser.get("/bulletins/99999999999999999999999")
    missing, words = await browser.get("/bulletins/4711")

    assert status == 404
    assert "没有这个页面" in page
    assert "回到处置台" in page
    assert strange == 404
    assert missing == 404
    assert "没有第 4711 号预警" in words


async def test_a_fault_shows_a_number_and_no_trace(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("warnsvc.web.desk.load_desk", broken)
    browser = desk.browser()

    status, page = await browser.log_in("duty")

    assert status == 500
    assert "系统出错了" in page
    assert "告诉管理员这个编号" in page
    assert "secret detail" not in page
    assert "Traceback" not in page


async def test_a_body_that_is_too_large_is_refused_in_words(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    status, page = await browser.post("/bulletins/new", {"text_zh": "雨" * 500_000})

    assert status == 413
    assert "内容太大" in page


async def test_what_people_wrote_is_never_markup(desk: Desk) -> None:
    nasty = '<script>alert("雨")</script><img src=x onerror=alert(1)>'
    number = await desk.draft(texts={"zh": nasty}, status=BulletinStatus.ACTUAL)
    browser = await desk.logged_in("signer")

    _, page = await browser.get(f"/bulletins/{number}")
    _, form = await (await desk.logged_in("duty")).get(f"/bulletins/{number}/edit")

    assert nasty not in page + form
    assert "&lt;script&gt;alert(&#34;雨&#34;)" in page
    assert "&lt;script&gt;alert(&#34;雨&#34;)" in form


async def test_pages_hold_no_inline_script_or_style(desk: Desk) -> None:
    number = await desk.draft(region_codes=(COUNTY,))
    browser = await desk.logged_in("duty")

    for path in ("/", "/login", "/bulletins", "/bulletins/new", f"/bulletins/{number}", "/account"):
        _, page = await browser.get(path)

        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>", page)
        assert not re.search(r"<style|\sstyle=|\son\w+=", page)


async def test_the_language_is_switched_and_remembered(desk: Desk) -> None:
    browser = await desk.logged_in("duty")

    _, english = await browser.post("/language", {"to": "en", "back": "/bulletins"})
    _, still = await browser.get("/")
    _, chinese = await browser.post("/language", {"to": "zh", "back": "/"})

    assert '<html lang="en">' in english
    assert "What to do next" in still
    assert "下一步做什么" in chinese


async def test_the_language_is_remembered_without_a_login(desk: Desk) -> None:
    browser = desk.browser()
    _, first = await browser.get("/login")

    _, english = await browser.post("/language", {"to": "en", "back": "/login"})

    assert '<html lang="zh-Hans-CN">' in first
    assert "Password" in english
