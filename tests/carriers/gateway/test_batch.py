"""Many messages in one request: what shares it, and what its answer says of each."""

import copy
import json
import tomllib
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from aiohttp import web

from channels.base import OutcomeKind, SendRequest
from channels.errors import ErrorClass
from channels.gateway_reader import profile_from
from channels.gateway_table import ProfileFault
from tests.carriers.gateway.rigs import GatewayRig, JsonRig, MasRig

TEXT = "【清河县应急局】山洪橙色预警，收到回1。"
OTHER_TEXT = "【清河县应急局】山洪橙色预警解除。"


@pytest.fixture
async def mas() -> AsyncIterator[MasRig]:
    rig = MasRig()
    await rig.start()
    yield rig
    await rig.close()


@pytest.fixture
async def gateway() -> AsyncIterator[JsonRig]:
    rig = JsonRig()
    await rig.start()
    yield rig
    await rig.close()


def requests(rig: GatewayRig[Any], count: int, **changes: Any) -> list[SendRequest]:
    return [
        replace(
            SendRequest(
                token=f"tok-{n}",
                to=f"+8613912345{n:03d}",
                text=TEXT,
                language="zh",
                valid_until=rig.now() + timedelta(minutes=10),
                callback_url=rig.callback_url(f"tok-{n}"),
            ),
            **changes,
        )
        for n in range(count)
    ]


# --- one text to many numbers ---------------------------------------------------------------------


async def test_one_text_goes_to_many_numbers_in_one_request(mas: MasRig) -> None:
    outcomes = await mas.channel.send_batch(requests(mas, 60))

    assert mas.far.sizes == [60]
    assert [said and said.kind for said in outcomes] == [OutcomeKind.ACCEPTED] * 60


async def test_no_request_holds_more_than_the_profile_allows(mas: MasRig) -> None:
    await mas.channel.send_batch(requests(mas, 250))

    assert sorted(mas.far.sizes) == [50, 100, 100]


async def test_another_text_goes_in_another_request(mas: MasRig) -> None:
    both = requests(mas, 4, text=TEXT)[:2] + requests(mas, 4, text=OTHER_TEXT)[2:]

    await mas.channel.send_batch([both[0], both[2], both[1], both[3]])

    assert mas.far.sizes == [2, 2]
    assert [(m.to[-1], m.text) for m in sorted(mas.far.taken, key=lambda m: m.to)] == [
        ("0", TEXT), ("1", TEXT), ("2", OTHER_TEXT), ("3", OTHER_TEXT),
    ]  # fmt: skip


async def test_a_receipt_finds_its_message_by_the_requests_id_and_the_number(mas: MasRig) -> None:
    outcomes = await mas.channel.send_batch(requests(mas, 3))

    await mas.far.push([mas.far.record(m, "DELIVRD", "CM:0000") for m in mas.far.taken[::-1]])

    (callback,) = mas.door.take()
    heard = [event.reference for event in mas.channel.parse_receipts(callback)]
    assert heard[::-1] == [said.reference for said in outcomes if said]


async def test_a_request_refused_for_one_number_blames_nobody(mas: MasRig) -> None:
    among = requests(mas, 3)
    among[1] = replace(among[1], to="12345")

    assert await mas.channel.send_batch(among) == [None, None, None]
    assert mas.far.taken == []


