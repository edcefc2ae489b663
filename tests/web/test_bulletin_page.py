"""One bulletin's page: what is foreseen, who may sign, how it is released and lifted."""

from tests.web.rig import Desk
from warnsvc.core.bulletin import BulletinStatus
from warnsvc.service import bulletin as bulletins
from warnsvc.service.officer import Role

DRILL = {"status": BulletinStatus.EXERCISE, "texts": {"zh": "演练：今晚有山洪。演练"}}


async def test_the_signer_sees_whom_it_will_reach_before_signing(desk: Desk) -> None:
    number = await desk.submitted()
    browser = await desk.logged_in("signer")

    _, page = await browser.get(f"/bulletins/{number}")

    assert "正式预警 REAL" in page
    assert "<b>6</b>个村和场所" in page
    assert "<b>615</b>人在区域内" in page
    assert "<b>12</b>名各层责任人" in page
    assert "签发这条正式预警" in page
    assert "【云岭县应急局】今晚有山洪" in page


async def test_gaps_are_named(desk: Desk) -> None:
    number = await desk.submitted()
    browser = await desk.logged_in("signer")

    _, page = await browser.get(f"/bulletins/{number}")

    assert "须人工打电话" in page
    assert "主任2" in page
    assert "云溪镇 丙村" in page


async def test_a_second_person_signs(desk: Desk) -> None:
    number = await desk.submitted()
    browser = await desk.logged_in("signer")
    await browser.get(f"/bulletins/{number}")

    status, page = await browser.post(
        f"/bulletins/{number}/sign", {"digest": await _digest(browser, number)}
    )

    assert status == 200
    assert "已签发，可以发布" in page
    assert "李签发" in page


async def test_the_author_is_told_that_another_must_sign(desk: Desk) -> None:
    await desk.add("both", Role.DUTY, Role.SIGNER)
    desk.officers["duty"] = desk.officers["both"]
    number = await desk.submitted()
    browser = await desk.logged_in("both")

    _, page = await browser.get(f"/bulletins/{number}")
    status, refused = await browser.post(f"/bulletins/{number}/sign", {"digest": ""})

    assert "不能由您自己签发" in page
    assert "签发这条正式预警" not in page
    assert status == 422
    assert (await bulletins.get(desk.ctx, number)).state == "submitted"
    assert "请重读一遍再签发" in refused or "须由另一人签发" in refused


async def test_nobody_signs_a_text_that_changed_while_he_read(desk: Desk) -> None:
    number = await desk.submitted()
    browser = await desk.logged_in("signer")

    status, page = await browser.post(f"/bulletins/{number}/sign", {"digest": "0" * 64})

    assert status == 422
    assert "内容被改过" in page
    assert (await bulletins.get(desk.ctx, number)).state == "submitted"


async def test_sending_back_needs_a_reason_and_shows_it_to_the_author(desk: Desk) -> None:
    number = await desk.submitted()
    browser = await desk.logged_in("signer")
    await browser.get("/")

    refused, page = await browser.post(f"/bulletins/{number}/send-back", {"reason": "  "})
    await browser.post(f"/bulletins/{number}/send-back", {"reason": "地点写错了"})
    _, seen = await (await desk.logged_in("duty")).get(f"/bulletins/{number}")

    assert refused == 422
    assert "请写明原因" in page
    assert "被退回，原因：" in seen
    assert "地点写错了" in seen


async def test_release_asks_for_the_place_in_words(desk: Desk) -> None:
    number = await desk.signed()
    browser = await desk.logged_in("duty")

    _, before = await browser.get(f"/bulletins/{number}")
    status, wrong = await browser.post(f"/bulletins/{number}/release", {"phrase": "发布云溪镇"})
    done, board = await browser.post(f"/bulletins/{number}/release", {"phrase": "发布云岭县"})

    assert "正式发布：这不是演练" in before
    assert "发布云岭县" in before
    assert status == 422
    assert "确认文字不对" in wrong
    assert 'value="发布云溪镇"' in wrong
    assert done == 200
    assert "已发布，正在叫应" in board


async def test_real_and_drill_never_look_alike(desk: Desk) -> None:
    real, drill = await desk.signed(), await desk.signed(**DRILL)
    browser = await desk.logged_in("duty")

    _, real_page = await browser.get(f"/bulletins/{real}")
    _, drill_page = await browser.get(f"/bulletins/{drill}")

    assert 'class="band real"' in real_page
    assert 'class="band drill"' in drill_page
    assert "band drill" not in real_page
    assert "band real" not in drill_page
    assert "▲ 正式发布" in real_page
    assert "◇ 发布演练" in drill_page
    assert "正式发布" not in drill_page


async def test_lifting_needs_a_reason(desk: Desk) -> None:
    number = await desk.released()
    browser = await desk.logged_in("duty")
    await browser.get("/")

    refused, page = await browser.post(f"/bulletins/{number}/lift", {"reason": ""})
    done, lifted = await browser.post(f"/bulletins/{number}/lift", {"reason": "雨停了"})

    assert refused == 422
    assert "请写明原因" in page
    assert done == 200
    assert "已解除" in lifted
    assert "雨停了" in lifted


async def test_the_desk_shows_the_next_step_to_whoever_must_take_it(desk: Desk) -> None:
    await desk.submitted()
    await desk.signed()

    _, signer = await (await desk.logged_in("signer")).get("/")
    _, duty = await (await desk.logged_in("duty")).get("/")

    assert "去签发" in signer
    assert "去发布" not in signer
    assert "去发布" in duty
    assert "去签发" not in duty


async def _digest(browser: object, number: int) -> str:
    import re

    _, page = await browser.get(f"/bulletins/{number}")  # type: ignore[attr-defined]
    found = re.search(r'name="digest" value="(\w{64})"', page)
    assert found
    return found[1]
