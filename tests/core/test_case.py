"""How regions and people move each other, told on a small county."""

from datetime import timedelta

import pytest

from tests.core.county import WINDOW, County, red
from warnsvc.core.answer import RUNG_HEARD, AnswerKind
from warnsvc.core.callout import CalloutState, Failure
from warnsvc.core.case import NewAlarm, NewTask, may_be_told
from warnsvc.core.escalation import EscalationState
from warnsvc.core.pack import Quorum, QuorumKind

E, C = EscalationState, CalloutState
HEAD, DEPUTY, TOWNSHIP, COUNTY = 1, 2, 90, 91
ALL = Quorum(kind=QuorumKind.ALL)


def test_twelve_silent_villages_are_one_call_to_the_township_listing_twelve() -> None:
    county = County()
    villages = [county.village([head], behind=[[TOWNSHIP]]) for head in range(1, 13)]
    county.release()

    county.wait(WINDOW)

    names = [f"village {number}" for number in villages]
    assert [a.plan.channel for a in county.calls(TOWNSHIP)] == ["sms", "voice"]
    assert all(list(a.plan.listing) == names for a in county.calls(TOWNSHIP))
    assert county.acts("escalation").count("tier_opened calling→calling window") == 12
    assert {county.state(number) for number in villages} == {E.CALLING}


def test_villages_that_answered_in_time_are_not_on_the_townships_list() -> None:
    county = County()
    for head in range(1, 4):
        county.village([head], behind=[[TOWNSHIP]])
    county.release()
    county.answers(2)

    county.wait(WINDOW)

    assert county.calls(TOWNSHIP)[0].plan.listing == ("village 1", "village 3")
    county.answers(1)
    county.wait(100)
    assert county.calls(TOWNSHIP)[-1].plan.listing == ("village 3",)


def test_the_villages_own_people_get_no_list() -> None:
    county = County()
    county.village([HEAD], [DEPUTY])
    county.release()
    county.wait(WINDOW)

    assert {a.plan.listing for a in county.calls()} == {()}


def test_one_person_in_two_villages_is_called_once_and_credited_in_both() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.village([DEPUTY], [HEAD], behind=[[TOWNSHIP]])
    county.release()

    assert county.told(HEAD) == ["sms 1", "voice 1"]
    assert not county.answers(HEAD)

    assert (county.state(1), county.state(2)) == (E.ANSWERED, E.ANSWERED)
    assert county.callout(DEPUTY) is C.STOPPED


def test_a_refusal_calls_the_next_tier_at_once() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(7)

    county.refuses(HEAD)

    assert county.callout(HEAD) is C.REFUSED
    assert county.told(TOWNSHIP) == ["sms 1 village 1", "voice 1 village 1"]
    assert county.escalations[1].deadline_at == county.now + timedelta(seconds=WINDOW)
    assert county.acts("escalation")[-1] == "tier_opened calling→calling hopeless"
    assert not county.alarms


def test_who_refuses_ends_his_own_rounds() -> None:
    county = County(red(quorum=Quorum(kind=QuorumKind.ANY)))
    county.village([HEAD, DEPUTY])
    county.release()

    county.refuses(HEAD)
    county.wait(WINDOW - 1)

    assert county.told(HEAD) == ["sms 1", "voice 1"]
    assert county.told(DEPUTY) == ["sms 1", "voice 1", "voice 2", "voice 3"]


def test_a_phone_that_is_off_escalates_at_once_and_is_called_again_meanwhile() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(20)

    county.fails(HEAD, failure=Failure.AWAY)

    assert county.callout(TOWNSHIP) is C.CALLING
    assert county.tasks == []
    county.wait(200)
    assert county.told(HEAD) == ["sms 1", "voice 1", "voice 2", "voice 3"]
    county.answers(HEAD)
    assert county.state(1) is E.ANSWERED
    assert county.told(TOWNSHIP)[-1] == "stand_down village 1"


