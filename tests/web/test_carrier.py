"""Pages about carriers: how they stand, a test to one's phone, adding and taking away."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from channels.registry import ADAPTERS
from tests.fakes.channel import FakeChannel, Reject
from tests.fakes.clock import ManualClock
from tests.web.carriers import CANARY, SECRET, carrier_settings, fleet, seed_carriers
from tests.web.rig import Browser, Desk, context, settings
from warnsvc.service.carrier import adapters
from warnsvc.service.fleet import Fleet
from warnsvc.service.officer import Role
from warnsvc.settings import Settings
from warnsvc.store.pace import hold_circuit, save_circuit
from warnsvc.store.port import Store
from warnsvc.web.carrier_word import ADAPTER, PARAMETER

NAMES = ("sms-county", "sms-abroad", "voice-main", "endpoints", "sms-spare", "sms-wrong")
PAGES = ("/carriers", *(f"/carriers/{name}" for name in NAMES))
PHONE = "13900001234"
NEW = {
    "adapter": "simulated-sms",
    "name": "sms-second",
    "p_base_url": "https://sim.example",
    "p_account": "warnsvc",
    "p_sender": "1069",
}


@pytest.fixture
async def house(store: Store, tmp_path: Path) -> AsyncIterator[Desk]:
    """A desk with one carrier of every standing, and an officer of every role."""
    clock = ManualClock()
    chosen = settings(tmp_path / "data", carriers=carrier_settings(tmp_path))
    async with Desk(context(store, clock, chosen, fleet(clock)), clock) as desk:
        for role in Role:
            await desk.add(role.value, role)
        await seed_carriers(desk.ctx)
        yield desk


async def visitor(house: Desk, login: str = "admin", *, language: str = "zh") -> Browser:
    browser = await house.logged_in(login)
    if language != "zh":
        await browser.post("/language", {"to": language, "back": "/carriers"})
    else:
        await browser.get("/carriers")
    return browser


def fake_of(house: Desk, name: str) -> FakeChannel:
    channel = house.ctx.fleet.channels[name]
    assert isinstance(channel, FakeChannel)
    return channel


def words_in(page: str) -> str:
    """The page's text, markup gone and spaces made one."""
    text = re.sub(r"<[^>]+>", "", page)
    return re.sub(r"\s+", " ", text).replace("&#34;", '"')


def part(page: str, start: str) -> str:
    """The element whose opening tag holds `start`, up to the next of its kind."""
    return words_in(page.split(start, 1)[1].split('<li class="carrier"', 1)[0])


# Reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["postgresql", "sqlite"], indirect=True)
async def test_every_page_opens_on_both_databases(house: Desk) -> None:
    browser = await visitor(house)

    opened = {path: (await browser.get(path))[0] for path in PAGES}
    tested, _ = await browser.post("/carriers/sms-county/test", {"address": PHONE})

    assert set(opened.values()) == {200}, opened
    assert tested == 200


@pytest.mark.parametrize("role", list(Role))
async def test_every_officer_may_read(house: Desk, role: Role) -> None:
    browser = await visitor(house, role.value)

    opened = {path: (await browser.get(path))[0] for path in PAGES}

    assert set(opened.values()) == {200}, opened


