"""What humans do: tasks claimed and finished, alarms heard, answers entered by hand."""

from datetime import timedelta

import pytest

from tests.fakes.county import County, Issued
from warnsvc.core.answer import AnswerKind
from warnsvc.core.refusal import Refusal
from warnsvc.service import task
from warnsvc.service.alarm import acknowledge
from warnsvc.service.answer import by_hand


@pytest.fixture
async def exhausted(county: County) -> Issued:
    """Both villages were silent to the end."""
    warning = await county.red_warning()
    await county.advance(minutes=15)
    assert await warning.states() == {"exhausted": 2}
    return warning


async def test_the_second_officer_sees_who_has_it(county: County, exhausted: Issued) -> None:
    first, other = await county.tasks("knock")
    await task.claim(county.ctx, officer=county.duty, task_id=first["id"])

    with pytest.raises(Refusal, match="task_claimed") as refused:
        await task.claim(county.ctx, officer=county.signer, task_id=first["id"])

    assert refused.value.params == {"officer": county.duty}
    await task.claim(county.ctx, officer=county.signer, task_id=other["id"])


async def test_a_claim_ends_after_three_minutes(county: County, exhausted: Issued) -> None:
    first, _ = await county.tasks("knock")
    await task.claim(county.ctx, officer=county.duty, task_id=first["id"])
    county.clock.move(minutes=2)
    await task.claim(county.ctx, officer=county.duty, task_id=first["id"])  # he is still at it
    county.clock.move(minutes=3)

    await task.claim(county.ctx, officer=county.signer, task_id=first["id"])

    assert (await county.tasks("knock"))[0]["claimed_by"] == county.signer


async def test_a_task_is_finished_once_and_with_a_result(county: County, exhausted: Issued) -> None:
    first, _ = await county.tasks("knock")

    with pytest.raises(Refusal, match="result_missing"):
        await task.finish(county.ctx, officer=county.duty, task_id=first["id"], result=" ")
    await task.finish(county.ctx, officer=county.duty, task_id=first["id"], result="敲了门，人在")
    with pytest.raises(Refusal, match="task_ended"):
        await task.finish(county.ctx, officer=county.signer, task_id=first["id"], result="我也去了")
    with pytest.raises(Refusal, match="task_ended"):
        await task.claim(county.ctx, officer=county.signer, task_id=first["id"])
    with pytest.raises(Refusal, match="task_unknown"):
        await task.claim(county.ctx, officer=county.signer, task_id=9_999)

    done = (await county.tasks("knock"))[0]
    assert (done["state"], done["result"], done["claimed_by"]) == (
        "done",
        "敲了门，人在",
        county.duty,
    )


async def test_alarms_are_heard_once(county: County, exhausted: Issued) -> None:
    alarms = [alarm["id"] for alarm in await county.alarms()]

    assert await acknowledge(county.ctx, officer=county.duty, alarm_ids=alarms) == 2
    assert await acknowledge(county.ctx, officer=county.signer, alarm_ids=alarms) == 0

    assert {alarm["acknowledged_by"] for alarm in await county.alarms()} == {county.duty}


async def test_a_second_round_of_calling_by_hand_gets_a_task_of_its_own(county: County) -> None:
    """His first task ended with the first village; the second village needs him anew."""
    one, other = county.villages
    (township,) = county.townships
    leader = await county.appoint(township, robot_ok=False)
    warning = await county.red_warning()
    early = one.expects_sms()
    other.expects_sms()
    early.replies("2")
    await county.settle()
    one.second.expects_sms().replies("2")  # this village's ladder reaches the township at once
    await county.settle()
    (first,) = await county.tasks("call_by_hand")
    early.replies("1")
    await county.settle()
    assert (await county.tasks("call_by_hand"))[0]["state"] == "moot"

    await county.advance(minutes=10)

    states = [(t["callout_id"], t["state"]) for t in await county.tasks("call_by_hand")]
    callout = (await warning.callout(leader))["id"]
    assert states == [(callout, "moot"), (callout, "open")]
    assert first["callout_id"] == callout
    await county.finish()


# By hand ----------------------------------------------------------------------------------------


async def test_an_answer_by_hand_closes_an_exhausted_village_late(
    county: County, exhausted: Issued
) -> None:
    one, _ = county.villages
    callout = await exhausted.callout(one.first)

    late = await by_hand(
        county.ctx,
        officer=county.duty,
        callout_id=callout["id"],
        kind=AnswerKind.RECEIVED,
        happened_at=county.clock.now(),
        note="上门找到",
    )

    assert late
    escalation = await exhausted.escalation(one)
    assert (escalation["state"], escalation["late"]) == ("answered", True)
    assert [t["state"] for t in await county.tasks("knock")] == ["moot", "open"]


@pytest.mark.parametrize("backend", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"happened_at": timedelta(minutes=3)}, "happens_in_the_future"),
        ({"happened_at": -timedelta(minutes=3)}, "happened_before_release"),
        ({"kind": AnswerKind.UNCLEAR}, "answer_kind_unknown"),
        ({"kind": AnswerKind.HEARD}, "answer_kind_unknown"),
        ({"note": "长" * 501}, "note_too_long"),
        ({"callout_id": 9_999}, "callout_unknown"),
    ],
)
async def test_what_cannot_have_been_is_refused(
    county: County, change: dict[str, object], code: str
) -> None:
    one, _ = county.villages
    warning = await county.red_warning()
    callout = await warning.callout(one.first)
    given: dict[str, object] = {
        "callout_id": callout["id"],
        "kind": AnswerKind.RECEIVED,
        "note": "",
        **change,
    }
    given["happened_at"] = county.clock.now() + change.get("happened_at", timedelta())  # type: ignore[operator]

    with pytest.raises(Refusal, match=code):
        await by_hand(county.ctx, officer=county.duty, **given)  # type: ignore[arg-type]

    assert await warning.state(one) == "calling"
    assert await county.rows("SELECT id FROM answer") == []


async def test_a_refusal_by_hand_moves_on_at_once(county: County) -> None:
    one, _ = county.villages
    warning = await county.red_warning()
    callout = await warning.callout(one.first)

    await by_hand(
        county.ctx,
        officer=county.duty,
        callout_id=callout["id"],
        kind=AnswerKind.REFUSED,
        happened_at=county.clock.now(),
        note="在外地",
    )
    await county.settle()

    one.second.expects_sms("暴雨红色")
