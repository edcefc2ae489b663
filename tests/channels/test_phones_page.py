"""The phones page and the controls behind it, as a browser without a script meets them."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import ClientResponse, ClientSession

from channels.base import SendRequest
from channels.simulator import OutageKind
from channels.simulator.behaviour import Behaviour
from channels.simulator.habit import HABITS, Condition
from channels.simulator.wording import TemplatesMissing, templates_folder
from channels.webhook import WebhookChannel
from tests.channels.rigs import HOOK_SECRET, PHONE, SmsRig, VoiceRig

JSON = {"Accept": "application/json"}


@pytest.fixture
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


def request(rig: SmsRig | VoiceRig, **changes: str) -> SendRequest:
    fields = {"to": PHONE, "text": "山洪橙色预警，收到回1", "language": "zh", **changes}
    token = f"tok-{fields['to'][-4:]}"
    return SendRequest(
        token=token,
        valid_until=rig.now() + timedelta(minutes=10),
        callback_url=rig.callback_url(token),
        **fields,
    )


async def page(rig: SmsRig | VoiceRig, browser: ClientSession, query: str = "") -> str:
    async with browser.get(f"{rig.server.url}/{query}") as answer:
        assert answer.status == 200
        return await answer.text()


def numbers_on(text: str) -> list[str]:
    return re.findall(r'<li class="phone[^"]*" data-key="([^"]+)"', text)


async def act(
    rig: SmsRig | VoiceRig, browser: ClientSession, path: str, **form: str
) -> ClientResponse:
    async with browser.post(rig.server.url + path, data=form, headers=JSON) as answer:
        await answer.read()
        return answer


async def test_an_untouched_county_says_what_to_do(sms: SmsRig, browser: ClientSession) -> None:
    assert "还没有手机收到消息" in await page(sms, browser)


async def test_a_message_is_shown_as_the_phone_shows_it(sms: SmsRig, browser: ClientSession) -> None:
    sms.carrier.shelf.label(PHONE, name="张三（村支书）", place="硫磺沟镇 松树村")
    await sms.channel.send(request(sms, text="第一行\n<b>不是标签</b> & 回1"))
    await sms.timeline.advance(10)

    text = await page(sms, browser)

    assert "张三（村支书）" in text
    assert "硫磺沟镇 松树村" in text
    assert "第一行\n&lt;b&gt;不是标签&lt;/b&gt; &amp; 回1" in text
    assert "14:00:03" in text  # Asia/Shanghai
    assert "1 条计费" in text
    assert "已送达" in text


@pytest.mark.parametrize(
    ("language", "text"), [("ug", "سەل ئاگاھلاندۇرۇشى 1"), ("kk-Arab", "سەل قاۋپى 1")]
)
async def test_a_text_from_right_to_left_runs_so(
    sms: SmsRig, browser: ClientSession, language: str, text: str
) -> None:
    await sms.channel.send(request(sms, text=text, language=language))
    await sms.timeline.advance(10)

    assert f'<p class="bubble" dir="rtl" lang="{language}">{text}</p>' in await page(sms, browser)


async def test_a_ringing_phone_says_so_in_words_and_offers_four_ways(
    voice: VoiceRig, browser: ClientSession
) -> None:
    await voice.channel.send(request(voice))
    await voice.timeline.advance(5)

    _, _, phone = (await page(voice, browser)).partition('<li class="phone rings"')
    assert re.search(r'<strong class="badge ring">.*响铃中</strong>', phone)
    buttons = re.findall(r'<button class="button[^>]*data-focus[^>]*>([^<]+)</button>', phone)
    assert buttons[:4] == ["接听后按 1", "接听后按 2", "听一半挂断", "不接"]


async def test_what_moved_last_comes_first(sms: SmsRig, browser: ClientSession) -> None:
    numbers = [f"+861390000000{digit}" for digit in "123"]
    for number in numbers:
        await sms.channel.send(request(sms, to=number))
        await sms.timeline.advance(10)
    sms.carrier.reply(numbers[0], "1")

    assert numbers_on(await page(sms, browser)) == [numbers[0], numbers[2], numbers[1]]


async def test_a_phone_is_found_by_name_number_or_place(sms: SmsRig, browser: ClientSession) -> None:
    sms.carrier.shelf.label(PHONE, name="张三", place="松树村")
    sms.carrier.shelf.label("+8613900000001", name="李四", place="一村")

    for wanted in ("张三", "12345678", "松树"):
        assert numbers_on(await page(sms, browser, f"?q={wanted}")) == [PHONE]
    assert "没有符合的手机" in await page(sms, browser, "?q=王五")


async def test_no_more_phones_are_shown_than_can_be_looked_at(
    sms: SmsRig, browser: ClientSession
) -> None:
    for number in range(150):
        sms.carrier.reply(f"+86139000{number:05d}", "1")

    text = await page(sms, browser)

    assert len(numbers_on(text)) == 60
    assert "共 150 部" in text


async def test_the_page_is_there_in_english_and_remembers_it(
    sms: SmsRig, browser: ClientSession
) -> None:
    assert "Simulated phones" in await page(sms, browser, "?lang=en")
    assert "模拟手机" in await page(sms, browser, "?lang=zh")
    assert "模拟手机" in await page(sms, browser, "?lang=xx")


async def test_every_state_of_a_phone_can_be_rendered_in_both_languages(
    voice: VoiceRig, browser: ClientSession
) -> None:
    """StrictUndefined and the tables of words: a new status or habit must have its words."""
    for number, habit in enumerate(HABITS):
        voice.carrier.shelf.get(f"+861390000{number:04d}").habit = habit
    for number, condition in enumerate(Condition):
        voice.carrier.shelf.get(f"+861380000{number:04d}").condition = condition
    voice.behave(crowd=True)
    for phone in list(voice.carrier.shelf.idle()):
        await voice.channel.send(request(voice, to=phone.number))
    for seconds in (1, 5, 20, 60, 60):
        await voice.timeline.advance(seconds)
        for language in ("zh", "en"):
            await page(voice, browser, f"?lang={language}&q=%2B86")
    for kind in OutageKind:
        voice.carrier.break_down(kind if kind is not OutageKind.REFUSE else OutageKind.NONE, 60)
        await page(voice, browser, "?lang=en&show=ringing")


async def test_buttons_answer_for_the_person(sms: SmsRig, browser: ClientSession) -> None:
    await sms.channel.send(request(sms))
    await sms.timeline.advance(10)

    await act(sms, browser, f"/phones/{PHONE}/reply", text="1")
    await act(sms, browser, f"/phones/{PHONE}/reply", text="知道了")

    fetched = await sms.channel.poll_inbound(sms.now())
    assert [event.text for event in fetched.events] == ["1", "知道了"]


async def test_buttons_take_cut_and_decline_calls(voice: VoiceRig, browser: ClientSession) -> None:
    numbers = {"press": "+8613900000001", "cut": "+8613900000002", "decline": "+8613900000003"}
    for number in numbers.values():
        await voice.channel.send(request(voice, to=number))
    await voice.timeline.advance(5)

    for action, number in numbers.items():
        answer = await act(voice, browser, f"/phones/{number}/{action}", key="2")
        assert answer.status == 204
        again = await act(voice, browser, f"/phones/{number}/{action}", key="2")
        assert again.status == (204 if action == "press" else 409)
    ends = [message.status for message in voice.carrier.messages()]
    assert ends == ["played", "hung_up", "declined"]


async def test_without_a_script_a_button_leads_back_to_the_page(
    sms: SmsRig, browser: ClientSession
) -> None:
    sms.carrier.shelf.get(PHONE)
    url = f"{sms.server.url}/phones/{PHONE}/reply"

    async with browser.post(url, data={"text": "1"}, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    ("path", "form", "status"),
    [
        ("/phones/+100/reply", {"text": "1"}, 404),
        (f"/phones/{PHONE}/reply", {}, 400),
        (f"/phones/{PHONE}/reply", {"text": "x" * 501}, 400),
        (f"/phones/{PHONE}/press", {"key": "12"}, 400),
        (f"/phones/{PHONE}/press", {"key": "1"}, 409),
        (f"/phones/{PHONE}/settings", {"habit": "saint"}, 400),
        (f"/phones/{PHONE}/settings", {"condition": "wet"}, 400),
        ("/control", {"colour": "1"}, 400),
        ("/control", {"lose_request_percent": "101"}, 400),
        ("/control", {"lose_request_percent": "lots"}, 400),
        ("/control", {"lines": "nan"}, 400),
        ("/control", {"outage": "sulking", "seconds": "1"}, 400),
        ("/control", {"outage": "silent", "seconds": "-1"}, 400),
        ("/control", {"outage": "silent", "seconds": "1e9"}, 400),
    ],
)
async def test_nonsense_is_refused_and_changes_nothing(
    sms: SmsRig, browser: ClientSession, path: str, form: dict[str, str], status: int
) -> None:
    sms.carrier.shelf.get(PHONE)
    before = sms.carrier.behaviour

    answer = await act(sms, browser, path, **form)

    assert answer.status == status
    assert sms.carrier.behaviour == before
    assert sms.carrier.fault() is OutageKind.NONE


async def test_a_page_of_another_site_cannot_turn_knobs(sms: SmsRig, browser: ClientSession) -> None:
    url = f"{sms.server.url}/control"

    async with browser.post(url, data={}, headers={"Sec-Fetch-Site": "cross-site"}) as answer:
        assert answer.status == 403


async def test_a_phone_is_given_a_condition_by_hand_and_back(
    sms: SmsRig, browser: ClientSession
) -> None:
    sms.carrier.shelf.get(PHONE)

    await act(sms, browser, f"/phones/{PHONE}/settings", condition="switched_off", habit="prompt")
    assert sms.carrier.condition(PHONE) is Condition.SWITCHED_OFF
    await act(sms, browser, f"/phones/{PHONE}/settings", condition="", habit="")
    assert sms.carrier.condition(PHONE) is Condition.ON


async def test_knobs_are_turned_by_form_and_by_json(sms: SmsRig, browser: ClientSession) -> None:
    await act(sms, browser, "/control", crowd="on", crowd_share_percent="25", crowd_speed="10", lines="3")
    assert sms.carrier.behaviour == Behaviour(
        spread=0.0, crowd=True, crowd_share=0.25, crowd_speed=10.0, lines=3
    )

    changes = {"crowd": False, "receipts": False, "outage": {"kind": "stalled", "seconds": 30}}
    async with browser.post(f"{sms.server.url}/control", json=changes) as answer:
        state = await answer.json()

    assert state["behaviour"]["receipts"] is False
    assert state["outage"] == {"kind": "stalled", "seconds_left": 30.0}


async def test_a_directory_names_the_phones(sms: SmsRig, browser: ClientSession) -> None:
    rows = [{"number": PHONE, "name": "张三（村支书）", "place": "松树村"}, {"number": "+8613900000001"}]

    async with browser.put(f"{sms.server.url}/control/directory", json=rows) as answer:
        assert (answer.status, await answer.json()) == (200, {"named": 2})
    async with browser.put(f"{sms.server.url}/control/directory", json=[{"name": "?"}]) as answer:
        assert answer.status == 400
    async with browser.get(f"{sms.server.url}/control/handsets", params={"q": "村支书"}) as answer:
        (phone,) = (await answer.json())["items"]

    assert (phone["number"], phone["place"], phone["entries"]) == (PHONE, "松树村", [])


async def test_the_live_stream_tells_that_something_moved(
    sms: SmsRig, browser: ClientSession
) -> None:
    async with browser.get(f"{sms.server.url}/live") as stream:
        assert stream.content_type == "text/event-stream"
        first = await stream.content.readuntil(b"\n\n")
        sms.carrier.reply(PHONE, "1")
        second = await stream.content.readuntil(b"\n\n")

    assert (first, second) == (b"retry: 1000\ndata: 0\n\n", b"data: 1\n\n")


def test_templates_are_found_in_a_checkout_and_their_absence_is_named(tmp_path: Path) -> None:
    assert (templates_folder() / "phones" / "page.html").is_file()
    with pytest.raises(TemplatesMissing, match="phones"):
        templates_folder(tmp_path)


async def test_an_endpoint_stands_among_the_phones_and_can_be_answered_by_hand(
    sms: SmsRig, browser: ClientSession
) -> None:
    hooks = WebhookChannel(
        name="h", secrets=[HOOK_SECRET], shared_secret=True, allow_private=True, clock=sms.now
    )
    await hooks.send(request(sms, to=f"{sms.server.url}/v1/hooks/loudspeaker"))
    await hooks.close()
    await sms.timeline.advance(1)
    sms.catcher.take()

    answer = await act(sms, browser, "/phones/hook:loudspeaker/reply", text="1")
    await sms.timeline.advance(1)

    assert answer.status == 204
    assert [each.text for each in hooks.parse_inbound(sms.catcher.take()[0])] == ["1"]
