"""What no carrier can send is told when it is written, and not at three in the morning."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from channels.aliyun_sms import AliyunSms
from channels.base import ChannelKind, Obstacle, Unsendable
from tests.fakes.clock import ManualClock
from tests.fakes.county import County
from tests.fakes.picky import PickyChannel, by_name, says, templates_for, text_at_most
from warnsvc.core.bulletin import Bulletin
from warnsvc.core.refusal import Refusal, Refusals
from warnsvc.core.route import RouteRule
from warnsvc.service import bulletin as bulletins
from warnsvc.service.context import Context
from warnsvc.service.fleet import Fleet
from warnsvc.service.sendable import (
    FORMS,
    NO_REPLY,
    Judgement,
    judge,
    notes,
    text_refusals,
)

CALL, CALL_NAMES, INFORM, STAND_DOWN, LIFT = FORMS
WHOLE = "今晚十点前全部转移到村委会。"
VOICE: dict[str, Any] = {
    "kind": ChannelKind.VOICE,
    "dtmf": True,
    "languages": frozenset({"zh", "en"}),
}


def with_carriers(county: County, *channels: PickyChannel, **rules: Any) -> Context:
    """The county with other carriers; `rules`: routes."""
    routes = tuple(rules.get("routes", ()))
    fleet = Fleet(by_name(*channels), routes)
    return replace(county.ctx, fleet=fleet, capabilities=fleet.capabilities())


def bulletin(county: County, **texts: str) -> Bulletin:
    draft = county.written()
    return Bulletin(
        id=0,
        identifier="",
        event_id=0,
        status=draft.status,
        type="alert",  # type: ignore[arg-type]
        hazard=draft.hazard,
        colour=draft.colour,
        region_codes=draft.region_codes,
        texts={language.replace("_", "-"): text for language, text in texts.items()}
        or {"zh": WHOLE},
        onset_at=draft.onset_at,
        expires_at=draft.expires_at,
        drafted_by=0,
    )


def found(judged: tuple[Judgement, ...], language: str, channel: str, form: Any) -> Judgement:
    (one,) = [
        j for j in judged if (j.language, j.channel, j.form) == (language, channel, form)
    ]
    return one


# --- what carriers say ----------------------------------------------------------------------------


async def test_every_carrier_of_the_route_is_asked_about_every_text(county: County) -> None:
    ctx = with_carriers(
        county,
        PickyChannel("templates", templates_for(call="zh", lift="zh")),
        PickyChannel("free"),
        PickyChannel("phone", **VOICE),
    )

    judged = judge(ctx, bulletin(county, zh=WHOLE, en="Leave now."))

    assert {(j.language, j.channel) for j in judged} == {
        ("zh", "sms"), ("en", "sms"), ("zh", "voice"), ("en", "voice"),
    }  # fmt: skip
    assert len(judged) == 4 * len(FORMS)
    chinese = found(judged, "zh", "sms", CALL)
    assert (chinese.route, chinese.able) == (("templates", "free"), ("templates", "free"))
    english = found(judged, "en", "sms", CALL)
    assert english.able == ("free",)
    assert english.hindered[0].why == Obstacle.NO_TEMPLATE
    assert english.diverted
    assert not english.hopeless


async def test_the_values_a_carrier_sees_are_those_of_the_message(county: County) -> None:
    seen: list[dict[str, Any]] = []
    ctx = with_carriers(county, PickyChannel("watching", lambda w: seen.append(dict(w.fields))))  # type: ignore[func-returns-value]

    judge(ctx, bulletin(county))

    assert {fields["text"] for fields in seen} <= {WHOLE, ""}
    assert [len(fields["listing"]) for fields in seen] == [0, 12, 12, 12, 0]
    assert all(fields["listed"] for fields in seen[1:4])


async def test_a_language_no_carrier_speaks_is_judged_as_the_chinese_it_will_be(
    county: County,
) -> None:
    ctx = with_carriers(county, PickyChannel("phone", **VOICE))

    judged = judge(ctx, bulletin(county, zh=WHOLE, ug="سەل كېلىدۇ."))

    assert {(j.language, j.channel) for j in judged} == {("zh", "voice")}
    assert not list(text_refusals(ctx, bulletin(county, zh=WHOLE, ug="سەل كېلىدۇ.")))


async def test_a_channel_without_carriers_is_not_judged(county: County) -> None:
    ctx = with_carriers(county)

    assert judge(ctx, bulletin(county)) == ()
    assert list(text_refusals(ctx, bulletin(county))) == []


async def test_a_carrier_that_brings_no_replies_is_hindered_where_an_answer_is_asked_for(
    county: County,
) -> None:
    ctx = with_carriers(
        county,
        PickyChannel("deaf", inbound_countries=frozenset()),
        PickyChannel("hears"),
    )

    judged = judge(ctx, bulletin(county))

    asked = found(judged, "zh", "sms", CALL)
    assert [(h.carrier, h.why) for h in asked.hindered] == [("deaf", NO_REPLY)]
    assert asked.able == ("hears",)
    assert found(judged, "zh", "sms", LIFT).able == ("deaf", "hears")


# --- what is refused ------------------------------------------------------------------------------


def refusals(ctx: Context, written: Bulletin) -> list[Refusal]:
    return list(text_refusals(ctx, written))


async def test_a_text_that_no_carrier_has_room_for_is_refused_with_the_most_it_may_have(
    county: County,
) -> None:
    ctx = with_carriers(county, PickyChannel("a", text_at_most(10)), PickyChannel("b", text_at_most(8)))

    (refusal,) = refusals(ctx, bulletin(county))

    assert refusal.code == "unsendable_sms_field_too_long"
    assert refusal.field == "text_zh"
    assert refusal.params == {"limit": 10, "given": len(WHOLE)}


async def test_a_text_that_a_later_carrier_can_send_is_not_refused(county: County) -> None:
    ctx = with_carriers(county, PickyChannel("a", text_at_most(10)), PickyChannel("b"))

    assert refusals(ctx, bulletin(county)) == []


async def test_each_channel_must_have_somebody(county: County) -> None:
    """A text that goes by SMS and cannot be spoken leaves those without a mobile unwarned."""
    ctx = with_carriers(county, PickyChannel("sms"), PickyChannel("phone", text_at_most(5), **VOICE))

    (refusal,) = refusals(ctx, bulletin(county))

    assert refusal.code == "unsendable_voice_field_too_long"


@pytest.mark.parametrize(
    ("unsendable", "code"),
    [
        (Unsendable(obstacle=Obstacle.TOO_LONG, limit=70, given=90), "unsendable_sms_too_long"),
        (Unsendable(obstacle=Obstacle.LINK, field="text"), "unsendable_sms_link"),
        (Unsendable(obstacle=Obstacle.LINK, field="message"), "unsendable_sms_link"),
        (Unsendable(obstacle=Obstacle.LINK, field="issuer"), None),
        (Unsendable(obstacle=Obstacle.ALPHABET, field="text", given=3), "unsendable_sms_alphabet"),
        (Unsendable(obstacle=Obstacle.ALPHABET, field="issuer", given=3), None),
        (Unsendable(obstacle=Obstacle.FIELD_TOO_LONG, field="issuer", limit=5, given=9), None),
        (Unsendable(obstacle=Obstacle.NO_TEMPLATE), None),
    ],
)
async def test_only_what_can_be_mended_in_the_text_is_refused(
    county: County, unsendable: Unsendable, code: str | None
) -> None:
    """A template that is missing must not keep a warning from the channels that still work."""
    ctx = with_carriers(county, PickyChannel("a", says(unsendable)))

    found_codes = [refusal.code for refusal in refusals(ctx, bulletin(county))]

    assert found_codes == ([code] if code else [])
    if code is None:
        assert any(one.hopeless for one in judge(ctx, bulletin(county)))
        assert notes(judge(ctx, bulletin(county)))


async def test_a_text_in_a_language_without_a_template_can_be_left_out_and_is_refused(
    county: County,
) -> None:
    ctx = with_carriers(county, PickyChannel("a", templates_for(call="zh")))

    (refusal,) = refusals(ctx, bulletin(county, zh=WHOLE, ug="سەل كېلىدۇ."))

    assert (refusal.code, refusal.field) == ("unsendable_sms_no_template", "text_ug")


async def test_a_missing_template_for_lifting_refuses_nothing_and_is_told(county: County) -> None:
    ctx = with_carriers(county, PickyChannel("a", templates_for(call="zh")))

    (note,) = notes(judge(ctx, bulletin(county)))

    assert refusals(ctx, bulletin(county)) == []
    assert note.forms == (INFORM, STAND_DOWN, LIFT)
    assert note.next == ""


async def test_a_carrier_at_home_is_asked_and_not_one_of_another_country(county: County) -> None:
    abroad = PickyChannel("abroad", text_at_most(1), countries=frozenset({"7"}))
    ctx = with_carriers(
        county,
        abroad,
        PickyChannel("home"),
        routes=(
            RouteRule(kind="sms", carriers=("abroad",), countries=frozenset({"7"})),
            RouteRule(kind="sms", carriers=("home",)),
        ),
    )

    assert found(judge(ctx, bulletin(county)), "zh", "sms", CALL).route == ("home",)


# --- writing and submitting -----------------------------------------------------------------------


async def test_a_draft_that_cannot_be_sent_is_not_written(county: County) -> None:
    ctx = with_carriers(county, PickyChannel("a", text_at_most(10)))

    with pytest.raises(Refusals) as refused:
        await bulletins.draft(ctx, officer=1, draft=county.written(texts={"zh": WHOLE}))

    assert [(r.code, r.field) for r in refused.value.refusals] == [
        ("unsendable_sms_field_too_long", "text_zh")
    ]
    assert await county.rows("SELECT id FROM bulletin") == []


async def test_a_draft_that_carriers_would_take_yesterday_is_refused_when_it_is_submitted(
    county: County,
) -> None:
    written = await bulletins.draft(county.ctx, officer=1, draft=county.written(texts={"zh": WHOLE}))
    ctx = with_carriers(county, PickyChannel("a", text_at_most(10)))

    with pytest.raises(Refusals):
        await bulletins.submit(ctx, officer=1, bulletin_id=written)

    assert (await bulletins.get(ctx, written)).state == "draft"


# --- with a real adapter --------------------------------------------------------------------------

TEMPLATES = """
[[template]]
form = "call"
language = "zh"
code = "SMS_1"
text = "${issuer}：${text}收到请回复1，无法到岗请回复2。"
variables = { issuer = "issuer", text = { field = "text", limit = 35 } }
"""


async def test_the_templates_of_an_aliyun_account_are_held_against_the_text(
    county: County, tmp_path: Path
) -> None:
    (tmp_path / "t.toml").write_text(TEMPLATES, encoding="utf-8")
    carrier = AliyunSms(
        name="aliyun",
        access_key_id="LTAI",
        secrets=["word"],
        sign_name="云岭县应急局",
        templates_file=str(tmp_path / "t.toml"),
        clock=ManualClock().now,
    )
    ctx = replace(county.ctx, fleet=Fleet({"aliyun": carrier}))

    long = refusals(ctx, bulletin(county, zh="字" * 36))
    link = refusals(ctx, bulletin(county, zh="有事打13912345678"))
    right = refusals(ctx, bulletin(county, zh="字" * 35))

    assert [(r.code, r.params) for r in long] == [
        ("unsendable_sms_field_too_long", {"limit": 35, "given": 36})
    ]
    assert [r.code for r in link] == ["unsendable_sms_link"]
    assert right == []
    forms = [note.forms for note in notes(judge(ctx, bulletin(county)))]
    assert forms == [(CALL_NAMES,), (INFORM, STAND_DOWN, LIFT)]
