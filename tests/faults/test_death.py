"""F2: kill -9 of web and worker in mid release, mid answer and mid lift, at named points.

Pass: what was begun is whole or was never begun; nobody is called twice; no answer that was taken
is lost; the final database keeps the invariants of `tests.fakes.invariant`.
"""

from collections import Counter

import pytest

from tests.faults.hand import REFUSED, Browser
from tests.faults.rig import COUNTY, Process, Rig, open_rig, quick

WATCHED = "tests.faults.process"
PEOPLE = 150
BOTH = pytest.mark.parametrize("kind", ["sqlite", "postgresql"])

RELEASE_POINTS = (
    "before_commit:1:INSERT INTO escalation",
    "after_commit:1:INSERT INTO escalation",
    "before_answer:1:/release",
)
LIFT_POINTS = (
    "before_commit:1:INSERT INTO bulletin",
    "after_commit:1:INSERT INTO bulletin",
    "before_answer:1:/lift",
)


@BOTH
async def test_a_release_or_a_lift_that_is_cut_off_is_whole_or_was_never_begun(kind: str) -> None:
    async with open_rig(kind) as rig:
        await rig.populate(PEOPLE)
        numbers = [await rig.sign() for _ in RELEASE_POINTS]
        web = _web(rig)
        if kind == "postgresql":
            rig.start("worker", "worker")
        browser = Browser(rig)
        try:
            for number, point in zip(numbers, RELEASE_POINTS, strict=True):
                await _released_in_spite_of(rig, web, browser, number, point)
            for number, point in zip(numbers, LIFT_POINTS, strict=True):
                await _lifted_in_spite_of(rig, web, browser, number, point)
        finally:
            await browser.close()

        record = await rig.record()
        heard = Counter(to for _, _, _, to, _ in record.texts)
        assert len(heard) == PEOPLE
        assert set(heard.values()) == {2 * len(numbers)}, "each was called once and told once"
        assert record.duplicates == 0
        await rig.check_invariants()


async def _released_in_spite_of(
    rig: Rig, web: Process, browser: Browser, number: int, point: str
) -> None:
    web.restart(FAULT_AT=point)
    await rig.until_ready()
    await browser.log_in()
    await browser.get(f"/bulletins/{number}")
    status, _ = await browser.post(f"/bulletins/{number}/release", phrase=rig.phrases[number])
    assert status == REFUSED, f"{point}: the web process should have died, and said {status}"
    assert web.died()
    opened = await rig.one("SELECT COUNT(*) FROM escalation WHERE bulletin_id = $1", number)
    assert opened in {0, PEOPLE}
    state = await rig.one("SELECT state FROM bulletin WHERE id = $1", number)
    assert (state, opened) in {("signed", 0), ("released", PEOPLE)}
    web.restart()
    await rig.until_ready()
    if state == "signed":
        status, _ = await browser.post(f"/bulletins/{number}/release", phrase=rig.phrases[number])
        assert status == 200
    await rig.until(rig.all_sent, 60)
    assert (await rig.states("attempt", f"bulletin_id = {number}")) == {"accepted": PEOPLE}


async def _lifted_in_spite_of(
    rig: Rig, web: Process, browser: Browser, number: int, point: str
) -> None:
    web.restart(FAULT_AT=point)
    await rig.until_ready()
    await browser.get(f"/bulletins/{number}")
    status, _ = await browser.post(f"/bulletins/{number}/lift", reason="雨停了")
    assert status == REFUSED, f"{point}: the web process should have died, and said {status}"
    assert web.died()
    state = await rig.one("SELECT state FROM bulletin WHERE id = $1", number)
    open_left = await rig.one(
        "SELECT COUNT(*) FROM escalation WHERE bulletin_id = $1 AND state = 'calling'", number
    )
    assert (state, open_left) in {("released", PEOPLE), ("lifted", 0)}
    web.restart()
    await rig.until_ready()
    if state == "released":
        status, _ = await browser.post(f"/bulletins/{number}/lift", reason="雨停了")
        assert status == 200
    await rig.until(rig.all_sent, 60)


