"""Test sends: a message to an officer's phone, or a canary, that warns nobody.

    checked ──► row (sending) ──commit──► carrier ──► accepted | failed | unknown
                  │                                      │ receipts and answers, by our own token
                  └─ a crash: unknown after a minute     └► delivered | undelivered, answered

They stand in a table of their own, never among attempts, and what carriers and people say of them
never raises an alarm by itself and never reaches a callout (`warnsvc.service.test_word`). One goes
out at once, outside the queue and its pace: five a minute by hand and a canary an hour are nothing
beside what a carrier takes, and a carrier that says "too fast" has answered.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.base import (
    Channel,
    ChannelKind,
    Obstacle,
    OutcomeKind,
    SendOutcome,
    SendRequest,
    Words,
    inbound_possible,
)
from channels.errors import ErrorClass
from contacts.phone import PhoneError, to_e164
from warnsvc.core.ledger import Line
from warnsvc.core.refusal import Refusal
from warnsvc.service.context import WAKE_BOARD, WAKE_FACTS, Context
from warnsvc.service.officer import actor
from warnsvc.service.outgoing import callback_url
from warnsvc.service.reference import of_test
from warnsvc.service.test_word import TOKEN, after_send
from warnsvc.store.ledger import append_lines
from warnsvc.store.port import Unit
from warnsvc.store.reference import Key, Subject, keep_references
from warnsvc.store.test_send import (
    TestSend,
    add_test,
    count_by_hand,
    hold_tests,
    load_test,
    save_tests,
)

log = structlog.get_logger(__name__)

FORM = "test"
"""What a carrier with templates chooses the template of a test by."""
BY_HAND = "by_hand"
CANARY = "canary"

TESTS_A_MINUTE = 5
"""By hand, for each officer: enough to try a handful of phones, too few to bother a village."""
VALID_SECONDS = 600
"""A test that arrives later tells nobody anything."""

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_ENDPOINT = re.compile(r"https://[^\s/@]+(/\S*)?")

NOT_A_WARNING: Mapping[str, str] = {
    "zh": "通道测试，不是预警。",
    "en": "Channel test, not a warning.",
}
"""What every test says; also how its language is known again."""
_ASK: Mapping[str, Mapping[str, str]] = {
    "zh": {"sms": "收到请回复1。", "voice": "收到请按1。"},
    "en": {"sms": " Reply 1 if you get this.", "voice": " Press 1 if you hear this."},
}

OBSTACLES: Mapping[Obstacle, str] = {
    Obstacle.TOO_LONG: "test_too_long",
    Obstacle.NO_TEMPLATE: "test_no_template",
    Obstacle.FIELD_TOO_LONG: "test_field_too_long",
    Obstacle.LINK: "test_link",
    Obstacle.ALPHABET: "test_alphabet",
    Obstacle.NO_VOICE: "test_no_voice",
}
"""Why a carrier cannot send the test → the code of a refusal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A test that its carrier can send."""

    address: str
    words: Words


async def send_test(
    ctx: Context,
    channel: Channel,
    *,
    address: str,
    officer_id: int | None,
    purpose: str = BY_HAND,
    language: str = "zh",
) -> TestSend:
    """Send a test and return what became of it; `officer_id` None: by the command.

    Raises Refusal: nothing was sent. Raises StoreFault: it may have been.
    """
    prepared = prepare(ctx, channel, address=address, language=language)
    async with ctx.store.unit() as unit:
        now = ctx.clock.now()
        if purpose == BY_HAND:
            await _not_too_many(unit, officer_id, now)
        test = await write_down(
            unit, channel, prepared, purpose=purpose, officer_id=officer_id, now=now
        )
    done, _ = await carry_out(ctx, channel, test, prepared.words)
    return done


def prepare(ctx: Context, channel: Channel, *, address: str, language: str) -> Prepared:
    """Return the test for this address, or raise a Refusal that says why it cannot be sent."""
    address = _as_e164(ctx, address.strip())
    check_address(channel.capabilities.kind, address, field="address")
    words = words_of(ctx, channel, address, language)
    unsendable = channel.check(words)
    if unsendable is not None:
        raise Refusal(
            OBSTACLES[unsendable.obstacle],
            field="address",
            name=unsendable.field,
            most=unsendable.limit,
            given=unsendable.given,
            language=language,
        )
    return Prepared(address=address, words=words)


def _as_e164(ctx: Context, typed: str) -> str:
    """Return a number as carriers take it: people type `138 0013 8000`; else what was typed."""
    try:
        return to_e164(typed, ctx.settings.local_country, allow_invented=True).address
    except PhoneError:
        return typed


def check_address(kind: str, address: str, *, field: str) -> None:
    """Raise a Refusal unless it is a phone number in E.164 or, for webhooks, an https address."""
    is_web = kind == ChannelKind.WEBHOOK
    if not (_ENDPOINT if is_web else _PHONE).fullmatch(address):
        raise Refusal("test_no_endpoint" if is_web else "test_no_phone", field=field)


def words_of(ctx: Context, channel: Channel, address: str, language: str) -> Words:
    """Return what a test says: who we are, that it is no warning, and how to answer it."""
    language = language if language in NOT_A_WARNING else "zh"
    issuer = ctx.settings.install_name
    body = NOT_A_WARNING[language] + _ask(channel, address, language)
    speaks = channel.capabilities.kind is ChannelKind.VOICE
    if language == "zh":
        text = f"{issuer}{body}" if speaks else f"【{issuer}】{body}"
    else:
        text = f"{issuer}. {body}" if speaks else f"[{issuer}] {body}"
    return Words(text=text, language=language, form=FORM, fields=_fields(ctx, body, language))


def _ask(channel: Channel, address: str, language: str) -> str:
    """Ask for an answer only where one can come back."""
    capabilities = channel.capabilities
    if capabilities.dtmf:
        return _ASK[language]["voice"]
    if capabilities.kind is ChannelKind.SMS and inbound_possible(capabilities, address):
        return _ASK[language]["sms"]
    return ""


def _fields(ctx: Context, body: str, language: str) -> dict[str, object]:
    """The same names as a warning's (`render.Message.fields`)."""
    at = ctx.clock.now().astimezone(ctx.settings.zone)
    return {
        "issuer": ctx.settings.install_name,
        "text": body,
        "drill": True,
        "listing": [],
        "listed": "",
        "hazard": "",
        "colour": "",
        "number": "TEST",
        "released": f"{at:%m-%d %H:%M}",
        "language": language,
    }