def test_a_chain_of_people_without_numbers_ends_exhausted_with_alarm_and_task_at_release() -> None:
    county = County()
    for callout_id in (HEAD, TOWNSHIP, COUNTY):
        county.person(callout_id, numbers=())
    county.village([HEAD], behind=[[TOWNSHIP], [COUNTY]])

    county.release()

    assert county.state(1) is E.EXHAUSTED
    assert county.alarms == [NewAlarm("exhausted", escalation_id=1)]
    assert NewTask("knock", escalation_id=1) in county.tasks
    assert [t.callout_id for t in county.tasks if t.kind == "fix_number"] == [
        HEAD,
        TOWNSHIP,
        COUNTY,
    ]
    assert county.acts("escalation") == [
        "tier_opened pending→calling released",
        "tier_opened calling→calling hopeless",
        "tier_opened calling→calling hopeless",
        "exhausted calling→exhausted hopeless",
    ]
    assert county.acts("callout") == ["unreachable calling→unreachable no_address"] * 3


def test_a_village_without_anybody_is_alarmed_at_release() -> None:
    county = County()
    county.village()

    county.release()

    assert county.state(1) is E.EXHAUSTED
    assert county.alarms == [NewAlarm("exhausted", escalation_id=1)]
    assert county.tasks == [NewTask("knock", escalation_id=1)]


def test_an_empty_tier_is_alarmed_and_passed_over() -> None:
    county = County()
    county.village([], behind=[[TOWNSHIP]])

    county.release()

    assert county.alarms == [NewAlarm("no_contact", escalation_id=1)]
    assert county.acts("escalation") == [
        "tier_empty pending→pending empty",
        "tier_opened pending→calling empty",
    ]
    assert county.callout(TOWNSHIP) is C.CALLING


def test_when_one_has_answered_his_colleagues_are_left_in_peace() -> None:
    county = County()
    county.village([HEAD, DEPUTY, 3], behind=[[TOWNSHIP]])
    county.release()

    county.answers(DEPUTY)

    assert (county.callout(HEAD), county.callout(DEPUTY), county.callout(3)) == (
        C.STOPPED,
        C.ANSWERED,
        C.STOPPED,
    )
    assert {a.state for a in county.calls()} == {"cancelled"}
    assert county.wait(9 * WINDOW) == []
    assert county.callout(TOWNSHIP) is C.WAITING


def test_a_colleague_who_is_still_needed_elsewhere_is_called_on() -> None:
    county = County()
    county.village([HEAD, DEPUTY])
    county.village([DEPUTY])
    county.release()

    county.answers(HEAD)

    assert county.callout(DEPUTY) is C.CALLING
    assert {a.state for a in county.calls(DEPUTY)} == {"planned"}
    county.wait(100)
    assert county.told(DEPUTY) == ["sms 1", "voice 1", "voice 2"]


def test_with_a_quorum_of_all_the_others_are_called_on() -> None:
    county = County(red(quorum=ALL))
    county.village([HEAD, DEPUTY])
    county.release()

    county.answers(HEAD)

    assert (county.state(1), county.callout(DEPUTY)) == (E.CALLING, C.CALLING)
    county.answers(DEPUTY)
    assert county.state(1) is E.ANSWERED


def test_a_late_answer_closes_the_region_and_stands_the_superior_down_once() -> None:
    county = County()
    county.village([HEAD, DEPUTY], behind=[[TOWNSHIP]])
    county.release()
    county.wait(WINDOW)

    assert county.answers(HEAD)

    assert county.state(1) is E.ANSWERED
    assert county.callouts[HEAD].late
    assert county.told(TOWNSHIP)[2:] == ["stand_down village 1"]
    county.answers(DEPUTY)
    county.answers(HEAD)
    assert county.told(TOWNSHIP)[2:] == ["stand_down village 1"]
    assert not county.alarms


