"""The live board: pages, groups as JSON, and the stream of changes."""

import asyncio
import json
from typing import Any

import pytest
from aiohttp import ClientResponse

from tests.web.rig import TOWNS, VILLAGES, Browser, Desk
from warnsvc.core.answer import AnswerKind
from warnsvc.service.answer import by_hand
from warnsvc.service.lift import lift
from warnsvc.service.session import revoke_all
from warnsvc.service.sweep import sweep
from warnsvc.web.live import FEEDS

PATIENCE = 15


async def answers(desk: Desk, number: int, village: str, kind: AnswerKind) -> None:
    """Let the first person of a village answer by phone to the desk."""
    async with desk.ctx.store.view() as view:
        row = await view.fetch_one(
            "SELECT m.callout_id FROM member m JOIN escalation e ON e.id = m.escalation_id"
            " WHERE e.bulletin_id = $1 AND e.region_code = $2 ORDER BY m.tier, m.rank LIMIT 1",
            number,
            village,
        )
    assert row is not None
    await by_hand(
        desk.ctx,
        officer=desk.officers["duty"],
        callout_id=row["callout_id"],
        kind=kind,
        happened_at=desk.clock.now(),
        note="",
    )


class Stream:
    """Reads server-sent events."""

    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    def close(self) -> None:
        """Go away, as a browser that is shut."""
        self._response.close()

    async def next(self) -> dict[str, Any]:
        """Return the next message; a beat counts."""
        async with asyncio.timeout(PATIENCE):
            line = await self._response.content.readuntil(b"\n\n")
        if not line:
            raise EOFError
        assert line.startswith(b"data: ")
        message: dict[str, Any] = json.loads(line[6:])
        return message

    async def until(self, wanted: Any) -> dict[str, Any]:
        """Return the first message that satisfies."""
        while not wanted(message := await self.next()):
            pass
        return message


async def watch(browser: Browser, number: int) -> Stream:
    response = await browser.client.get(f"/bulletins/{number}/live")
    assert response.status == 200
    assert response.content_type == "text/event-stream"
    return Stream(response)


async def test_the_board_shows_every_village_in_its_township(desk: Desk) -> None:
    number = await desk.released()
    await answers(desk, number, VILLAGES[0], AnswerKind.RECEIVED)
    browser = await desk.logged_in("auditor")

    status, page = await browser.get(f"/bulletins/{number}/board")

    assert status == 200
    assert "云溪镇" in page
    assert "鹿鸣乡" in page
    assert page.count('class="cell-item"') >= 6 + 1
    assert '<b data-sum="done">1</b>' in page
    assert '<b data-sum="calling">5</b>' in page
    assert "17%" in page


async def test_a_group_is_given_alone_the_most_urgent_first(desk: Desk) -> None:
    number = await desk.released()
    await answers(desk, number, VILLAGES[0], AnswerKind.RECEIVED)
    browser = await desk.logged_in("duty")

    cells = await (
        await browser.client.get(f"/bulletins/{number}/board.json?town={TOWNS[0]}")
    ).json()

    assert [cell[2] for cell in cells] == ["丙村", "乙村", "甲村"]
    assert [cell[3] for cell in cells] == ["calling", "calling", "answered"]
    assert all(cell[5] > desk.clock.now().timestamp() * 1000 for cell in cells[:2])


async def test_the_stream_begins_with_everything_and_then_sends_changes(desk: Desk) -> None:
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)

    hello = await stream.next()
    await answers(desk, number, VILLAGES[1], AnswerKind.RECEIVED)
    change = await stream.until(lambda message: message.get("cells"))

    assert hello["whole"] is True
    assert len(hello["cells"]) == 6
    assert hello["sum"] == {
        "total": 6, "pending": 0, "calling": 6, "answered": 0, "late": 0, "exhausted": 0,
        "ended": 0,
    }  # fmt: skip
    assert hello["now"] == int(desk.clock.now().timestamp() * 1000)
    assert [(cell[2], cell[3]) for cell in change["cells"]] == [("乙村", "answered")]
    assert change["towns"] == {TOWNS[0]: {"name": "云溪镇", "calling": 2, "answered": 1}}
    assert change["sum"]["answered"] == 1


async def test_people_who_answer_below_the_quorum_move_the_sums_only(desk: Desk) -> None:
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)
    await stream.next()

    await answers(desk, number, VILLAGES[0], AnswerKind.REFUSED)
    change = await stream.until(lambda message: message.get("people", {}).get("refused"))

    assert change["people"]["refused"] == 1


async def test_a_silent_village_comes_as_exhausted_and_leads_the_urgent(desk: Desk) -> None:
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)
    await stream.next()

    for _ in range(4):
        desk.clock.move(minutes=6)
        await sweep(desk.ctx)
    change = await stream.until(lambda message: message.get("sum", {}).get("exhausted"))

    assert change["urgent"][0][3] == "exhausted"


async def test_lifting_is_told_to_whoever_watches(desk: Desk) -> None:
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)
    await stream.next()

    await lift(desk.ctx, officer=desk.officers["duty"], bulletin_id=number, reason="雨停了")
    change = await stream.until(lambda message: message.get("state") == "lifted")

    assert change["sum"]["ended"] == 6


async def test_two_watchers_share_one_feed_and_it_stops_after_the_last(desk: Desk) -> None:
    number = await desk.released()
    first = await watch(await desk.logged_in("duty"), number)
    second = await watch(await desk.logged_in("auditor"), number)
    await first.next()
    await second.next()
    feeds = desk.app[FEEDS]

    watching = feeds.watching
    first.close()
    second.close()
    async with asyncio.timeout(PATIENCE):
        while feeds.watching:
            await asyncio.sleep(0)

    assert watching == {number: 2}


async def test_the_stream_ends_with_the_login(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("warnsvc.web.board.BEAT_SECONDS", 0.01)
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)
    await stream.next()

    await revoke_all(desk.ctx, by=desk.officers["admin"], officer_id=desk.officers["duty"])

    with pytest.raises(EOFError):
        await stream.until(lambda _: False)


async def test_watching_a_bulletin_that_is_not_released_says_that_nobody_is_called(
    desk: Desk,
) -> None:
    number = await desk.draft()
    browser = await desk.logged_in("duty")

    status, page = await browser.get(f"/bulletins/{number}/board")
    missing, _ = await browser.get("/bulletins/4711/board")

    assert status == 200
    assert "还没有发布" in page
    assert missing == 404


async def test_a_board_that_cannot_be_read_says_so_instead_of_looking_alive(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.web.board.BEAT_SECONDS", 0.01)
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)
    await stream.next()

    async def broken(*_: object) -> None:
        raise RuntimeError("no such reader")

    with monkeypatch.context() as broke:
        broke.setattr("warnsvc.web.live.load_changes", broken)
        stale = await stream.until(lambda message: message.get("stale"))
    mended = await stream.until(lambda message: message.get("stale") is False)

    assert stale["stale"] is True
    assert mended["stale"] is False


async def test_of_very_many_changes_the_sums_are_sent_and_the_rest_is_fetched(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warnsvc.web.live.CELLS_AT_ONCE_MAX", 3)
    number = await desk.released()
    stream = await watch(await desk.logged_in("duty"), number)

    hello = await stream.next()
    for _ in range(4):
        desk.clock.move(minutes=6)
        await sweep(desk.ctx)
    change = await stream.until(lambda message: message.get("sum", {}).get("exhausted") == 6)

    assert (hello["whole"], hello["cells"]) == (False, [])
    assert hello["sum"]["calling"] == 6
    assert (change["whole"], change["cells"]) == (False, [])
