"""One person being called: which attempt comes next, what ends it, what never happens."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contacts.contact import Number, NumberKind
from warnsvc.core.answer import AnswerKind
from warnsvc.core.callout import (
    ACTIVE,
    ATTEMPTS_PER_CHANNEL_MAX,
    Answered,
    AttemptFailed,
    CallByHand,
    Callout,
    CalloutState,
    CancelUnsent,
    Effect,
    Fact,
    Failure,
    GiveUp,
    PlanAttempt,
    Raised,
    Start,
    StepDue,
    Stop,
    Tried,
    Unreachable,
    decide,
)
from warnsvc.core.pack import Step, TierRule

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
RED = TierRule(
    window_seconds=300,
    steps=(
        Step(after_seconds=0, channels=("sms", "voice", "webhook")),
        Step(after_seconds=100, channels=("voice",)),
        Step(after_seconds=200, channels=("voice",)),
    ),
)
ORANGE = TierRule(
    window_seconds=300,
    steps=(Step(after_seconds=0, channels=("sms",)), Step(after_seconds=180, channels=("voice",))),
)
C = CalloutState
DEAD, AWAY, MISSED = Failure.DEAD, Failure.AWAY, Failure.MISSED
BLOCKED = Failure.BLOCKED


def numbers(*kinds: str) -> tuple[Number, ...]:
    """`mobile landline` → addresses a, b, …"""
    return tuple(
        Number(rank=rank, kind=NumberKind(kind), address="abcdef"[rank - 1])
        for rank, kind in enumerate(kinds, start=1)
    )


def a_callout(*kinds: str, state: CalloutState = C.WAITING, **more: object) -> Callout:
    values: dict[str, object] = {
        "id": 1, "contact_id": 7, "state": state, "tier": 0, "step": 0, "rung": 0,
        "numbers": numbers(*(kinds or ("mobile",))), "robot_ok": True, "started_at": None, "due_at": None,
    }  # fmt: skip
    return Callout(**{**values, **more})  # type: ignore[arg-type]


@dataclass
class Person:
    """A callout with its attempts, as the shell would keep them."""

    callout: Callout
    rule: TierRule = RED
    now: datetime = NOW
    tried: list[Tried] = field(default_factory=list)

    def tell(self, fact: Fact) -> tuple[Effect, ...]:
        self.callout, effects = decide(self.callout, fact, rule=self.rule, tried=self.tried)
        self.tried += [Tried(*effect) for effect in effects if isinstance(effect, PlanAttempt)]
        return effects

    def start(self, tier: int = 1) -> tuple[Effect, ...]:
        return self.tell(Start(tier, self.now))

    def round(self) -> tuple[Effect, ...]:
        assert self.callout.due_at is not None
        self.now = max(self.now, self.callout.due_at)
        return self.tell(StepDue(self.now))

    def ended(self, place: int, failure: Failure | None) -> None:
        self.tried[place] = self.tried[place]._replace(failure=failure, ended=True)

    def failed(self, place: int, failure: Failure) -> tuple[Effect, ...]:
        self.ended(place, failure)
        return self.tell(AttemptFailed(self.now))

    def said(self, kind: AnswerKind, rung: int, *, late: bool = False) -> tuple[Effect, ...]:
        return self.tell(Answered(kind, rung, late, self.now))


def sent(effects: Sequence[Effect]) -> list[str]:
    """`sms a1`: channel, address, attempt number."""
    return [f"{e.channel} {e.address}{e.number}" for e in effects if isinstance(e, PlanAttempt)]


# The sequence --------------------------------------------------------------------------------


def test_red_sends_and_calls_at_once_and_calls_twice_more() -> None:
    person = Person(a_callout())

    assert sent(person.start()) == ["sms a1", "voice a1"]
    assert person.callout.due_at == NOW + timedelta(seconds=100)
    assert sent(person.round()) == ["voice a2"]
    assert person.callout.due_at == NOW + timedelta(seconds=200)
    assert sent(person.round()) == ["voice a3"]
    assert (person.callout.due_at, person.callout.state) == (None, C.CALLING)
    assert (person.callout.tier, person.callout.step, person.callout.started_at) == (1, 3, NOW)


def test_nothing_is_sent_before_it_is_due_and_nothing_twice() -> None:
    person = Person(a_callout())
    person.start()

    assert person.start() == ()
    assert person.tell(StepDue(NOW + timedelta(seconds=99))) == ()
    assert sent(person.tell(StepDue(NOW + timedelta(seconds=100)))) == ["voice a2"]
    assert person.tell(StepDue(NOW + timedelta(seconds=100))) == ()


def test_after_a_stall_the_rounds_keep_their_distance() -> None:
    person = Person(a_callout())
    person.start()
    woken = NOW + timedelta(seconds=500)

    assert sent(person.tell(StepDue(woken))) == ["voice a2"]

    assert person.callout.due_at == woken + timedelta(seconds=100)
    assert person.tell(StepDue(woken)) == ()


def test_a_second_number_takes_turns_with_the_first() -> None:
    person = Person(a_callout("mobile", "landline"))

    rounds = [person.start(), person.round(), person.round()]

    assert [sent(effects) for effects in rounds] == [
        ["sms a1", "voice a1"],
        ["voice b2"],
        ["voice a3"],
    ]


def test_a_number_that_a_carrier_called_wrong_earlier_is_left_out() -> None:
    wrong = replace(numbers("mobile")[0], failed=True)

    person = Person(a_callout(numbers=(wrong, *numbers("mobile", "mobile")[1:])))

    assert sent(person.start()) == ["sms b1", "voice b1"]


@pytest.mark.parametrize(
    ("kinds", "first", "second"),
    [
        (("landline",), ["voice a1"], ["voice a2"]),
        (("webhook",), ["webhook a1"], ["webhook a2"]),
        (("mobile", "webhook"), ["sms a1", "voice a1", "webhook b1"], ["voice a2"]),
    ],
)
def test_who_has_no_such_number_is_reached_by_what_he_has(
    kinds: tuple[str, ...], first: list[str], second: list[str]
) -> None:
    person = Person(a_callout(*kinds))

    assert sent(person.start()) == first
    assert sent(person.round()) == second


def test_a_landline_is_called_where_others_get_a_text() -> None:
    assert sent(Person(a_callout("landline"), ORANGE).start()) == ["voice a1"]


def test_attempts_are_counted_anew_for_every_tier() -> None:
    person = Person(
        a_callout(),
        tried=[Tried("sms", 1, 1, "a", MISSED, True), Tried("voice", 1, 1, "a", MISSED, True)],
    )

    assert sent(person.start(tier=2)) == ["sms a1", "voice a1"]
    assert {t.tier for t in person.tried[2:]} == {2}


def test_starting_again_in_the_same_tier_goes_on_counting() -> None:
    person = Person(
        a_callout(),
        tried=[Tried("sms", 1, 1, "a", MISSED, True), Tried("voice", 1, 3, "a", MISSED, True)],
    )

    assert sent(person.start(tier=1)) == ["sms a2", "voice a4"]


def test_there_is_an_end_to_attempts() -> None:
    before = [Tried("voice", 1, n + 1, "a", MISSED, True) for n in range(ATTEMPTS_PER_CHANNEL_MAX)]
    person = Person(a_callout(), tried=before)

    assert sent(person.start()) == ["sms a1"]


# Numbers that do not work ---------------------------------------------------------------------


def test_who_has_no_number_is_unreachable_at_once() -> None:
    person = Person(a_callout(numbers=()))

    assert person.start() == (Unreachable(away=False),)
    assert (person.callout.state, person.callout.due_at) == (C.UNREACHABLE, None)


def test_who_must_not_be_called_by_a_robot_is_a_task() -> None:
    person = Person(a_callout(robot_ok=False))

    assert person.start() == (CallByHand(),)
    assert (person.callout.state, person.callout.due_at) == (C.CALLING, None)
    assert person.tell(StepDue(NOW + timedelta(hours=1))) == ()


def test_a_dead_address_is_replaced_by_the_next_one_now() -> None:
    person = Person(a_callout("mobile", "mobile"))
    person.start()

    assert sent(person.failed(0, DEAD)) == ["sms b2"]
    assert sent(person.failed(1, DEAD)) == ["voice b2"]


def test_a_dead_address_is_replaced_whatever_order_the_receipts_come_in() -> None:
    person = Person(a_callout("mobile", "mobile"))
    person.start()

    assert person.failed(1, MISSED) == ()
    assert sent(person.failed(0, DEAD)) == ["sms b2"]


def test_two_dead_addresses_in_one_fact_are_both_replaced() -> None:
    person = Person(a_callout("mobile", "mobile"))
    person.start()
    person.ended(0, DEAD)

    assert sent(person.failed(1, DEAD)) == ["sms b2", "voice b2"]


def test_with_three_numbers_the_rounds_go_on_after_the_dead_one() -> None:
    person = Person(a_callout("mobile", "mobile", "mobile"))
    person.start()
    person.failed(1, MISSED)
    assert sent(person.round()) == ["voice b2"]

    assert sent(person.failed(2, DEAD)) == ["voice c3"]


def test_a_dead_text_becomes_a_call_when_no_other_text_is_possible() -> None:
    person = Person(a_callout(), ORANGE)
    assert sent(person.start()) == ["sms a1"]

    assert sent(person.failed(0, DEAD)) == ["voice a1"]
    assert person.failed(1, MISSED) == ()
    assert sent(person.round()) == ["voice a2"]


def test_a_dead_text_beside_a_call_brings_no_second_call() -> None:
    person = Person(a_callout())
    person.start()

    assert person.failed(0, DEAD) == ()
    assert person.failed(1, MISSED) == ()


def test_when_calls_are_impossible_the_later_rounds_send_texts() -> None:
    person = Person(a_callout())
    person.start()
    person.failed(1, DEAD)

    assert sent(person.round()) == ["sms a2"]


def test_when_every_address_is_dead_he_is_unreachable_and_no_round_follows() -> None:
    person = Person(a_callout())
    person.start()
    person.failed(0, DEAD)

    assert person.failed(1, DEAD) == (Unreachable(away=False),)
    assert (person.callout.state, person.callout.due_at) == (C.UNREACHABLE, None)


@pytest.mark.parametrize("other", [BLOCKED, DEAD])
def test_where_carriers_refuse_what_may_be_a_right_number_a_human_can_call_it(
    other: Failure,
) -> None:
    person = Person(a_callout())
    person.start()
    person.failed(0, other)

    assert person.failed(1, BLOCKED) == (Unreachable(away=False, blocked=True),)
    assert (person.callout.state, person.callout.due_at) == (C.UNREACHABLE, None)


def test_a_blocked_text_becomes_a_call_like_a_dead_one() -> None:
    person = Person(a_callout("mobile", "mobile"))
    person.start()

    assert sent(person.failed(0, BLOCKED)) == ["sms b2"]
    assert sent(person.failed(1, BLOCKED)) == ["voice b2"]


def test_a_phone_that_is_off_is_unreachable_now_but_is_called_again() -> None:
    person = Person(a_callout())
    person.start()

    assert person.failed(1, AWAY) == (Unreachable(away=True),)

    assert person.callout.state is C.UNREACHABLE
    assert sent(person.round()) == ["voice a2"]
    assert sent(person.round()) == ["voice a3"]
    assert person.failed(2, AWAY) == ()


@pytest.mark.parametrize(
    ("text", "call", "unreachable"),
    [
        ("pending", AWAY, True),
        (AWAY, AWAY, True),
        (MISSED, AWAY, True),
        (DEAD, AWAY, True),
        ("arrived", AWAY, False),
        (AWAY, "pending", False),
        (AWAY, MISSED, False),
        (AWAY, DEAD, True),
        (MISSED, MISSED, False),
        ("pending", MISSED, False),
        ("pending", DEAD, False),
        (BLOCKED, AWAY, True),
    ],
)
def test_a_phone_is_off_when_one_channel_says_so_and_none_says_the_opposite(
    text: Failure | str, call: Failure | str, unreachable: bool
) -> None:
    person = Person(a_callout())
    person.start()
    for place, word in enumerate((text, call)):
        if word == "arrived":
            person.ended(place, None)
        elif isinstance(word, Failure):
            person.ended(place, word)

    person.tell(AttemptFailed(NOW))

    assert (person.callout.state is C.UNREACHABLE) is unreachable


def test_a_second_number_that_was_never_tried_keeps_him_reachable() -> None:
    person = Person(a_callout("mobile", "mobile"))
    person.start()
    person.ended(0, AWAY)

    assert person.failed(1, AWAY) == ()
    assert person.callout.state is C.CALLING


# Answers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [s for s in C if s is not C.ANSWERED])
def test_an_answer_counts_in_every_state(state: CalloutState) -> None:
    due_at = NOW if state in ACTIVE else None
    person = Person(a_callout(state=state, tier=1, step=1, started_at=NOW, due_at=due_at))

    effects = person.said(AnswerKind.RECEIVED, 6, late=True)

    assert effects == (CancelUnsent(),)
    assert person.callout.state is C.ANSWERED
    assert (person.callout.rung, person.callout.answered_at, person.callout.late) == (6, NOW, True)
    assert person.callout.due_at is None


def test_a_second_answer_raises_the_rung_and_changes_nothing_else() -> None:
    person = Person(a_callout())
    person.start()
    person.said(AnswerKind.RECEIVED, 6)
    first = person.callout
    person.now += timedelta(minutes=9)

    assert person.said(AnswerKind.ON_POST, 7, late=True) == ()
    assert person.callout == replace(first, rung=7)
    assert person.said(AnswerKind.RECEIVED, 6) == ()
    assert person.callout == replace(first, rung=7)


def test_a_refusal_ends_the_calling_but_a_later_answer_still_counts() -> None:
    person = Person(a_callout())
    person.start()

    assert person.said(AnswerKind.REFUSED, 0) == (CancelUnsent(),)
    assert (person.callout.state, person.callout.due_at) == (C.REFUSED, None)
    assert person.said(AnswerKind.REFUSED, 0) == ()
    assert person.said(AnswerKind.RECEIVED, 6) == (CancelUnsent(),)
    assert person.callout.state is C.ANSWERED


def test_who_answered_cannot_be_made_unanswered_by_a_refusal() -> None:
    person = Person(a_callout())
    person.start()
    person.said(AnswerKind.RECEIVED, 6)
    before = person.callout

    assert person.said(AnswerKind.REFUSED, 0) == ()
    assert person.callout is before


def test_who_refused_on_the_phone_has_not_answered_by_hearing_the_call() -> None:
    person = Person(a_callout())
    person.start()
    person.said(AnswerKind.REFUSED, 0)

    person.tell(Raised(5))
    person.said(AnswerKind.HEARD, 5)

    assert (person.callout.state, person.callout.rung) == (C.REFUSED, 0)


def test_words_that_nobody_understands_change_nothing() -> None:
    person = Person(a_callout())
    person.start()
    before = person.callout

    assert person.said(AnswerKind.UNCLEAR, 0) == ()
    assert person.callout is before


def test_a_receipt_raises_the_rung_and_never_lowers_it_and_stops_nothing() -> None:
    person = Person(a_callout())
    person.start()

    for rung in (2, 4, 3, 1):
        assert person.tell(Raised(rung)) == ()

    assert (person.callout.rung, person.callout.state) == (4, C.CALLING)
    assert person.callout.due_at is not None


# Endings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "silent", "to"),
    [
        (C.WAITING, False, C.STOPPED),
        (C.WAITING, True, C.STOPPED),
        (C.CALLING, False, C.STOPPED),
        (C.CALLING, True, C.SILENT),
        (C.UNREACHABLE, False, C.STOPPED),
        (C.UNREACHABLE, True, C.UNREACHABLE),
        (C.SILENT, False, C.SILENT),
        (C.STOPPED, False, C.STOPPED),
        (C.REFUSED, False, C.REFUSED),
        (C.ANSWERED, False, C.ANSWERED),
    ],
)
def test_stopping_ends_what_is_going_on_and_nothing_else(
    state: CalloutState, silent: bool, to: CalloutState
) -> None:
    due_at = NOW if state in ACTIVE else None
    person = Person(a_callout(state=state, tier=1, step=1, started_at=NOW, due_at=due_at))

    effects = person.tell(Stop(silent))

    assert (person.callout.state, person.callout.due_at) == (to, None)
    assert (CancelUnsent() in effects) is (state in {C.WAITING, C.SILENT, *ACTIVE})


def test_giving_up_lets_due_rounds_go_on_and_cancels_nothing() -> None:
    person = Person(a_callout())
    person.start()

    assert person.tell(GiveUp()) == ()
    assert person.callout.state is C.CALLING
    assert sent(person.round()) == ["voice a2"]
    assert sent(person.round()) == ["voice a3"]
    assert person.tell(GiveUp()) == ()
    assert person.callout.state is C.SILENT


# Whatever happens ------------------------------------------------------------------------------

FACTS = st.one_of(
    st.tuples(st.just("start"), st.integers(1, 3)),
    st.tuples(st.just("round"), st.sampled_from([0, 50, 100, 1000])),
    st.tuples(st.just("fail"), st.integers(0, 30), st.sampled_from(Failure)),
    st.tuples(st.just("arrive"), st.integers(0, 30)),
    st.tuples(st.just("say"), st.sampled_from(AnswerKind), st.integers(0, 9)),
    st.tuples(st.just("raise"), st.integers(0, 5)),
    st.tuples(st.just("stop"), st.booleans()),
    st.tuples(st.just("give up")),
)


def _fact(person: Person, act: tuple[object, ...]) -> Fact | None:
    """The fact of an act; attempts are marked as they end."""
    match act:
        case ("start", int(tier)):
            return Start(tier, person.now)
        case ("round", int(seconds)):
            person.now += timedelta(seconds=seconds)
            return StepDue(person.now)
        case ("fail", int(place), Failure() as failure):
            if person.tried and not person.tried[place % len(person.tried)].ended:
                person.ended(place % len(person.tried), failure)
            return AttemptFailed(person.now)
        case ("arrive", int(place)):
            if person.tried and not person.tried[place % len(person.tried)].ended:
                person.ended(place % len(person.tried), None)
            return None
        case ("say", AnswerKind() as kind, int(rung)):
            return Answered(kind, rung, False, person.now)
        case ("raise", int(rung)):
            return Raised(rung)
        case ("stop", bool(silent)):
            return Stop(silent)
        case _:
            return GiveUp()


def _check_step(
    before: Callout, person: Person, effects: tuple[Effect, ...], known: list[Tried]
) -> None:
    after = person.callout
    assert after.rung >= before.rung, "the rung only rises"
    assert after.due_at is None or after.state in ACTIVE, "who is due is being called"
    assert after.state is not C.WAITING or before.state is C.WAITING
    if before.state is C.ANSWERED:
        assert after.state is C.ANSWERED, "answered never reverts"
        assert (after.answered_at, after.late) == (before.answered_at, before.late)
    keys = [(t.tier, t.channel, t.number) for t in person.tried]
    assert len(keys) == len(set(keys)), "two attempts with one key"
    dead = {(t.channel, t.address) for t in known if t.failure in {DEAD, BLOCKED}}
    for effect in effects:
        if isinstance(effect, PlanAttempt):
            assert after.state in ACTIVE, "an attempt for somebody who is not called"
            assert (effect.channel, effect.address) not in dead, "a dead address was tried again"


@settings(max_examples=300)
@given(
    kinds=st.lists(st.sampled_from(["mobile", "landline", "webhook"]), max_size=3),
    robot_ok=st.booleans(),
    rule=st.sampled_from([RED, ORANGE]),
    acts=st.lists(FACTS, max_size=40),
)
def test_whatever_happens_to_a_callout_its_promises_hold(
    kinds: list[str], robot_ok: bool, rule: TierRule, acts: list[tuple[object, ...]]
) -> None:
    person = Person(a_callout(numbers=numbers(*kinds), robot_ok=robot_ok), rule)

    for act in [("start", 1), *acts]:
        before, known = person.callout, list(person.tried)
        fact = _fact(person, act)
        if fact is None:
            continue
        known = list(person.tried)
        effects = person.tell(fact)
        _check_step(before, person, effects, known)

        once = person.callout
        again = person.tell(fact)
        assert person.callout == once, "a fact seen twice changes nothing"
        assert set(again) <= {CancelUnsent()}, "a fact seen twice does nothing"
    assert len(person.tried) <= 3 * 3 * ATTEMPTS_PER_CHANNEL_MAX
