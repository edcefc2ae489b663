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
import hashlib
from collections.abc import Mapping
from datetime import datetime

import structlog
from aiohttp import StreamReader, web

from channels.base import (
    CallbackMalformed,
    CallbackRequest,
    Channel,
    InboundEvent,
    SignatureInvalid,
)
from warnsvc.service.backlog import Backlog
from warnsvc.service.context import Context
from warnsvc.service.intake import Intake, IntakeFull, named_attempt, receipt_fact
from warnsvc.service.outgoing import request_of
from warnsvc.spool import Spool
from warnsvc.store.inbound import Inbound
from warnsvc.store.port import StoreFault
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
    ctx = request.app[CONTEXT]
    channel = request.app[CHANNELS].get(request.match_info["carrier"])
    if channel is None:
        raise web.HTTPNotFound
    token = request.match_info.get("token", "")
    attempt_id = ctx.read_token("attempt", token) if token else None
    if token and attempt_id is None:
        raise web.HTTPNotFound
    callback = _callback(ctx, request, await _body(request), token)
    facts = facts_of(ctx, channel, callback)
    try:
        await request.app[INTAKE].accept(facts)
    except (IntakeFull, StoreFault) as fault:
        log.error("callback.not_kept", carrier=channel.name, error=str(fault))
        return web.Response(status=503, headers={"Retry-After": "5"})
    return await _reply(ctx, channel, callback, attempt_id)


async def _reply(
    ctx: Context, channel: Channel, callback: CallbackRequest, attempt_id: int | None
) -> web.Response:
    """Say what the carrier wants to hear; what people told us is on disk already."""
    words = None
    if attempt_id is not None and channel.wants_words(callback):
        try:
            words = await request_of(ctx, channel, attempt_id)
        except StoreFault as fault:
            log.error("callback.no_words", carrier=channel.name, error=str(fault))
    said = channel.reply(callback, words)
    if not said.body:
        return web.Response(status=said.status)
    return web.Response(
        status=said.status, text=said.body, content_type=said.content_type, charset="utf-8"
    )


async def _body(request: web.Request) -> bytes:
    if (request.content_length or 0) > BODY_BYTES_MAX:
        raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, request.content_length or 0)
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
        raise web.HTTPRequestEntityTooLarge(BODY_BYTES_MAX, len(body))
    return body


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


def facts_of(ctx: Context, channel: Channel, callback: CallbackRequest) -> list[Inbound]:
    """Return what a genuine callback says. Raises HTTPForbidden when it is not genuine."""
    now = ctx.clock.now()
    try:
        receipts = channel.parse_receipts(callback)
        # A batch may hold both: what became of one call, and the key pressed in another.
        answers = channel.parse_inbound(callback) if not (receipts and callback.token) else []
    except SignatureInvalid:
        log.warning("callback.refused", carrier=channel.name)
        raise web.HTTPForbidden from None
    except CallbackMalformed as fault:
        log.error("callback.unreadable", carrier=channel.name, error=str(fault))
        return [_unreadable(channel, callback, now)]
    return [
        *(receipt_fact(ctx, channel, event, now) for event in receipts),
        *(_answer(ctx, channel, event, now) for event in answers),
    ]


def _answer(ctx: Context, channel: Channel, event: InboundEvent, now: datetime) -> Inbound:
    return Inbound(
        kind="answer",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=f"a:{channel.name}:{event.dedupe_key}",
        received_at=now,
        attempt_id=named_attempt(ctx, event.token) if event.token else None,
        sender=event.sender,
        text=event.text,
    )


def _unreadable(channel: Channel, callback: CallbackRequest, now: datetime) -> Inbound:
    """Signed and unreadable: kept as an answer that nobody understood, for the duty queue."""
    return Inbound(
        kind="answer",
        carrier=channel.name,
        channel=channel.capabilities.kind.value,
        dedupe_key=f"x:{hashlib.sha256(callback.body).hexdigest()}",
        received_at=now,
        text=callback.body[:2000].decode("utf-8", "replace"),
    )