def _web(rig: Rig) -> Process:
    """Prepare the web process that dies at points; it is started by whoever says at which."""
    arguments = ["serve"] if rig.kind == "sqlite" else ["serve", "--no-engine"]
    web = Process(rig, "web", arguments, {"FAULT_PACK": "sms_only"})
    web.module = WATCHED
    rig.processes["web"] = web
    return web


STORY_POINTS = (
    "before_commit:1:state = 'sending'",
    "after_commit:1:state = 'sending'",
    "before_send:5",
    "after_send:5",
    "before_commit:1:carrier = g.carrier",
    "after_commit:1:carrier = g.carrier",
    "before_commit:1:INSERT INTO inbound",
    "after_commit:2:INSERT INTO inbound",
    "before_answer:3:/callbacks",
    "before_commit:1:INSERT INTO answer",
    "after_commit:1:INSERT INTO answer",
    "before_commit:1:UPDATE escalation",
    "after_commit:1:UPDATE escalation",
    "before_lookup:1",
)
POINT_SECONDS = 12.0
"""A point that is not passed in this time is not on this story's way any more."""


@pytest.mark.parametrize(
    "kind", ["postgresql", pytest.param("sqlite", marks=pytest.mark.faults_long)]
)
async def test_a_story_whose_processes_die_at_every_point_ends_as_it_should(kind: str) -> None:
    """People answer by text and by key, some never do; every step is cut off once."""
    crowd = ("--crowd", "--crowd-speed", "8", "--inbound-callback")
    inbound = "http://127.0.0.1:{port}/callbacks/sim-sms"
    async with open_rig(kind, carrier=(*crowd, inbound)) as rig:
        rig.pack = quick(seconds=30)
        await rig.populate(60, tiers=2)
        names = ["web"] if kind == "sqlite" else ["web", "worker"]
        rig.start("web", "serve", *(["--no-engine"] if kind == "postgresql" else []), module=WATCHED)
        if kind == "postgresql":
            rig.start("worker", "worker", module=WATCHED)
        await rig.until_ready()
        bulletin = await _release_beside(rig, names)
        passed = []
        for point in STORY_POINTS:
            passed += await _die_at(rig, names, point)
        for name in names:
            rig[name].restart()
        await rig.until(rig.all_ended, 150, "every escalation has an end")
        await rig.until(rig.all_sent, 60)
        await rig.until(lambda: _nothing_new(rig), 60, "every fact is applied")

        print(f"{kind}: died at {len(passed)} of {len(STORY_POINTS)} points")
        assert len(passed) >= len(STORY_POINTS) // 2, passed
        record = await rig.record()
        assert record.duplicates == 0
        assert await rig.one("SELECT COUNT(*) FROM escalation WHERE bulletin_id = $1", bulletin)
        await rig.check_invariants()


async def _release_beside(rig: Rig, names: list[str]) -> int:
    """Release; an SQLite service steps aside for it, because the file is one process's."""
    if rig.kind == "postgresql":
        return await rig.release(root=COUNTY)
    for name in names:
        rig[name].kill()
    number = await rig.release(root=COUNTY)
    for name in names:
        rig[name].start()
    return number


async def _die_at(rig: Rig, names: list[str], point: str) -> list[str]:
    """Start all anew with this point; return it if somebody died there."""
    for name in names:
        rig[name].restart(FAULT_AT=point)

    async def dead() -> bool:
        return not all(rig[name].running for name in names)

    try:
        await rig.until(dead, POINT_SECONDS, every=0.05)
    except AssertionError:
        return []
    return [point]


async def _nothing_new(rig: Rig) -> bool:
    return not await rig.one("SELECT COUNT(*) FROM inbound WHERE state = 'new'")