async def test_a_refused_text_is_not_tried_again_for_each_number(
    mas: MasRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuses(request: web.Request) -> web.Response:
        return web.json_response({"rspcod": "InvalidMessage", "success": False, "msgGroup": ""})

    monkeypatch.setattr(mas.far, "answer", refuses)

    outcomes = await mas.channel.send_batch(requests(mas, 3))

    assert [said and said.error_class for said in outcomes] == [ErrorClass.FILTERED] * 3


async def test_our_own_mistake_is_everybodys(mas: MasRig) -> None:
    mas.far.secret = "another-word-by-now"

    outcomes = await mas.channel.send_batch(requests(mas, 3))

    assert [said and said.error_class for said in outcomes] == [ErrorClass.CONFIG] * 3


async def test_settings_may_allow_less_than_the_profile(mas: MasRig) -> None:
    few, alone = mas.make(batch_max=2), mas.make(batch_max=1)

    await few.send_batch(requests(mas, 4))
    await alone.send_batch(requests(mas, 2))

    assert mas.far.sizes == [2, 2, 1, 1]
    assert (few.capabilities.batch_max, alone.capabilities.batch_max) == (2, 1)
    await few.close()
    await alone.close()


def test_settings_may_not_allow_more_than_the_profile() -> None:
    with pytest.raises(ValueError, match="batch_max is 0 to 100, which is what profile mas allows"):
        MasRig().make(batch_max=101)


# --- a list of messages ---------------------------------------------------------------------------


async def test_different_messages_go_in_one_request(gateway: JsonRig) -> None:
    mixed = [*requests(gateway, 1), *requests(gateway, 2, text=OTHER_TEXT)[1:]]

    outcomes = await gateway.channel.send_batch(mixed)

    assert gateway.far.sizes == [2]
    assert [m.text for m in gateway.far.taken] == [TEXT, OTHER_TEXT]
    assert [said and said.reference for said in outcomes] == [m.id for m in gateway.far.taken]
    assert [said and said.parts for said in outcomes] == [2, 2]


async def test_the_receipts_of_a_list_name_each_ones_token(gateway: JsonRig) -> None:
    sent = requests(gateway, 2)
    await gateway.channel.send_batch(sent)

    for message in gateway.far.taken:
        await gateway.tell(message)

    events = [e for c in gateway.door.take() for e in gateway.channel.parse_receipts(c)]
    assert [event.token for event in events] == ["tok-0"] * 3 + ["tok-1"] * 3


async def test_each_message_of_a_list_has_a_word_of_its_own(gateway: JsonRig) -> None:
    sent = requests(gateway, 3)
    sent[1] = replace(sent[1], to="12345")

    outcomes = await gateway.channel.send_batch(sent)

    assert [said and said.error_class for said in outcomes] == [None, ErrorClass.BAD_NUMBER, None]
    assert gateway.far.sizes == [3], "nothing is sent twice to find out"


STRANGE_ANSWERS: list[tuple[str, Any, list[OutcomeKind]]] = [
    (
        "one is not spoken of",
        {"messages": [{"reference": "tok-1", "id": "m1"}]},
        [OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED],
    ),
    (
        "a record without an id",
        {"messages": [{"reference": "tok-0"}, {"reference": "tok-1", "id": "m1"}]},
        [OutcomeKind.UNKNOWN, OutcomeKind.ACCEPTED],
    ),
    ("records that are no objects", {"messages": ["ok", 7]}, [OutcomeKind.UNKNOWN] * 2),
    ("no list", {"messages": {"id": "m1"}}, [OutcomeKind.UNKNOWN] * 2),
    ("an answer as to one message", {"id": "m1"}, [OutcomeKind.UNKNOWN] * 2),
    ("no JSON", None, [OutcomeKind.UNKNOWN] * 2),
]


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in STRANGE_ANSWERS], ids=[c[0] for c in STRANGE_ANSWERS]
)
async def test_what_an_answer_does_not_say_of_a_message_is_unknown(
    gateway: JsonRig, monkeypatch: pytest.MonkeyPatch, answer: Any, expected: list[OutcomeKind]
) -> None:
    async def strange(request: web.Request) -> web.Response:
        text = "<html>OK</html>" if answer is None else json.dumps(answer)
        return web.Response(text=text, status=202)

    monkeypatch.setattr(gateway.far, "answer", strange)

    outcomes = await gateway.channel.send_batch(requests(gateway, 2))

    assert [said and said.kind for said in outcomes] == expected


# --- what a profile may say -----------------------------------------------------------------------


def document(name: str, **batch: Any) -> dict[str, Any]:
    source = files("channels") / "gateway_profiles" / f"{name}.toml"
    made = copy.deepcopy(tomllib.loads(source.read_text(encoding="utf-8")))
    made["batch"] |= batch
    return made


MISTAKES: list[tuple[str, str, dict[str, Any], str]] = [
    ("no size", "mas", {"max": 1}, "batch.max: must be a whole number from 2 to 1000"),
    ("a word that is none", "mas", {"by": "lists"}, "batch.by: 'lists' is none of its words"),
    ("a field too many", "mas", {"items": "x"}, "batch.items: there is no such field"),
    ("tokens shared", "json", {"by": "numbers"}, "batch.by: numbers that share a request share"),
    ("no message", "json", {"message": {}}, "batch.message: is missing"),
    ("a query", "json", {"encoding": "query"}, "batch.encoding: a list of messages goes as json"),
    ("no list", "json", {"fields": {"from": "{sender}"}}, "batch.fields: put {messages} where"),
    (
        "a number for all",
        "json",
        {"fields": {"to": "{to}", "messages": "{messages}"}},
        "batch.fields.to: there is no {to}",
    ),
    (
        "nothing names it",
        "json",
        {"message": {"to": "{to}", "text": "{text}"}},
        "batch.message: nothing names the message: put {token} into it",
    ),
    (
        "another password",
        "json",
        {"authentication": "basic"},
        "batch.authentication: must be as in [send]",
    ),
]


@pytest.mark.parametrize(
    ("name", "changes", "message"), [c[1:] for c in MISTAKES], ids=[c[0] for c in MISTAKES]
)
def test_a_batch_that_cannot_work_is_refused_when_it_is_read(
    name: str, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProfileFault) as told:
        profile_from(document(name, **changes), name=name)

    assert message in str(told.value)


def test_numbers_need_an_id_of_their_own() -> None:
    made = document("mas")
    made["answer"]["reference"]["template"] = "{id}"

    with pytest.raises(ProfileFault, match="put a number into answer"):
        profile_from(made, name="mas")