async def _not_too_many(unit: Unit, officer_id: int | None, now: datetime) -> None:
    if officer_id is not None:  # so that two clicks at once are counted one after the other
        await unit.fetch_one("SELECT id FROM officer WHERE id = $1 FOR UPDATE", officer_id)
    lately = await count_by_hand(unit, officer_id, since=now - timedelta(minutes=1))
    if lately >= TESTS_A_MINUTE:
        raise Refusal("tests_too_many", most=TESTS_A_MINUTE)


async def write_down(
    unit: Unit,
    channel: Channel,
    prepared: Prepared,
    *,
    purpose: str,
    officer_id: int | None,
    now: datetime,
) -> TestSend:
    """Write the intent, before anything is sent."""
    (test_id,) = await unit.new_ids("test_send", 1)
    test = TestSend(
        id=test_id,
        carrier=channel.name,
        purpose=purpose,
        address=prepared.address,
        text=prepared.words.text,
        state="sending",
        sent_at=now,
        officer_id=officer_id,
    )
    await add_test(unit, test)
    if purpose == BY_HAND:
        data = {"carrier": channel.name, "test": test_id, "to": test.masked}
        line = Line(act="carrier.tested", actor=_who(officer_id), data=data)
        await append_lines(unit, [line], now=now)
    return test


def _who(officer_id: int | None) -> str:
    return actor(officer_id) if officer_id is not None else "system"


async def carry_out(
    ctx: Context, channel: Channel, test: TestSend, words: Words
) -> tuple[TestSend, SendOutcome]:
    """Send what is written down, and write what came of it. No unit is open meanwhile (law 6)."""
    try:
        said = await channel.send(_request(ctx, channel, test, words))
    except Exception:
        log.exception("test_send.adapter_failed", carrier=channel.name, test=test.id)
        said = SendOutcome(kind=OutcomeKind.UNKNOWN, error_class=ErrorClass.AMBIGUOUS)
    named: dict[Key, Subject] = {}
    if channel.capabilities.receipts_by_reference:
        named = of_test(channel.name, said, test.id)
    async with ctx.store.unit() as unit:
        waited = await keep_references(unit, named, now=ctx.clock.now())
        held = (await hold_tests(unit, [test.id]))[test.id]
        done = after_send(held, said, ctx.clock.now())
        await save_tests(unit, [done])
    await ctx.store.wake(WAKE_BOARD, *((WAKE_FACTS,) if waited else ()))
    return done, said


def _request(ctx: Context, channel: Channel, test: TestSend, words: Words) -> SendRequest:
    token = ctx.token(TOKEN, test.id)
    seconds = max(VALID_SECONDS, channel.capabilities.validity_seconds_min)
    return SendRequest(
        token=token,
        to=test.address,
        text=test.text,
        language=words.language,
        valid_until=test.sent_at + timedelta(seconds=seconds),
        callback_url=callback_url(ctx, channel, token),
        form=FORM,
        fields=words.fields,
    )


async def request_of_test(ctx: Context, channel: Channel, test_id: int) -> SendRequest | None:
    """Return a test as it was handed over, for a call that asks for its words once more."""
    async with ctx.store.view() as unit:
        test = await load_test(unit, test_id)
    if test is None or test.carrier != channel.name:
        return None
    spoken = (language for language, told in NOT_A_WARNING.items() if told in test.text)
    words = words_of(ctx, channel, test.address, next(spoken, "zh"))
    return _request(ctx, channel, test, words)
