"""A message carries what its text was made of, for carriers that take templates or documents."""

import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.store.rows import row
from warnsvc.core.bulletin import Bulletin, BulletinStatus, BulletinType, Colour
from warnsvc.render import Message, Renderer
from warnsvc.resource import templates_dir
from warnsvc.store import table as t
from warnsvc.store.message import keep_messages, message_digest
from warnsvc.store.port import Store

ONSET = datetime(2026, 7, 1, 3, 5, tzinfo=UTC)
BULLETIN = Bulletin(
    id=1,
    identifier="YL-7",
    event_id=1,
    status=BulletinStatus.EXERCISE,
    type=BulletinType.ALERT,
    hazard="11B03",
    colour=Colour.RED,
    region_codes=("659900000000",),
    texts={"zh": "演练 暴雨红色预警。演练", "ug": "مانېۋىر قارا يامغۇر مانېۋىر"},
    onset_at=ONSET,
    expires_at=ONSET + timedelta(hours=3),
    drafted_by=1,
)
VILLAGES = tuple(f"{n}村" for n in range(1, 15))


def rendered(language: str, channel: str = "sms", **changes: object) -> Message:
    renderer = Renderer(templates_dir(), issuer="云岭县应急局", zone=ZoneInfo("Asia/Shanghai"))
    return renderer.message(BULLETIN, language=language, channel=channel, **changes)  # type: ignore[arg-type]


def test_the_fields_say_what_the_text_says_in_its_language() -> None:
    message = rendered("ug")

    assert message.fields == {
        "issuer": "云岭县应急局",
        "text": "مانېۋىر قارا يامغۇر مانېۋىر",
        "drill": True,
        "listing": [],
        "listed": "",
        "hazard": "قارا يامغۇر",
        "colour": "قىزىل",
        "number": "YL-7",
        "released": "07-01 11:05",
        "language": "ug",
    }
    assert str(message.fields["text"]) in message.text


def test_a_language_without_a_text_has_the_fields_of_the_text_it_gets() -> None:
    message = rendered("en")

    assert (message.language, message.fields["language"]) == ("zh", "zh")
    assert (message.fields["hazard"], message.fields["colour"]) == ("暴雨", "红色")


def test_a_long_listing_is_whole_as_a_list_and_cut_as_shown() -> None:
    fields = rendered("zh", listing=VILLAGES).fields

    assert fields["listing"] == list(VILLAGES)
    assert fields["listed"].endswith("12村等14处")


async def test_messages_of_one_text_and_other_fields_are_two(store: Store) -> None:
    first = rendered("zh", listing=(*VILLAGES[:13], "甲村"))
    same = rendered("zh", listing=(*VILLAGES[:13], "甲村"))
    other = rendered("zh", listing=(*VILLAGES[:13], "乙村"))
    async with store.unit() as unit:
        await unit.add(row(t.OfficerRow))
        await unit.add(row(t.BulletinRow))

    async with store.unit() as unit:
        ids = await keep_messages(unit, 1, [first, same, other])
    async with store.unit() as unit:
        again = await keep_messages(unit, 1, [other])
        kept = await unit.fetch("SELECT id, fields_json FROM message ORDER BY id")

    assert first.text == other.text
    assert len(ids) == len(kept) == 2
    assert again[message_digest(other)] == ids[message_digest(other)]
    assert [json.loads(r["fields_json"])["listing"][-1] for r in kept] == ["甲村", "乙村"]