def test_whoever_answered_in_time_stays_in_time_when_he_says_more() -> None:
    county = County()
    county.village([HEAD])
    county.release()

    assert not county.answers(HEAD)
    assert not county.answers(HEAD, AnswerKind.ON_POST)

    assert county.callouts[HEAD].rung == 7
    assert [line.why for line in county.lines if line.act == "callout.answered"] == [
        "in_time",
        "in_time",
    ]


def test_each_tier_above_is_stood_down_once_however_many_answer_below_it() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP], [COUNTY]])
    county.release()
    county.wait(2 * WINDOW)
    assert not county.answers(COUNTY)

    assert county.answers(TOWNSHIP)
    assert county.told(COUNTY)[-1] == "stand_down village 1"
    assert county.answers(HEAD)

    assert [w for w in county.told(COUNTY) if "stand" in w] == ["stand_down village 1"]
    assert [w for w in county.told(TOWNSHIP) if "stand" in w] == ["stand_down village 1"]
    assert county.acts("escalation")[-2:] == [
        "answered_late answered→answered late",
        "answered_late answered→answered late",
    ]


def test_a_superior_who_waits_for_other_villages_is_not_stood_down() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP]])
    county.village([2], behind=[[TOWNSHIP]])
    county.release()
    county.wait(WINDOW)

    county.answers(1)

    assert not [w for w in county.told(TOWNSHIP) if "stand" in w]
    assert county.callout(TOWNSHIP) is C.CALLING
    county.answers(2)
    assert county.told(TOWNSHIP)[-1] == "stand_down village 2"
    assert county.callout(TOWNSHIP) is C.STOPPED


def two_villages_one_later() -> County:
    """Village 1's head refuses at once; village 2 is silent for its whole window."""
    county = County()
    county.village([1], behind=[[TOWNSHIP]])
    county.village([2], behind=[[TOWNSHIP]])
    county.release()
    county.refuses(1)
    return county


def test_a_superior_who_has_answered_is_told_of_another_village_and_not_called_again() -> None:
    county = two_villages_one_later()
    county.answers(TOWNSHIP)

    county.wait(WINDOW)

    assert county.told(TOWNSHIP)[2:] == ["inform village 2"]
    assert (county.state(1), county.state(2)) == (E.ANSWERED, E.ANSWERED)


def test_a_superior_who_is_being_called_is_told_of_another_village() -> None:
    county = two_villages_one_later()
    county.wait(WINDOW - 60)
    before = county.told(TOWNSHIP)
    county.refuses(2)

    assert county.told(TOWNSHIP)[len(before) :] == ["inform village 2"]


def test_a_superior_whose_rounds_ended_in_silence_is_called_anew_for_another_village() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP], [COUNTY]])
    county.village([2], behind=[[TOWNSHIP], [COUNTY]])
    county.release()
    county.refuses(1)
    county.wait(WINDOW)

    assert county.told(TOWNSHIP)[-2:] == [
        "sms 2 village 1 village 2",
        "voice 4 village 1 village 2",
    ]
    assert county.callout(TOWNSHIP) is C.CALLING
    assert county.escalations[2].tier == 2


def test_a_superior_who_was_let_go_is_called_again_when_another_village_is_silent() -> None:
    county = two_villages_one_later()
    county.answers(1)
    assert county.callout(TOWNSHIP) is C.STOPPED
    before = county.told(TOWNSHIP)

    county.wait(WINDOW)

    assert county.callout(TOWNSHIP) is C.CALLING
    assert county.told(TOWNSHIP)[len(before) :] == ["sms 2 village 2", "voice 2 village 2"]
    assert county.acts("callout")[-1] == "started_again stopped→calling tier 2"