async def test_a_card_says_in_one_sentence_how_its_carrier_stands(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers")

    assert "正常，12 秒前有应答" in part(page, 'id="carrier-sms-county"')
    abroad = part(page, 'id="carrier-sms-abroad"')
    assert "熔断中，连续失败 3 次，14:30:20 再试，最后的错误：20003" in abroad
    assert "半开：正在试一条" in part(page, 'id="carrier-voice-main"')
    assert "已停用" in part(page, 'id="carrier-sms-spare"')
    assert "装载不了" in part(page, 'id="carrier-sms-wrong"')
    assert "还没有用过" in part(page, 'id="carrier-endpoints"')


async def test_a_card_says_pace_canary_and_what_cannot_be_done(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers")

    county, abroad = part(page, 'id="carrier-sms-county"'), part(page, 'id="carrier-sms-abroad"')
    assert "每秒 10 条；因被限速减到每秒 5 条" in county
    assert "到达，用了 3 秒" in county
    assert "已 4 小时没有到达" in abroad
    assert "收不到中国（+86）的回复短信" in abroad
    assert "不会说维吾尔语、哈萨克语，但可以放录音" in part(page, 'id="carrier-voice-main"')


async def test_the_routes_show_on_which_no_answer_comes_back(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers")

    routes = words_in(page.split('id="routes"', 1)[1])
    assert "1 分 30 秒没有回执，换下一个再发" in routes
    assert "sms-abroad 收不到中国（+86）的应答，要求应答的预警跳过它" in routes
    assert "中国（+86）的应答回不来：要求应答的预警不会从这条路由发出" in routes
    assert "没有装载名为 sms-gone 的通道" in routes


async def test_the_first_thing_to_do_is_the_worst_and_then_the_next(house: Desk) -> None:
    browser = await visitor(house)

    _, before = await browser.get("/carriers")
    await heal(house)
    _, after = await browser.get("/carriers")

    assert "sms-abroad：熔断" in before
    assert "sms-abroad：试发没有到达" in after


async def test_nothing_is_to_do_when_all_is_well(house: Desk) -> None:
    channels = {name: fake_of(house, name) for name in ("sms-county", "voice-main", "endpoints")}
    ctx = replace(house.ctx, fleet=Fleet(channels), settings=_only(house, *channels))
    await heal(house)
    async with Desk(ctx, house.clock) as desk:
        browser = await desk.logged_in("duty")

        _, page = await browser.get("/carriers")

    assert "没有发现问题" in page


async def heal(house: Desk) -> None:
    """Close every circuit, and take away what was added."""
    async with house.ctx.store.unit() as unit:
        await unit.execute("UPDATE circuit SET state = 'closed', failures = 0, probe_at = NULL")
        await unit.execute("DELETE FROM carrier")


def _only(house: Desk, *names: str) -> Settings:
    chosen = tuple(c for c in house.ctx.settings.carriers if c.name in names)
    return house.ctx.settings.model_copy(update={"carriers": chosen})


async def test_without_a_carrier_the_page_says_what_to_do(desk: Desk) -> None:
    admin, duty = await desk.logged_in("admin"), await desk.logged_in("duty")

    _, for_admin = await admin.get("/carriers")
    _, for_duty = await duty.get("/carriers")

    assert "没有可用的通道，什么都发不出去" in for_admin
    assert 'href="/carriers/add"' in for_admin
    assert 'href="/carriers/add"' not in for_duty


async def test_a_page_tells_the_circuit_of_its_own_carrier_only(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers/sms-abroad")
    _, other = await browser.get("/carriers/sms-county")

    history = words_in(page.split('id="history-title"', 1)[1].split("</section>", 1)[0])
    assert history.count("连续失败") == 2
    assert "试的一条有了应答" in history
    assert "从未熔断" in other


async def test_a_page_gives_the_addresses_for_the_carrier(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers/sms-county")

    assert "短信网关（Kannel）" in page
    assert "/callbacks/sms-county/{token}" in page
    assert re.search(r"/callbacks/sms-county\s*</pre>", page)


async def test_a_key_in_an_address_is_left_to_the_command(
    house: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeChannel, "callback_query", f"key={SECRET}", raising=False)
    browser = await visitor(house)

    _, page = await browser.get("/carriers/sms-county")

    assert SECRET not in page
    assert "warnsvc carriers address sms-county" in page
    assert page.count("/callbacks/sms-county") == 1


async def test_both_languages_say_it(house: Desk) -> None:
    browser = await visitor(house, language="en")

    for path in PAGES:
        _, page = await browser.get(path)
        body = words_in(page.split("<main", 1)[1].split("</main>", 1)[0])

        assert not re.findall("[\u4e00-\u9fff]+", body.replace("测试", "")), path
    _, page = await browser.get("/carriers")
    assert "Well: it answered 12 s ago" in page
    assert "Circuit open after 3 failures in a row" in page


# What must not be shown -------------------------------------------------------------------------


async def test_neither_secrets_nor_whole_numbers_are_on_any_page(house: Desk) -> None:
    browser = await visitor(house)
    await browser.post("/carriers/sms-county/test", {"address": PHONE})

    seen = "".join([(await browser.get(path))[1] for path in PAGES])
    _, tests = await browser.get("/carriers/sms-county/tests?test=8")

    assert SECRET not in seen
    assert "user:pass" not in seen
    for number in (CANARY, CANARY.removeprefix("+86"), PHONE):
        assert number not in seen + tests
    assert "138****5678" in seen
    assert "139****1234" in seen


async def test_a_secret_is_shown_as_dots_and_the_path_of_its_file(house: Desk) -> None:
    browser = await visitor(house)

    _, from_file = await browser.get("/carriers/sms-county")
    _, from_text = await browser.get("/carriers/sms-abroad")

    assert re.search(r"••••（文件 /\S+/carrier-secret）", from_file)
    assert "••••" in from_text


# A test to one's phone ----------------------------------------------------------------------------


async def test_a_test_goes_to_a_phone_and_its_fate_is_shown(house: Desk) -> None:
    browser = await visitor(house, "duty")

    status, page = await browser.post("/carriers/sms-county/test", {"address": "139 0000 1234"})

    (sent,) = fake_of(house, "sms-county").tries
    assert status == 200
    assert sent.to == f"+86{PHONE}"
    assert "不是预警" in sent.text
    assert "发给 139****1234 的测试" in words_in(page)
    assert "通道已收下" in page
    assert 'data-live="/carriers/sms-county/tests?test=8"' in page


async def test_what_becomes_of_it_comes_without_a_reload(house: Desk) -> None:
    browser = await visitor(house)
    await browser.post("/carriers/sms-county/test", {"address": PHONE})
    async with house.ctx.store.unit() as unit:
        await unit.execute(
            "UPDATE test_send SET state = 'delivered', receipt_at = $1, answered_at = $1,"
            " answer = '1' WHERE id = 8",
            house.clock.now(),
        )

    response = await browser.client.get("/carriers/sms-county/tests?test=8")
    html = (await response.json())["html"]

    assert "已送达" in html
    assert "“<bdi>1</bdi>”" in html
    assert "data-live" not in html


async def test_asking_every_two_seconds_does_not_count_all_sends(
    house: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def counted(*_: object) -> None:
        raise AssertionError("a poll must not look at every attempt")

    browser = await visitor(house)
    monkeypatch.setattr("warnsvc.web.carrier.list_carriers", counted)

    response = await browser.client.get("/carriers/sms-county/tests")

    assert response.status == 200
    assert "138****5678" in (await response.json())["html"]


async def test_a_test_that_failed_says_why_and_is_not_waited_for(house: Desk) -> None:
    fake_of(house, "sms-county").script(Reject(reason="no such subscriber"))
    browser = await visitor(house)

    _, page = await browser.post("/carriers/sms-county/test", {"address": PHONE})

    assert "发送失败" in page
    assert "号码错误" in page
    assert "data-live" not in page


async def test_a_wrong_number_is_refused_at_its_field_and_kept(house: Desk) -> None:
    browser = await visitor(house)

    status, page = await browser.post("/carriers/sms-county/test", {"address": "12ab"})

    assert status == 422
    assert 'id="error-address"' in page
    assert 'value="12ab"' in page
    assert fake_of(house, "sms-county").tries == []


async def test_tests_are_counted(house: Desk) -> None:
    browser = await visitor(house)

    for _ in range(5):
        await browser.post("/carriers/sms-county/test", {"address": PHONE})
    status, page = await browser.post("/carriers/sms-county/test", {"address": PHONE})

    assert status == 422
    assert "一分钟最多 5 条测试" in page
    assert len(fake_of(house, "sms-county").tries) == 5


async def test_a_circuit_that_is_open_can_be_tested(house: Desk) -> None:
    browser = await visitor(house)

    status, _ = await browser.post("/carriers/sms-abroad/test", {"address": "+12025550199"})

    assert status == 200
    assert len(fake_of(house, "sms-abroad").tries) == 1


async def test_a_carrier_that_took_a_test_is_no_longer_said_to_be_unused(house: Desk) -> None:
    browser = await visitor(house)

    _, before = await browser.get("/carriers/endpoints")
    await browser.post("/carriers/endpoints/test", {"address": "https://horn.example/hook"})
    house.clock.move(seconds=20)
    _, after = await browser.get("/carriers/endpoints")

    assert "还没有用过" in before
    assert "正常，20 秒前有应答" in after


# Who may act ----------------------------------------------------------------------------------


@pytest.mark.parametrize("login", ["duty", "signer", "auditor"])
async def test_only_administrators_set_up(house: Desk, login: str) -> None:
    browser = await visitor(house, login)

    refused = [
        (await browser.get("/carriers/add"))[0],
        (await browser.get("/carriers/sms-spare/sure?act=remove"))[0],
        (await browser.post("/carriers/add", NEW))[0],
        (await browser.post("/carriers/sms-spare/enable"))[0],
        (await browser.post("/carriers/sms-spare/remove"))[0],
    ]
    _, page = await browser.get("/carriers/sms-spare")

    assert refused == [403] * 5
    assert "/sure?act=" not in page


@pytest.mark.parametrize("login", ["signer", "auditor"])
async def test_who_neither_calls_nor_sets_up_sends_no_test(house: Desk, login: str) -> None:
    browser = await visitor(house, login)

    status, _ = await browser.post("/carriers/sms-county/test", {"address": PHONE})
    _, page = await browser.get("/carriers/sms-county")

    assert status == 403
    assert 'action="/carriers/sms-county/test"' not in page


async def test_nothing_is_done_for_a_form_of_another_site(house: Desk) -> None:
    browser = await visitor(house)
    browser.csrf = "guessed"

    posts = {
        "/carriers/add": NEW,
        "/carriers/sms-county/test": {"address": PHONE},
        "/carriers/sms-spare/remove": {},
    }
    statuses = [
        (await browser.client.post(path, data={"csrf": "guessed", **fields})).status
        for path, fields in posts.items()
    ]

    assert statuses == [403] * 3
    assert fake_of(house, "sms-county").tries == []


async def test_a_carrier_that_is_not_there_is_named(house: Desk) -> None:
    browser = await visitor(house)

    status, page = await browser.get("/carriers/nobody")
    strange, _ = await browser.get("/carriers/sms-spare/sure?act=explode")

    assert status == 404
    assert "没有名为 nobody 的通道" in page
    assert strange == 404


# Adding, enabling, removing -----------------------------------------------------------------------


async def test_every_adapter_has_a_name_and_a_form_in_both_languages(house: Desk) -> None:
    assert set(ADAPTERS) <= set(ADAPTER)
    assert {p.name for form in adapters() for p in form.parameters} <= set(PARAMETER)
    for language in ("zh", "en"):
        browser = await visitor(house, language=language)
        for adapter in ADAPTERS:
            status, page = await browser.get(f"/carriers/add?adapter={adapter}")

            assert status == 200, adapter
            assert 'name="p_canary_to"' in page


async def test_a_carrier_is_added_disabled_enabled_and_removed(house: Desk, tmp_path: Path) -> None:
    browser = await visitor(house)
    secret = tmp_path / "second-secret"
    secret.write_text("another-secret-of-a-carrier", encoding="utf-8")

    added, page = await browser.post("/carriers/add", {**NEW, "p_secret": str(secret)})
    _, sure = await browser.get("/carriers/sms-second/sure?act=disable")
    _, off = await browser.post("/carriers/sms-second/disable")
    _, on = await browser.post("/carriers/sms-second/enable")
    _, gone = await browser.post("/carriers/sms-second/remove")

    assert added == 200
    assert "通道已保存" in page
    assert "本进程没有装载，重启后生效" in page
    assert "another-secret" not in page
    assert "停用通道 sms-second" in sure
    assert "已停用" in off
    assert "通道已启用" in on
    assert "通道已移除" in gone
    assert "sms-second" not in gone.split("<main", 1)[1]


async def test_every_wrong_field_is_named_and_what_was_typed_is_kept(house: Desk) -> None:
    browser = await visitor(house)

    status, page = await browser.post(
        "/carriers/add",
        {**NEW, "name": "Wrong Name", "p_sender": "", "p_per_second": "many", "p_account": "mine",
         "p_secret": "/nowhere/at-all"},
    )  # fmt: skip

    assert status == 422
    for name in ("name", "sender", "per_second", "secret"):
        assert f'id="error-{name}"' in page, name
    for value in ("Wrong Name", "many", "mine", "/nowhere/at-all"):
        assert f'value="{value}"' in page, value


async def test_of_two_that_may_stand_for_each_other_neither_is_hidden(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.get("/carriers/add?adapter=twilio-sms")

    open_, folded = page.split('<details class="more"', 1)
    for name in ("sender", "messaging_service_sid"):
        assert f'name="p_{name}"' in open_
        assert f'name="p_{name}"' not in folded
    assert open_.count("填其一，只填其一") == 2


async def test_no_carrier_takes_the_name_of_a_page(house: Desk) -> None:
    browser = await visitor(house)

    _, page = await browser.post("/carriers/add", {**NEW, "name": "add"})
    _, longer = await browser.post("/carriers/add", {**NEW, "name": "added"})

    assert 'id="error-name"' in page
    assert 'id="error-name"' not in longer


async def test_what_the_adapter_says_against_it_is_told(house: Desk, tmp_path: Path) -> None:
    browser = await visitor(house)
    secret = tmp_path / "token"
    secret.write_text(SECRET, encoding="utf-8")
    fields = {"adapter": "twilio-sms", "name": "abroad", "p_account_sid": "AC" + "0" * 32}

    status, page = await browser.post("/carriers/add", {**fields, "p_secret": str(secret)})

    assert status == 422
    assert "这样装载不了" in page
    assert SECRET not in page


async def test_a_carrier_of_the_settings_is_changed_in_its_file(house: Desk) -> None:
    browser = await visitor(house)

    status, page = await browser.post("/carriers/sms-county/disable")
    _, own = await browser.get("/carriers/sms-county")

    assert status == 422
    assert "写在配置文件里" in page
    assert "/sure?act=" not in own


async def test_what_a_carrier_said_is_never_markup(house: Desk) -> None:
    nasty = "<script>alert(1)</script>"
    async with house.ctx.store.unit() as unit:
        held = await hold_circuit(unit, "sms-abroad", now=house.clock.now())
        await save_circuit(unit, replace(held, last_error=nasty))
    browser = await visitor(house)

    seen = "".join([(await browser.get(path))[1] for path in ("/carriers", "/carriers/sms-abroad")])

    assert nasty not in seen
    assert "&lt;script&gt;alert(1)" in seen
