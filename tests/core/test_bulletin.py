"""A bulletin's life: who may do what to it in which state, and what its words must say."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from warnsvc.core import bulletin as rules
from warnsvc.core.bulletin import (
    DRILL_MARK,
    DRILL_MARKS,
    REASON_CHARS_MAX,
    TEXT_CHARS_MAX,
    VALID_HOURS_MAX,
    Bulletin,
    BulletinState,
    BulletinStatus,
    BulletinType,
    Colour,
)
from warnsvc.core.refusal import Refusal, Refusals

NOW = datetime(2026, 7, 5, 6, 30, tzinfo=UTC)
AUTHOR, SIGNER, OFFICER = 1, 2, 3
S = BulletinState


def a_bulletin(**changes: object) -> Bulletin:
    values: dict[str, object] = {
        "id": 1,
        "identifier": "20260705143000-1",
        "event_id": 1,
        "status": BulletinStatus.ACTUAL,
        "type": BulletinType.ALERT,
        "hazard": "11B03",
        "colour": Colour.RED,
        "region_codes": ("650100000000",),
        "texts": {
            "zh": "未来1小时柳沟乡有特大暴雨,请立即转移沟口群众。",
            "en": "Move away from the gully now.",
        },
        "onset_at": NOW,
        "expires_at": NOW + timedelta(hours=6),
        "drafted_by": AUTHOR,
    }
    return Bulletin(**{**values, **changes})  # type: ignore[arg-type]


def a_drill(text: str, language: str = "zh") -> Bulletin:
    texts = {"zh": "演练 柳沟乡特大暴雨 演练", language: text}
    return a_bulletin(status=BulletinStatus.EXERCISE, texts=texts)


def in_state(state: BulletinState) -> Bulletin:
    """A bulletin that came to this state the lawful way."""
    draft = a_bulletin()
    submitted = rules.submit(draft, now=NOW)
    signed = rules.sign(submitted, officer=SIGNER, two_person=True, now=NOW)
    released = released_from(signed)
    lifted = rules.lift(released, officer=OFFICER, reason="雨停了", now=NOW)
    return {
        S.DRAFT: draft,
        S.SUBMITTED: submitted,
        S.SIGNED: signed,
        S.RELEASED: released,
        S.LIFTED: lifted,
        S.SUPERSEDED: rules.supersede(released),
        S.EXPIRED: rules.expire(released, now=released.expires_at),
        S.CLOSED: rules.close(lifted),
        S.DISCARDED: rules.discard(draft),
    }[state]


def released_from(signed: Bulletin) -> Bulletin:
    return rules.release(signed, officer=OFFICER, typed="发布柳沟乡", phrase="发布柳沟乡", now=NOW)


def codes(caught: pytest.ExceptionInfo[Refusals]) -> dict[str, str]:
    return {refusal.field: refusal.code for refusal in caught.value.refusals}


ACTS: dict[str, Callable[[Bulletin], Bulletin]] = {
    "edit": lambda b: rules.edit(b, replace(b, texts={"zh": "改过的文字"})),
    "send back": rules.send_back,
    "discard": rules.discard,
    "submit": lambda b: rules.submit(b, now=NOW),
    "sign": lambda b: rules.sign(b, officer=SIGNER, two_person=True, now=NOW),
    "release": released_from,
    "lift": lambda b: rules.lift(b, officer=OFFICER, reason="雨停了", now=NOW),
    "expire": lambda b: rules.expire(b, now=b.expires_at),
    "supersede": rules.supersede,
    "close": rules.close,
}

LEGAL = {
    ("edit", S.DRAFT): S.DRAFT,
    ("edit", S.SUBMITTED): S.DRAFT,
    ("edit", S.SIGNED): S.DRAFT,
    ("send back", S.DRAFT): S.DRAFT,
    ("send back", S.SUBMITTED): S.DRAFT,
    ("send back", S.SIGNED): S.DRAFT,
    ("discard", S.DRAFT): S.DISCARDED,
    ("discard", S.SUBMITTED): S.DISCARDED,
    ("discard", S.SIGNED): S.DISCARDED,
    ("submit", S.DRAFT): S.SUBMITTED,
    ("sign", S.SUBMITTED): S.SIGNED,
    ("release", S.SIGNED): S.RELEASED,
    ("lift", S.RELEASED): S.LIFTED,
    ("lift", S.EXPIRED): S.LIFTED,
    ("expire", S.RELEASED): S.EXPIRED,
    ("supersede", S.RELEASED): S.SUPERSEDED,
    ("close", S.LIFTED): S.CLOSED,
    ("close", S.EXPIRED): S.CLOSED,
    ("close", S.SUPERSEDED): S.CLOSED,
}


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("act", ACTS)
def test_every_act_is_allowed_in_its_states_and_refused_in_all_others(
    act: str, state: BulletinState
) -> None:
    bulletin = in_state(state)
    assert bulletin.state is state

    to = LEGAL.get((act, state))

    if to is not None:
        assert ACTS[act](bulletin).state is to
    else:
        with pytest.raises(Refusal) as caught:
            ACTS[act](bulletin)
        assert caught.value.code == "wrong_state"
        assert caught.value.params["state"] == state


def test_each_act_notes_who_and_when() -> None:
    signed, released, lifted = in_state(S.SIGNED), in_state(S.RELEASED), in_state(S.LIFTED)

    assert (signed.submitted_at, signed.signed_at, signed.signed_by) == (NOW, NOW, SIGNER)
    assert (released.released_at, released.released_by) == (NOW, OFFICER)
    assert (lifted.lifted_at, lifted.lifted_by, lifted.lift_reason) == (NOW, OFFICER, "雨停了")


def test_the_author_cannot_sign_where_two_are_needed() -> None:
    submitted = in_state(S.SUBMITTED)

    with pytest.raises(Refusal, match="signer_is_author"):
        rules.sign(submitted, officer=AUTHOR, two_person=True, now=NOW)

    assert rules.sign(submitted, officer=AUTHOR, two_person=False, now=NOW).signed_by == AUTHOR


def test_whoever_edits_is_the_author_and_cannot_sign_his_own_words() -> None:
    by_signer = replace(in_state(S.SUBMITTED), drafted_by=SIGNER, texts={"zh": "换了说法"})

    edited = rules.edit(in_state(S.SUBMITTED), by_signer)
    again = rules.submit(edited, now=NOW)

    with pytest.raises(Refusal, match="signer_is_author"):
        rules.sign(again, officer=SIGNER, two_person=True, now=NOW)
    assert rules.sign(again, officer=AUTHOR, two_person=True, now=NOW).state is S.SIGNED


@pytest.mark.parametrize("state", [S.DRAFT, S.SUBMITTED, S.SIGNED])
def test_an_edit_takes_the_signature_away(state: BulletinState) -> None:
    edited = rules.edit(in_state(state), replace(in_state(state), colour=Colour.ORANGE))

    assert edited.state is S.DRAFT
    assert (edited.submitted_at, edited.signed_at, edited.signed_by) == (None, None, None)
    assert edited.signed_digest is None
    assert edited.colour is Colour.ORANGE


READ_BY_A_SIGNER: dict[str, object] = {
    "status": BulletinStatus.TEST,
    "type": BulletinType.UPDATE,
    "hazard": "11B04",
    "colour": Colour.BLUE,
    "region_codes": ("650200000000",),
    "texts": {"zh": "别的话"},
    "onset_at": NOW + timedelta(minutes=1),
    "expires_at": NOW + timedelta(hours=7),
    "references_id": 7,
}


@pytest.mark.parametrize("name", READ_BY_A_SIGNER)
def test_what_was_signed_and_then_changed_behind_our_back_is_not_released(name: str) -> None:
    tampered = replace(in_state(S.SIGNED), **{name: READ_BY_A_SIGNER[name]})  # type: ignore[arg-type]

    with pytest.raises(Refusal, match="signature_void"):
        released_from(tampered)


def test_a_signature_holds_over_what_a_database_does_to_values() -> None:
    signed = a_bulletin(region_codes=("b", "a"), texts={"zh": "甲", "en": "a"})
    beijing = timezone(timedelta(hours=8))

    loaded = replace(
        signed,
        region_codes=("a", "b"),
        texts={"en": "a", "zh": "甲"},
        onset_at=signed.onset_at.astimezone(beijing),
        expires_at=signed.expires_at.astimezone(beijing),
    )

    assert rules.digest(loaded) == rules.digest(signed)


def test_the_phrase_of_a_live_bulletin_is_never_that_of_a_drill() -> None:
    live, drill = a_bulletin(), a_drill("演练 暴雨 演练")

    assert rules.confirmation_phrase(live, "柳沟乡") == "发布柳沟乡"
    assert rules.confirmation_phrase(drill, "柳沟乡") == DRILL_MARK


@pytest.mark.parametrize("typed", ["发布柳沟乡", " 发布 柳沟乡\n", "发布\u3000柳沟乡"])
def test_spaces_in_the_typed_phrase_do_not_matter(typed: str) -> None:
    released = rules.release(
        in_state(S.SIGNED), officer=OFFICER, typed=typed, phrase="发布柳沟乡", now=NOW
    )

    assert released.state is S.RELEASED


@pytest.mark.parametrize("typed", ["", "发布", "演练", "发布柳沟", "发布柳沟乡1"])
def test_another_phrase_releases_nothing(typed: str) -> None:
    with pytest.raises(Refusal, match="phrase_differs") as caught:
        rules.release(
            in_state(S.SIGNED), officer=OFFICER, typed=typed, phrase="发布柳沟乡", now=NOW
        )

    assert caught.value.field == "phrase"


def test_a_bulletin_that_ran_out_on_the_desk_is_not_signed() -> None:
    submitted = in_state(S.SUBMITTED)

    with pytest.raises(Refusals) as caught:
        rules.sign(submitted, officer=SIGNER, two_person=True, now=submitted.expires_at)

    assert codes(caught) == {"expires_at": "expires_in_the_past"}


def test_a_bulletin_that_ran_out_after_signing_is_not_released() -> None:
    signed = in_state(S.SIGNED)

    with pytest.raises(Refusals) as caught:
        rules.release(signed, officer=OFFICER, typed="x", phrase="x", now=signed.expires_at)

    assert codes(caught) == {"expires_at": "expires_in_the_past"}


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("", "reason_missing"),
        (" \n\t", "reason_missing"),
        ("雨" * (REASON_CHARS_MAX + 1), "reason_too_long"),
    ],
)
def test_lifting_needs_a_reason_that_can_be_sent(reason: str, code: str) -> None:
    with pytest.raises(Refusal, match=code):
        rules.lift(in_state(S.RELEASED), officer=OFFICER, reason=reason, now=NOW)


def test_nothing_expires_before_its_time() -> None:
    with pytest.raises(AssertionError):
        rules.expire(in_state(S.RELEASED), now=NOW)


WRONG_FIELDS: list[tuple[dict[str, object], dict[str, str]]] = [
    ({"hazard": ""}, {"hazard": "hazard_missing"}),
    ({"region_codes": ()}, {"regions": "regions_missing"}),
    ({"expires_at": NOW}, {"expires_at": "expires_before_onset"}),
    (
        {"onset_at": NOW - timedelta(hours=2), "expires_at": NOW},
        {"expires_at": "expires_in_the_past"},
    ),
    (
        {"expires_at": NOW + timedelta(hours=VALID_HOURS_MAX, seconds=1)},
        {"expires_at": "valid_too_long"},
    ),
    ({"texts": {}}, {"text_zh": "text_missing"}),
    ({"texts": {"zh": " \n", "en": "Only English"}}, {"text_zh": "text_missing"}),
    ({"texts": {"zh": "雨" * (TEXT_CHARS_MAX + 1)}}, {"text_zh": "text_too_long"}),
    (
        {"hazard": "", "region_codes": (), "texts": {}, "expires_at": NOW},
        {
            "hazard": "hazard_missing",
            "regions": "regions_missing",
            "expires_at": "expires_before_onset",
            "text_zh": "text_missing",
        },
    ),
]


@pytest.mark.parametrize(("changes", "expected"), WRONG_FIELDS)
def test_every_wrong_field_is_named_at_once(
    changes: dict[str, object], expected: dict[str, str]
) -> None:
    with pytest.raises(Refusals) as caught:
        rules.submit(a_bulletin(**changes), now=NOW)

    assert codes(caught) == expected
    assert set(caught.value.by_field()) == set(expected)


def test_the_longest_text_and_validity_are_accepted() -> None:
    bulletin = a_bulletin(
        texts={"zh": "雨" * TEXT_CHARS_MAX}, expires_at=NOW + timedelta(hours=VALID_HOURS_MAX)
    )

    assert rules.submit(bulletin, now=NOW).state is S.SUBMITTED


MARKED = [
    ("zh", "演练 柳沟乡特大暴雨,请转移 演练"),
    ("zh", "【演练】柳沟乡特大暴雨。【演练】"),
    ("zh", "演练:柳沟乡特大暴雨,请转移。演练。\n"),
    ("zh", "\u3000《演练》柳沟乡特大暴雨——演练!"),
    ("en", "DRILL Heavy rain in Liugou DRILL"),
    ("en", "[Drill] Heavy rain. (drill)."),
    ("en", "ＤＲＩＬＬ: heavy rain\nＤＲＩＬＬ"),
    ("ug", f"\u2067{DRILL_MARKS['ug']} يامغۇر {DRILL_MARKS['ug']}.\u2069"),
    ("kk-Arab", f"{DRILL_MARKS['kk-Arab']}، جاۋىن {DRILL_MARKS['kk-Arab']}"),
    ("ru", "演练 ливень 演练"),
]


@pytest.mark.parametrize(("language", "text"), MARKED)
def test_a_drill_with_its_mark_first_and_last_is_accepted(language: str, text: str) -> None:
    rules.check(a_drill(text, language), now=NOW)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "柳沟乡特大暴雨"),
        ("zh", "演练 柳沟乡特大暴雨"),
        ("zh", "柳沟乡特大暴雨 演练"),
        ("zh", "这是演练,柳沟乡特大暴雨,这是演练吗"),
        ("zh", "演练"),
        ("zh", "1演练 柳沟乡特大暴雨 演练"),
        ("en", "DRILL heavy rain"),
        ("en", "Drilling stops. Heavy rain. DRILL"),
        ("en", "演练 heavy rain 演练"),
        ("ug", "演练 يامغۇر 演练"),
    ],
)
def test_a_drill_without_its_mark_first_and_last_is_refused(language: str, text: str) -> None:
    with pytest.raises(Refusals) as caught:
        rules.check(a_drill(text, language), now=NOW)

    assert codes(caught) == {f"text_{language}": "drill_mark_missing"}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "演练 这不是演练 演练"),
        ("zh", "演练 这 不是 演练,快转移 演练"),
        ("zh", "演练 并非演练 演练"),
        ("zh", "演练 这不是一次演练 演练"),
        ("zh", "演练 这不是演习 演练"),
        ("en", "DRILL THIS IS NOT A DRILL DRILL"),
        ("en", "DRILL this is  not\na drill DRILL"),
        ("en", "DRILL this isn't a drill DRILL"),
        ("en", "DRILL not an exercise DRILL"),
        ("en", "DRILL ｎｏ ｄｒｉｌｌ DRILL"),
    ],
)
def test_no_drill_ever_says_that_it_is_none(language: str, text: str) -> None:
    with pytest.raises(Refusals) as caught:
        rules.check(a_drill(text, language), now=NOW)

    assert codes(caught) == {f"text_{language}": "drill_says_not_a_drill"}


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("zh", "演练 柳沟乡特大暴雨 演练"),
        ("zh", "请按演练时的路线转移"),
        ("zh", "这不是演练"),
        ("zh", "请按演\u200b练路线转移"),
        ("zh", "DRILL 柳沟乡特大暴雨"),
        ("zh", "暴雨DRILL"),
        ("en", "This is a drill."),
        ("en", "This is not a Drill"),
        ("en", "Move as in the 演练"),
        ("ug", f"{DRILL_MARKS['ug']} يامغۇر"),
        ("en", f"{DRILL_MARKS['kk-Arab']} rain"),
    ],
)
def test_no_live_text_speaks_of_drills(language: str, text: str) -> None:
    texts = {"zh": "柳沟乡特大暴雨", language: text}

    with pytest.raises(Refusals) as caught:
        rules.check(a_bulletin(texts=texts), now=NOW)

    assert codes(caught) == {f"text_{language}": "live_says_drill"}


def test_a_live_text_may_name_a_drilling_rig() -> None:
    texts = {"zh": "钻井队请撤离", "en": "Drilling rigs: leave the river bed now."}

    rules.check(a_bulletin(texts=texts), now=NOW)


def test_a_technical_test_is_marked_like_a_drill() -> None:
    with pytest.raises(Refusals) as caught:
        rules.check(a_bulletin(status=BulletinStatus.TEST), now=NOW)

    assert set(codes(caught).values()) == {"drill_mark_missing"}


def test_colours_rise_to_red_and_stay_there() -> None:
    assert [colour.rank for colour in Colour] == [1, 2, 3, 4]
    assert [colour.above() for colour in Colour] == [
        Colour.YELLOW,
        Colour.ORANGE,
        Colour.RED,
        Colour.RED,
    ]