def test_a_superior_who_was_silent_to_the_end_is_not_written_off_for_the_next_village() -> None:
    county = two_villages_one_later()
    county.wait(WINDOW)
    county.village([3], behind=[[TOWNSHIP]])
    assert county.state(1) is E.EXHAUSTED
    county.wait(WINDOW)
    assert county.callout(TOWNSHIP) is C.SILENT

    case = county.case_for_escalations([3])
    case.open_all()
    county.save(case)
    county.refuses(3)

    assert county.state(3) is E.CALLING
    assert county.callout(TOWNSHIP) is C.CALLING


def test_a_superior_who_refused_is_passed_over_for_every_village() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP], [COUNTY]])
    county.village([2], behind=[[TOWNSHIP], [COUNTY]])
    county.release()
    county.refuses(1)
    county.refuses(TOWNSHIP)
    county.wait(WINDOW)

    assert [county.escalations[n].tier for n in (1, 2)] == [3, 3]
    assert not [w for w in county.told(TOWNSHIP) if "inform" in w]


def test_deputies_of_a_superior_who_has_answered_are_not_called_for_the_next_village() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP]])
    county.village([2], behind=[[TOWNSHIP, 92]])
    county.release()
    county.refuses(1)
    county.answers(TOWNSHIP)

    county.wait(WINDOW)

    assert county.state(2) is E.ANSWERED
    assert county.told(92) == []
    assert county.callout(92) in {C.STOPPED, C.WAITING}


def test_whoever_can_still_be_called_is_called_although_the_quorum_is_lost() -> None:
    county = County(red(quorum=ALL))
    county.person(HEAD, numbers=())
    county.village([HEAD, DEPUTY])

    county.release()

    assert county.state(1) is E.EXHAUSTED
    assert county.told(DEPUTY) == ["sms 1", "voice 1"]
    county.wait(WINDOW)
    assert county.told(DEPUTY) == ["sms 1", "voice 1", "voice 2", "voice 3"]


def test_exhaustion_cancels_nothing_because_the_text_still_warns() -> None:
    county = County()
    county.village([HEAD])
    county.release()
    county.wait(WINDOW)

    assert county.state(1) is E.EXHAUSTED
    assert county.callout(HEAD) is C.SILENT
    assert {a.state for a in county.calls()} == {"planned"}


def test_an_answer_after_exhaustion_closes_it_late_and_ends_the_knocking() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(2 * WINDOW)
    assert county.state(1) is E.EXHAUSTED

    assert county.answers(HEAD)

    assert county.state(1) is E.ANSWERED
    assert county.escalations[1].late
    assert ("escalation", 1) in county.moot
    assert county.told(TOWNSHIP)[-1] == "stand_down village 1"
    assert {a.state for a in county.calls(TOWNSHIP)} == {"cancelled"}


def test_who_no_robot_may_call_is_a_task_and_the_window_runs() -> None:
    county = County()
    county.person(HEAD, robot_ok=False)
    county.village([HEAD], behind=[[TOWNSHIP]])

    county.release()

    assert county.tasks == [NewTask("call_by_hand", callout_id=HEAD)]
    assert county.calls() == []
    county.wait(WINDOW)
    assert county.callout(TOWNSHIP) is C.CALLING
    county.answers(HEAD)
    assert ("callout", HEAD) in county.moot


def test_nobody_need_call_by_hand_when_a_colleague_has_answered() -> None:
    county = County()
    county.person(HEAD, robot_ok=False)
    county.person(3, numbers=())
    county.village([HEAD, DEPUTY, 3])
    county.release()

    county.answers(DEPUTY)

    assert ("callout", HEAD) in county.moot
    assert ("callout", 3) not in county.moot, "his number is still wrong"


def test_a_call_heard_to_the_end_is_no_answer_where_a_key_is_asked_for() -> None:
    county = County()
    county.village([HEAD])
    county.release()

    county.raised(HEAD, RUNG_HEARD)
    county.answers(HEAD, AnswerKind.HEARD)
    county.wait(200)

    assert (county.callout(HEAD), county.callouts[HEAD].rung) == (C.CALLING, RUNG_HEARD)
    assert county.told(HEAD) == ["sms 1", "voice 1", "voice 2", "voice 3"]
    county.wait(100)
    assert county.state(1) is E.EXHAUSTED


