"""One region: tier after tier, until it is answered or a human must act."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warnsvc.core.escalation import (
    OPEN,
    Effect,
    Ended,
    Escalation,
    EscalationState,
    Exhausted,
    Expire,
    Fact,
    LateAnswer,
    Lift,
    Look,
    Member,
    Open,
    QuorumMet,
    Standing,
    Tier,
    TierEmpty,
    TierOpened,
    decide,
)
from warnsvc.core.pack import Quorum, QuorumKind

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
WINDOW = 300
VILLAGE, TOWNSHIP = "100101", "1001"
E = EscalationState
ANY, ALL, TWO = Quorum(), Quorum(kind=QuorumKind.ALL), Quorum(kind=QuorumKind.N, n=2)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def tier(ordinal: int, *callouts: int, quorum: Quorum = ANY, own: bool = False) -> Tier:
    members = tuple(Member(callout) for callout in callouts)
    source = VILLAGE if own or ordinal == 1 else TOWNSHIP
    return Tier(ordinal, WINDOW, quorum, members, source)


class Village:
    """An escalation that is told facts; keeps what happened."""

    def __init__(self, *tiers: Tier, closing_rung: int = 6) -> None:
        self.state = Escalation(1, VILLAGE, E.PENDING, 0, None, tiers, closing_rung)

    def tell(self, fact: Fact) -> tuple[Effect, ...]:
        self.state, effects = decide(self.state, fact)
        return effects

    def open(self) -> tuple[Effect, ...]:
        return self.tell(Open(NOW))

    def look(self, seconds: float) -> tuple[Effect, ...]:
        return self.tell(Look(later(seconds)))

    def answers(self, callout: int, seconds: float = 60, rung: int = 6) -> tuple[Effect, ...]:
        return self.tell(Standing(callout, rung, False, later(seconds)))

    def is_hopeless(self, callout: int, seconds: float = 60) -> tuple[Effect, ...]:
        return self.tell(Standing(callout, 0, True, later(seconds)))


def three_tiers(**more: Quorum) -> Village:
    return Village(tier(1, 1, 2, **more), tier(2, 3), tier(3, 4))


# The way up ------------------------------------------------------------------------------------


def test_release_opens_the_first_tier_with_its_window() -> None:
    village = three_tiers()

    assert village.open() == (TierOpened(1, (1, 2), "released"),)
    assert (village.state.state, village.state.tier) == (E.CALLING, 1)
    assert village.state.deadline_at == later(WINDOW)


def test_the_second_tier_is_called_when_the_first_is_silent_and_not_a_second_sooner() -> None:
    village = three_tiers()
    village.open()

    assert village.look(WINDOW - 0.001) == ()
    assert village.look(WINDOW) == (TierOpened(2, (3,), "window"),)
    assert (village.state.tier, village.state.deadline_at) == (2, later(2 * WINDOW))


def test_after_a_stall_each_tier_still_gets_its_whole_window() -> None:
    village = three_tiers()
    village.open()

    assert village.look(10 * WINDOW) == (TierOpened(2, (3,), "window"),)
    assert village.state.deadline_at == later(11 * WINDOW)


def test_when_the_last_tier_is_silent_the_region_is_exhausted() -> None:
    village = three_tiers()
    village.open()
    village.look(WINDOW)
    village.look(2 * WINDOW)

    assert village.look(3 * WINDOW) == (Exhausted("window"),)
    assert (village.state.state, village.state.deadline_at, village.state.tier) == (
        E.EXHAUSTED,
        None,
        3,
    )
    assert village.look(99 * WINDOW) == ()


def test_a_tier_that_cannot_answer_any_more_escalates_at_once() -> None:
    village = three_tiers()
    village.open()

    assert village.is_hopeless(1) == ()
    assert village.is_hopeless(2) == (TierOpened(2, (3,), "hopeless"),)
    assert village.state.deadline_at == later(60 + WINDOW)


def test_a_chain_of_tiers_without_hope_ends_exhausted_in_one_go() -> None:
    village = three_tiers()
    village.is_hopeless(3, 0)
    village.is_hopeless(4, 0)
    village.open()
    village.is_hopeless(1)

    assert village.is_hopeless(2) == (
        TierOpened(2, (3,), "hopeless"),
        TierOpened(3, (4,), "hopeless"),
        Exhausted("hopeless"),
    )


def test_an_empty_tier_is_recorded_and_passed_over() -> None:
    village = Village(tier(1), tier(2, 3), tier(3), tier(4, 4))

    assert village.open() == (TierEmpty(1), TierOpened(2, (3,), "empty"))
    assert village.look(WINDOW) == (TierEmpty(3), TierOpened(4, (4,), "empty"))


def test_nothing_but_empty_tiers_is_exhausted_at_release() -> None:
    assert Village(tier(1), tier(2)).open() == (TierEmpty(1), TierEmpty(2), Exhausted("empty"))


def test_a_region_without_anybody_is_exhausted_at_release() -> None:
    village = Village()

    assert village.open() == (Exhausted("no_contact"),)
    assert village.state.state is E.EXHAUSTED


def test_somebody_who_can_be_called_again_gives_his_tier_hope() -> None:
    village = three_tiers()
    village.open()
    village.is_hopeless(1)
    village.tell(Standing(1, 0, False, NOW))

    assert village.is_hopeless(2) == ()


# Answers ----------------------------------------------------------------------------------------


def test_one_answer_closes_the_region() -> None:
    village = three_tiers()
    village.open()

    assert village.answers(2) == (QuorumMet(1, late=False),)
    assert (village.state.state, village.state.deadline_at, village.state.late) == (
        E.ANSWERED,
        None,
        False,
    )
    assert village.look(99 * WINDOW) == ()


def test_a_word_below_the_closing_rung_closes_nothing() -> None:
    village = three_tiers()
    village.open()

    assert village.answers(1, rung=5) == ()
    assert village.look(WINDOW) == (TierOpened(2, (3,), "window"),)


@pytest.mark.parametrize(
    ("quorum", "needed"), [(ANY, 1), (TWO, 2), (ALL, 3)], ids=["any", "two", "all"]
)
def test_as_many_must_answer_as_the_quorum_says(quorum: Quorum, needed: int) -> None:
    village = Village(tier(1, 1, 2, 3, quorum=quorum))
    village.open()

    for callout in range(1, needed):
        assert village.answers(callout) == ()
        assert village.answers(callout) == (), "the same person twice is one answer"
    assert village.answers(needed) == (QuorumMet(1, late=False),)


@pytest.mark.parametrize(
    ("quorum", "lost"), [(ANY, 3), (TWO, 2), (ALL, 1)], ids=["any", "two", "all"]
)
def test_a_quorum_that_cannot_be_met_any_more_is_not_waited_for(quorum: Quorum, lost: int) -> None:
    village = Village(tier(1, 1, 2, 3, quorum=quorum), tier(2, 9))
    village.open()

    for callout in range(1, lost):
        assert village.is_hopeless(callout) == ()
    assert village.is_hopeless(lost) == (TierOpened(2, (9,), "hopeless"),)


def test_who_answered_counts_although_he_cannot_be_reached_now() -> None:
    village = Village(tier(1, 1, 2, quorum=ALL), tier(2, 9))
    village.open()
    village.answers(1)
    village.tell(Standing(1, 6, True, NOW))

    assert village.answers(2) == (QuorumMet(1, late=False),)


def test_an_earlier_tier_can_still_close_the_region() -> None:
    village = three_tiers()
    village.open()
    village.look(WINDOW)

    assert village.answers(1, WINDOW + 10) == (QuorumMet(1, late=False),)


def test_an_answer_on_the_deadline_comes_before_the_next_tier() -> None:
    village = three_tiers()
    village.open()

    assert village.answers(1, WINDOW) == (QuorumMet(1, late=False),)


def test_an_answer_after_exhaustion_closes_the_region_late() -> None:
    village = Village(tier(1, 1))
    village.open()
    village.look(WINDOW)

    assert village.answers(1, 2 * WINDOW) == (QuorumMet(1, late=True),)
    assert (village.state.state, village.state.late) == (E.ANSWERED, True)


def test_a_lower_tier_that_answers_after_a_higher_one_stands_that_one_down_once() -> None:
    village = three_tiers()
    village.open()
    village.look(WINDOW)
    village.look(2 * WINDOW)
    assert village.answers(4) == (QuorumMet(3, late=False),)

    assert village.answers(3) == (LateAnswer(2, instead_of=3),)
    assert village.answers(3) == ()
    assert village.answers(1) == (LateAnswer(1, instead_of=2),)
    assert village.answers(2) == ()
    assert village.state.state is E.ANSWERED


def test_the_regions_own_deputy_counts_before_he_is_called_here() -> None:
    village = Village(tier(1, 1), tier(2, 2, own=True), tier(3, 3))
    village.open()

    assert village.answers(2) == (QuorumMet(2, late=False),)


def test_a_superior_counts_only_when_he_was_called_for_this_region() -> None:
    village = three_tiers()
    village.open()

    assert village.answers(3) == ()
    assert village.look(WINDOW) == (TierOpened(2, (3,), "window"), QuorumMet(2, late=False))


def test_an_answer_given_before_release_is_kept_until_then() -> None:
    village = three_tiers()

    assert village.answers(1) == ()
    assert village.look(0) == ()
    assert village.open() == (QuorumMet(1, late=False),)


# Ends -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "lifted", "expired"),
    [
        (E.PENDING, E.LIFTED, E.EXPIRED),
        (E.CALLING, E.LIFTED, E.EXPIRED),
        (E.EXHAUSTED, E.LIFTED, E.EXHAUSTED),
        (E.ANSWERED, E.ANSWERED, E.ANSWERED),
        (E.LIFTED, E.LIFTED, E.LIFTED),
        (E.EXPIRED, E.EXPIRED, E.EXPIRED),
    ],
)
def test_lifting_and_expiring_end_what_is_open(
    state: EscalationState, lifted: EscalationState, expired: EscalationState
) -> None:
    deadline = later(9) if state is E.CALLING else None
    before = Escalation(1, VILLAGE, state, 1, deadline, (tier(1, 1),), 6)

    for fact, to in ((Lift(NOW), lifted), (Expire(NOW), expired)):
        after, effects = decide(before, fact)
        assert (after.state, after.deadline_at) == (to, None)
        assert effects == (() if to is state else (Ended(to, unanswered=to is E.EXPIRED),))


def test_after_the_end_nobody_is_called_any_more() -> None:
    village = three_tiers()
    village.open()
    village.tell(Lift(NOW))

    assert village.look(99 * WINDOW) == ()
    assert village.is_hopeless(1) == village.is_hopeless(2) == village.answers(1) == ()
    assert village.state.state is E.LIFTED


# Whatever happens ---------------------------------------------------------------------------------

QUORUMS = st.sampled_from([ANY, TWO, ALL])


@st.composite
def villages(draw: st.DrawFn) -> Village:
    ids = iter(range(1, 100))
    sizes = draw(st.lists(st.integers(0, 3), max_size=4))
    tiers = [
        Tier(
            ordinal,
            draw(st.sampled_from([60, 300])),
            draw(QUORUMS),
            tuple(Member(next(ids)) for _ in range(size)),
            draw(st.sampled_from([VILLAGE, TOWNSHIP])),
        )
        for ordinal, size in enumerate(sizes, start=1)
    ]
    return Village(*tiers, closing_rung=draw(st.sampled_from([5, 6, 7])))


ACTS = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0, 1, 59, 60, 300, 3000])),
    st.tuples(st.just("stand"), st.integers(1, 13), st.integers(0, 9), st.booleans()),
    st.tuples(st.just("open")),
    st.sampled_from([("lift",), ("expire",)]),
)


def _fact(act: tuple[object, ...], now: datetime) -> Fact:
    match act:
        case ("stand", int(callout), int(rung), bool(hopeless)):
            return Standing(callout, rung, hopeless, now)
        case ("open",):
            return Open(now)
        case ("lift",):
            return Lift(now)
        case ("expire",):
            return Expire(now)
        case _:
            return Look(now)


def _has_answered(state: Escalation) -> bool:
    return any(t.met(state.closing_rung) for t in state.tiers)


def _check(before: Escalation, after: Escalation, effects: Sequence[Effect], now: datetime) -> None:
    assert (after.state is E.CALLING) == (after.deadline_at is not None), "calling has a deadline"
    assert after.tier >= before.tier, "tiers open upward only"
    if before.state is E.ANSWERED:
        assert after.state is E.ANSWERED, "answered never reverts"
        assert all(isinstance(e, LateAnswer) for e in effects)
    if before.state in {E.LIFTED, E.EXPIRED}:
        assert (after.state, effects) == (before.state, ())
    if before.state is E.EXHAUSTED:
        assert after.state in {E.EXHAUSTED, E.ANSWERED, E.LIFTED}
    passed = [e.ordinal for e in effects if isinstance(e, TierOpened | TierEmpty)]
    assert passed == list(range(before.tier + 1, before.tier + 1 + len(passed))), "none skipped"
    for effect in effects:
        match effect:
            case TierOpened(ordinal, callouts, why):
                assert (
                    callouts == tuple(m.callout_id for m in after.tiers[ordinal - 1].members) != ()
                )
                assert why != "window" or (
                    before.deadline_at is not None and now >= before.deadline_at
                )
                assert why != "released" or (before.state is E.PENDING and ordinal == 1)
                assert why != "hopeless" or not after.tiers[ordinal - 2].can_still_meet(
                    after.closing_rung
                )
            case TierEmpty(ordinal):
                assert after.tiers[ordinal - 1].members == ()
            case QuorumMet(ordinal):
                assert after.tiers[ordinal - 1].met(after.closing_rung)
            case Exhausted():
                assert not any(t.met(after.closing_rung) for t in after.tiers[: after.tier])
    if after.state is E.CALLING:
        current = after.tiers[after.tier - 1]
        assert current.can_still_meet(after.closing_rung), "nobody waits for the hopeless"
        assert after.deadline_at is not None
        assert after.deadline_at > now, "nobody looks back at a window that is over"


@settings(max_examples=400)
@given(villages(), st.lists(ACTS, max_size=30))
def test_whatever_happens_to_a_region_its_promises_hold(
    village: Village, acts: list[tuple[object, ...]]
) -> None:
    now = NOW
    exhausted = 0
    for act in acts:
        if act[0] == "wait":
            now += timedelta(seconds=int(str(act[1])))
        before = village.state
        effects = village.tell(_fact(act, now))
        _check(before, village.state, effects, now)
        exhausted += sum(isinstance(e, Exhausted) for e in effects)
        settled = village.state
        assert village.tell(_fact(act, now)) == (), "a fact seen twice does nothing"
        assert village.state == settled, "a fact seen twice changes nothing"
    assert exhausted <= 1


@settings(max_examples=200)
@given(villages(), st.lists(ACTS.filter(lambda act: act[0] == "stand"), max_size=10))
def test_silence_always_ends_with_a_human(
    village: Village, stands: list[tuple[object, ...]]
) -> None:
    now = NOW
    village.open()
    for act in stands:
        village.tell(_fact(act, now))

    for _ in range(len(village.state.tiers) + 1):
        if village.state.deadline_at is not None:
            now = village.state.deadline_at
            village.tell(Look(now))

    assert village.state.state in {E.ANSWERED, E.EXHAUSTED}
    assert village.state.state not in OPEN
    if village.state.state is E.EXHAUSTED:
        assert not _has_answered(village.state)
