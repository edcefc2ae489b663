"""What an endpoint is told: its own regions, by what the message is for; whole, or said to be cut."""

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.service.test_message_fields import BULLETIN, rendered
from warnsvc.core.change import NewAttempt
from warnsvc.document import BYTES_MAX, Place, document
from warnsvc.service.endpoint import told_of

OWN = {"id": 1, "region_code": "01", "region_name": "本村", "state": "answered", "opened": True, "own": True}
OWN_LATER = {**OWN, "id": 2, "region_code": "02", "region_name": "本村二组", "state": "calling", "opened": False}
SILENT = {**OWN, "id": 3, "region_code": "03", "region_name": "一连", "state": "calling", "own": False}
ANSWERED = {**SILENT, "id": 4, "region_code": "04", "region_name": "二连", "state": "answered"}
NOT_YET = {**SILENT, "id": 5, "region_code": "05", "region_name": "三连", "opened": False}
GIVEN_UP = {**SILENT, "id": 6, "region_code": "06", "region_name": "四连", "state": "exhausted"}
SAME_NAME = {**NOT_YET, "id": 7, "region_code": "07", "region_name": "一连"}
STANDS: list[Any] = [OWN, OWN_LATER, SILENT, ANSWERED, NOT_YET, GIVEN_UP, SAME_NAME]

CASES = [
    # label, purpose, number, listing, regions told, which of them are silent
    ("a call", "call", 1, ("一连", "四连"), "01 02 03 06", "03 06"),
    ("a text that more is silent", "inform", 3, ("一连",), "03", "03"),
    ("a stand-down", "stand_down", 4, ("二连",), "04", ""),
    ("a lifting", "lift", 1, (), "01 02 03 04 06", ""),
]


@pytest.mark.parametrize(
    ("purpose", "number", "listing", "codes", "silent"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_an_endpoint_is_told_of_its_own_part(
    purpose: str, number: int, listing: tuple[str, ...], codes: str, silent: str
) -> None:
    attempt = NewAttempt(9, "webhook", 1, number, "https://siren.example/", purpose, listing)

    places = told_of(attempt, STANDS)

    assert [place.code for place in places] == codes.split()
    assert [place.code for place in places if place.silent] == silent.split()


def test_a_document_says_what_a_machine_needs() -> None:
    places = (Place("990101000001", "石桥乡1村"), Place("990101000002", "石桥乡2村", silent=True))

    message = rendered("zh", channel="webhook", places=places)

    assert message.fields == {
        "topic": "bulletin.call",
        "identifier": "YL-7",
        "status": "exercise",
        "type": "alert",
        "hazard": {"code": "11B03", "name": "暴雨"},
        "colour": "red",
        "severity": "extreme",
        "onset_at": "2026-07-01T03:05:00+00:00",
        "expires_at": "2026-07-01T06:05:00+00:00",
        "texts": dict(BULLETIN.texts),
        "issuer": "云岭县应急局",
        "drill": True,
        "purpose": "call",
        "regions": [
            {"code": "990101000001", "name": "石桥乡1村"},
            {"code": "990101000002", "name": "石桥乡2村", "silent": True},
        ],
        "regions_total": 2,
    }
    assert message.text == rendered("zh").text
    assert "cap" not in message.fields


def test_a_lifting_is_a_cancel_and_says_why() -> None:
    told = rendered("zh", channel="webhook", purpose="lift").fields

    assert (told["topic"], told["type"], told["reason"]) == ("bulletin.lift", "cancel", "")


@pytest.mark.parametrize("many", [50, 5_000])
def test_regions_that_do_not_fit_are_counted(many: int) -> None:
    places = [Place(f"9901{n:08d}", f"石桥乡{n}村") for n in range(many)]

    told = document(BULLETIN, purpose="call", hazard="暴雨", issuer="云岭县应急局", places=places)

    assert told["regions_total"] == many
    assert (len(told["regions"]) == many) is (many == 50)
    assert told["regions"] == [{"code": p.code, "name": p.name} for p in places[: len(told["regions"])]]
    assert len(json.dumps(told, ensure_ascii=False).encode()) < BYTES_MAX * 1.1  # commas, spaces


def test_the_longest_texts_still_leave_room_for_regions_in_a_body_of_20_kb() -> None:
    """Four languages of 500 letters that are four bytes each; nobody writes that."""
    texts = dict.fromkeys(("zh", "en", "ug", "kk-Arab"), "𠀀" * 500)
    loud = replace(BULLETIN, texts=texts)
    places = [Place(f"9901{n:08d}", f"石桥乡{n}村") for n in range(500)]

    told = document(loud, purpose="call", hazard="暴雨", issuer="云岭县应急局", places=places)

    text = len(("𠀀" * 500).encode()) + 1_000  # with issuer and prompt
    assert len(told["regions"]) > 50
    assert len(json.dumps(told, ensure_ascii=False).encode()) + text + 2_000 < 20_000
