"""Carrier callbacks: verify, keep, answer 2xx. Nothing is decided here.

    GET, POST /callbacks/{carrier}/{token}   about one try: receipts, key presses
    GET, POST /callbacks/{carrier}           from a person: replies; batches of receipts

The signature is over the public URL that we configured, never over a Host header. 2xx goes out only
when the fact is on disk (law 4), in the database or in the spool; 503 when neither could keep it,
so that the carrier comes again; 403 for a bad signature. What the carrier hears is the adapter's to
say: a call wants to be told how to go on. A signed callback that cannot be read is
kept for a human and answered 2xx, because the same bytes would come again.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiohttp import StreamReader, web

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Channel,
    InboundEvent,
    ReceiptEvent,
    SendRequest,
    SignatureInvalid,
)
from warnsvc.core.refusal import Refusal
from warnsvc.service.backlog import Backlog
from warnsvc.service.carrier import open_channel
from warnsvc.service.context import Context
from warnsvc.service.intake import Intake, IntakeFull, answer_fact, named_test, receipt_fact
from warnsvc.service.outgoing import request_of
from warnsvc.service.test_send import request_of_test
from warnsvc.service.test_word import TOKEN as TEST
from warnsvc.service.test_word import take_words
from warnsvc.spool import Spool
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import StoreFault
from warnsvc.web.callback_watch import WATCH
from warnsvc.web.unreadable import unreadable_fact
from warnsvc.web.visit import CONTEXT

log = structlog.get_logger(__name__)

CHANNELS: web.AppKey[Mapping[str, Channel]] = web.AppKey("channels", Mapping)
"""Channels by name."""
INTAKE: web.AppKey[Intake] = web.AppKey("intake", Intake)

SPOOL_FOLDER = "spool"
"""Beside the database's other things, on a disk that outlives the process."""
BODY_BYTES_MAX = 64 * 1024
"""A receipt is under one kilobyte, and a batch of a hundred fits. What is longer is refused by the
adapters in any case (`channels.signature.CALLBACK_BYTES_MAX`); here it is not even read."""
BODY_SECONDS_MAX = 10.0
"""aiohttp sets no deadline on a slow body."""


def add_intake(app: web.Application, ctx: Context) -> Intake:
    """Give the application an intake with a spool in the data folder; both live as long as it."""
    intake = Intake(ctx, backlog=Backlog(ctx, Spool(ctx.settings.data_dir / SPOOL_FOLDER)))
    app[INTAKE] = intake

    async def begin(_: web.Application) -> None:
        await intake.open()

    async def end(_: web.Application) -> None:
        await intake.close()

    app.on_startup.append(begin)
    app.on_cleanup.append(end)
    return intake


def routes() -> list[web.RouteDef]:
    """The routes that carriers reach without a login."""
    return [
        web.route(method, path, receive)
        for method in ("GET", "POST")
        for path in ("/callbacks/{carrier}", "/callbacks/{carrier}/{token}")
    ]


async def receive(request: web.Request) -> web.Response:
    """Take one callback."""
    ctx, name = request.app[CONTEXT], request.match_info["carrier"]
    token = request.match_info.get("token", "")
    channel = request.app[CHANNELS].get(name)
    if channel is not None:
        return await _take(request, channel, token)
    if not token or ctx.read_token(TEST, token) is None:
        raise web.HTTPNotFound
    # It was added since we started, and somebody has tried it out.
    try:
        async with open_channel(ctx, name) as lent:
            return await _take(request, lent, token)
    except Refusal:
        raise web.HTTPNotFound from None


async def _take(request: web.Request, channel: Channel, token: str) -> web.Response:
    ctx = request.app[CONTEXT]
    attempt_id = ctx.read_token("attempt", token) if token else None
    test_id = ctx.read_token(TEST, token) if token and attempt_id is None else None
    if token and attempt_id is None and test_id is None:
        raise web.HTTPNotFound
    callback = _callback(ctx, request, await _body(request, channel.name), token)
    watch = request.app[WATCH]
    try:
        said = hear(ctx, channel, callback, about_test=test_id is not None)
    except web.HTTPForbidden:
        watch.refused(channel, named=bool(token))  # a token that is not ours did not come so far
        raise
    watch.verified(channel)
    try:
        await request.app[INTAKE].accept(said.facts)
        if said.tests:
            await take_words(ctx, channel, said.tests)
        words = await _words(ctx, channel, callback, attempt_id, test_id)
    except (IntakeFull, StoreFault) as fault:
        log.error("callback.not_kept", carrier=channel.name, error=str(fault))
        return web.Response(status=503, headers={"Retry-After": "5"})
    return _reply(channel, callback, words)