@pytest.mark.parametrize("by_receipt", [True, False])
def test_a_call_heard_to_the_end_answers_where_the_pack_says_so(by_receipt: bool) -> None:
    county = County(red(closing_rung=RUNG_HEARD))
    county.village([HEAD, DEPUTY])
    county.release()

    if by_receipt:
        county.raised(HEAD, RUNG_HEARD)
    else:
        county.answers(HEAD, AnswerKind.HEARD)

    assert (county.state(1), county.callout(HEAD), county.callout(DEPUTY)) == (
        E.ANSWERED,
        C.ANSWERED,
        C.STOPPED,
    )


def test_a_receipt_stops_no_clock() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()

    for rung in (1, 2, 3, 4):
        county.raised(HEAD, rung)
    county.wait(WINDOW)

    assert county.callouts[HEAD].rung == 4
    assert county.callout(TOWNSHIP) is C.CALLING


def test_where_on_post_closes_received_stops_the_rounds_but_not_the_clock() -> None:
    county = County(red(closing_rung=7))
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()

    county.answers(HEAD)
    county.wait(WINDOW)

    assert county.told(HEAD) == ["sms 1", "voice 1"]
    assert county.callout(TOWNSHIP) is C.CALLING
    county.answers(HEAD, AnswerKind.ON_POST)
    assert county.state(1) is E.ANSWERED


def test_a_refusal_after_an_answer_is_heard_by_the_desk() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.answers(HEAD)

    county.refuses(HEAD)

    assert county.alarms == [NewAlarm("refused", callout_id=HEAD)]
    assert (county.state(1), county.callout(HEAD)) == (E.ANSWERED, C.ANSWERED)
    assert county.acts("callout")[-1].startswith("refused answered→answered")


def test_a_call_for_help_is_an_answer_an_alarm_and_a_task() -> None:
    county = County()
    county.village([HEAD])
    county.release()

    county.answers(HEAD, AnswerKind.HELP)

    assert county.state(1) is E.ANSWERED
    assert county.alarms == [NewAlarm("help", callout_id=HEAD)]
    assert county.tasks == [NewTask("help", callout_id=HEAD)]


def test_words_that_nobody_understands_go_to_the_desk_and_move_nothing() -> None:
    county = County()
    county.village([HEAD])
    county.release()
    before = county.callouts[HEAD]

    county.answers(HEAD, AnswerKind.UNCLEAR)

    assert county.alarms == [NewAlarm("unmatched", callout_id=HEAD)]
    assert county.callouts[HEAD] == before
    assert county.state(1) is E.CALLING


def test_a_dead_number_is_replaced_before_anybody_else_is_troubled() -> None:
    county = County()
    county.person(HEAD, numbers=("mobile", "mobile"))
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()

    county.fails(HEAD, failure=Failure.DEAD)

    assert [a.plan.address for a in county.calls(HEAD)] == ["1a", "1a", "1b", "1b"]
    assert county.callout(TOWNSHIP) is C.WAITING
    county.fails(HEAD, failure=Failure.DEAD)
    assert county.callout(TOWNSHIP) is C.CALLING
    assert NewTask("fix_number", callout_id=HEAD) in county.tasks


def test_the_heads_of_twelve_villages_lost_in_one_moment_are_one_call_to_the_township() -> None:
    county = County()
    for head in range(1, 13):
        county.village([head], behind=[[TOWNSHIP]])
    county.release()

    county.fails(*range(1, 13), failure=Failure.AWAY)

    assert len(county.calls(TOWNSHIP)) == 2
    assert all(len(a.plan.listing) == 12 for a in county.calls(TOWNSHIP))