async def _words(
    ctx: Context,
    channel: Channel,
    callback: CallbackRequest,
    attempt_id: int | None,
    test_id: int | None,
) -> SendRequest | None:
    """Return the text once more for a call that wants it; what people told us is on disk already,
    so that a fault here only costs the text."""
    if not callback.token or not channel.wants_words(callback):
        return None
    try:
        if attempt_id is not None:
            return await request_of(ctx, channel, attempt_id)
        return await request_of_test(ctx, channel, test_id) if test_id is not None else None
    except StoreFault as fault:
        log.error("callback.no_words", carrier=channel.name, error=str(fault))
        return None


def _reply(channel: Channel, callback: CallbackRequest, words: SendRequest | None) -> web.Response:
    """Say what the carrier wants to hear."""
    said = channel.reply(callback, words)
    if not said.body:
        return web.Response(status=said.status)
    return web.Response(
        status=said.status, text=said.body, content_type=said.content_type, charset="utf-8"
    )


async def _body(request: web.Request, carrier: str) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise _too_long(carrier, request.content_length or 0)
    content = request.content
    if content.is_eof():  # it came with the headers, as nearly all do
        body = content.read_nowait(-1)
    else:
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                body = await _read(content)
        except TimeoutError:
            raise web.HTTPRequestTimeout from None
    if len(body) > BODY_BYTES_MAX:
        raise _too_long(carrier, len(body))
    return body


def _too_long(carrier: str, size: int) -> web.HTTPRequestEntityTooLarge:
    """Refuse it aloud: a gateway that batches more than we take would be silent for ever."""
    log.warning("callback.too_long", carrier=carrier, bytes=size, most=BODY_BYTES_MAX)
    return web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, size)


async def _read(content: StreamReader) -> bytes:
    """Read to the end, or until it is too long: a chunked body says no length beforehand."""
    body = bytearray()
    while len(body) <= BODY_BYTES_MAX and (chunk := await content.readany()):
        body += chunk
    return bytes(body)


def _callback(ctx: Context, request: web.Request, body: bytes, token: str) -> CallbackRequest:
    return CallbackRequest(
        url=f"{ctx.settings.public_url}{request.rel_url.raw_path_qs}",
        headers=request.headers,
        body=body,
        token=token,
        method=request.method,
        remote=request.remote or "",
    )


@dataclass(frozen=True, slots=True)
class Said:
    """What a genuine callback says: facts, and words about tests that never go among them."""

    facts: list[Inbound]
    tests: list[tuple[int, ReceiptEvent | InboundEvent]]


def facts_of(ctx: Context, channel: Channel, callback: CallbackRequest) -> list[Inbound]:
    """Return the facts in a callback. Raises HTTPForbidden when it is not genuine."""
    return hear(ctx, channel, callback).facts


def _parsed(
    channel: Channel, callback: CallbackRequest
) -> tuple[list[ReceiptEvent], list[InboundEvent]]:
    """Read a callback. Each reading checks the signature, so what is likelier is read first.

    A batch may hold both: what became of one call, and the key pressed in another.
    """
    if channel.capabilities.mixed_callbacks:
        return channel.parse_receipts(callback), channel.parse_inbound(callback)
    if callback.token:
        receipts = channel.parse_receipts(callback)
        return receipts, [] if receipts else channel.parse_inbound(callback)
    answers = channel.parse_inbound(callback)
    return [] if answers else channel.parse_receipts(callback), answers


def hear(
    ctx: Context, channel: Channel, callback: CallbackRequest, *, about_test: bool = False
) -> Said:
    """Return what a genuine callback says. Raises HTTPForbidden when it is not genuine."""
    now = ctx.clock.now()
    try:
        receipts, answers = _parsed(channel, callback)
    except SignatureInvalid:
        raise web.HTTPForbidden from None
    except CallbackMalformed as fault:
        log.error("callback.unreadable", carrier=channel.name, error=str(fault))
        return Said([] if about_test else [unreadable_fact(channel, callback, now)], [])
    told: list[tuple[ReceiptEvent | InboundEvent, Inbound]] = [
        *((event, receipt_fact(ctx, channel, event, now)) for event in receipts),
        *((event, answer_fact(ctx, channel, event, now)) for event in answers),
    ]
    said = Said([], [])
    for event, fact in told:
        test_id = None if fact.attempt_id is not None else named_test(ctx, event.token)
        if test_id is not None:
            said.tests.append((test_id, event))
        else:
            said.facts.append(fact)
    return said