def test_an_answer_by_hand_keeps_the_time_when_it_happened() -> None:
    county = County()
    county.village([HEAD])
    county.release()
    county.wait(60)
    case = county.case_for_callouts([HEAD])
    happened_at = county.now - timedelta(seconds=45)

    case.answered(
        HEAD, AnswerKind.RECEIVED, 6, happened_at=happened_at, actor="officer:3", channel="hand"
    )
    county.save(case)

    (line,) = [line for line in county.lines if line.act == "callout.answered"]
    assert county.callouts[HEAD].answered_at == line.happened_at == happened_at
    assert (line.actor, line.data["channel"]) == ("officer:3", "hand")


def test_lifting_ends_every_region_and_calls_nobody_any_more() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP]])
    county.village([2], behind=[[TOWNSHIP]])
    county.village()
    county.village([4])
    county.release()
    county.answers(4)

    county.lift()

    assert [county.state(n) for n in (1, 2, 3, 4)] == [E.LIFTED, E.LIFTED, E.LIFTED, E.ANSWERED]
    assert [county.callout(c) for c in (1, 2, TOWNSHIP, 4)] == [
        C.STOPPED,
        C.STOPPED,
        C.STOPPED,
        C.ANSWERED,
    ]
    assert {("escalation", n) for n in (1, 2, 3)} <= county.moot
    assert {a.state for a in county.calls(1, 2)} == {"cancelled"}
    assert county.wait(9 * WINDOW) == []


def test_running_out_unanswered_is_alarmed_for_every_open_region() -> None:
    county = County()
    county.village([1], behind=[[TOWNSHIP]])
    county.village([2])
    county.release()
    county.answers(2)

    county.lift(expired=True)

    assert (county.state(1), county.state(2)) == (E.EXPIRED, E.ANSWERED)
    assert county.alarms == [NewAlarm("expired", escalation_id=1)]
    assert county.tasks == [NewTask("knock", escalation_id=1)]
    assert (county.callout(1), county.callout(TOWNSHIP)) == (C.SILENT, C.STOPPED)
    assert county.wait(9 * WINDOW) == []


def test_the_same_look_twice_does_nothing() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(WINDOW)

    case = county.case_for_escalations([1])
    case.look([1])
    case.attempts_failed([HEAD, TOWNSHIP])
    case.steps_due([HEAD, TOWNSHIP])

    assert (case.changes.attempts, case.changes.lines) == ([], [])
    assert (case.changes.escalations, case.changes.callouts) == ({}, {})


def test_a_stand_down_goes_to_a_number_that_is_not_known_to_be_dead() -> None:
    county = County()
    county.person(TOWNSHIP, numbers=("mobile", "mobile"))
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(WINDOW)
    county.fails(TOWNSHIP, failure=Failure.DEAD)

    county.answers(HEAD)

    told = county.attempts[-1].plan
    assert (told.purpose, told.channel, told.address) == ("stand_down", "sms", f"{TOWNSHIP}b")


def test_whom_nothing_reaches_is_not_stood_down() -> None:
    county = County()
    county.village([HEAD], behind=[[TOWNSHIP]])
    county.release()
    county.wait(WINDOW)
    county.fails(TOWNSHIP, failure=Failure.DEAD)

    county.answers(HEAD)

    assert {a.plan.purpose for a in county.attempts} == {"call"}


def test_a_look_may_ask_about_the_tiers_to_come_and_about_regions_with_an_answer() -> None:
    county = County()
    silent = county.village([HEAD], behind=[[TOWNSHIP]])
    answered = county.village([DEPUTY, 3], behind=[[COUNTY]])
    county.release()
    county.answers(3)

    assert may_be_told([county._with_members(county.escalations[silent])]) == {TOWNSHIP}
    found = may_be_told([county._with_members(county.escalations[answered])])
    assert found == {DEPUTY, 3, COUNTY}
