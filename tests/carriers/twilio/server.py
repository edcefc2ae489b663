"""A stand-in for Twilio: its REST interface, its callbacks, and a player for calls.

    twilio = TwilioServer(clock=…)          await twilio.start()
    POST, GET /2010-04-01/Accounts/{sid}/Messages.json   Calls.json   …/{sid}.json

    await twilio.settle()                   everything that waits happens: statuses, calls, callbacks
    await twilio.text(number, "1")          somebody writes to our number
    twilio.person(number).keys = ["9", "1"] what somebody does in a call
    twilio.fault = Throttle(7)              the next requests meet this

Written from Twilio's documentation (carriers.md §1) and not from its library: signatures are made
here a second time, so that the two check each other. Time does not pass by itself; nothing happens
between two calls of `settle`. Behaves as Twilio does where that hurts: a queued message has no
DateSent and is not found by it, callbacks may come before the answer, repeats follow `#rc=…`.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit
from xml.etree import ElementTree

from aiohttp import ClientError, ClientSession, web

from channels.segment import count

ACCOUNT = "AC" + "0" * 31 + "1"
TOKEN = "the-auth-token-of-the-stand-in"
KEY, KEY_SECRET = "SK" + "0" * 31 + "1", "the-secret-of-an-api-key"
NUMBER = "+15005550006"
SERVICE = "MG" + "0" * 31 + "1"

REFUSED_SENDERS = {
    "+15005550001": (400, 21212, "The From phone number is not valid"),
    "+15005550007": (400, 21606, "The From phone number is not a valid, SMS-capable number"),
    "+15005550008": (429, 21611, "The From phone number's queue is full"),
}
REFUSED_TEXTS = {
    "+15005550001": (400, 21211, "The 'To' number +15005550001 is not a valid phone number."),
    "+15005550002": (400, 21612, "The To phone number is not reachable via SMS"),
    "+15005550003": (403, 21408, "Permission to send an SMS has not been enabled for the region"),
    "+15005550004": (400, 21610, "Attempt to send to unsubscribed recipient"),
    "+15005550009": (400, 21614, "To number is not a mobile number"),
}
REFUSED_CALLS = {
    "+15005550001": (400, 21217, "Phone number does not appear to be valid"),
    "+15005550002": (400, 21214, "'To' phone number cannot be reached"),
    "+15005550003": (403, 21215, "Account not authorized to call"),
    "+15005550004": (400, 21216, "Account not allowed to call"),
}
"""Twilio's magic numbers (carriers.md §1.3)."""

CALL_ENDED = {"completed", "busy", "no-answer", "failed", "canceled"}
TWIML_CHARS_MAX = 4000
STEPS_MAX = 60
"""Verbs of one call: a document that goes round for ever is a mistake of ours."""
DATE = "%a, %d %b %Y %H:%M:%S +0000"


@dataclass(frozen=True)
class Throttle:
    """429, with a Retry-After."""

    retry_after: float


@dataclass(frozen=True)
class Fail:
    """An error of Twilio's own, before or after it took the request."""

    status: int = 500
    taken: bool = True


@dataclass(frozen=True)
class Silence:
    """No answer."""


@dataclass(frozen=True)
class Cut:
    """The request is taken and the connection closed without an answer."""


@dataclass(frozen=True)
class Garbage:
    """A success that is no JSON."""

    body: str = "<html>hello</html>"
    status: int = 201


Fault = Throttle | Fail | Silence | Cut | Garbage


@dataclass
class Person:
    """Somebody with a phone, and what he does with it. `keys`: at each question; "" is silence."""

    keys: list[str] = field(default_factory=list)
    hangs_up_at: int = 0
    """In the middle of the nth message; 0: he listens."""
    answered_by: str = "human"
    ends: str = "completed"
    """busy, no-answer, failed: then nobody picks up."""
    sip: str = "200"
    text_ends: str = "delivered"
    text_error: str = ""
    heard: list[tuple[str, str, str]] = field(default_factory=list)
    """(verb, language, words or address) in the order they were said to him."""


@dataclass
class Record:
    """A message or a call as the interface shows it."""

    sid: str
    form: dict[str, list[str]]
    status: str
    created_at: datetime
    direction: str = "outbound-api"
    sent_at: datetime | None = None
    updated_at: datetime | None = None
    error: str = ""
    answered_by: str = ""
    seconds: int = 0
    sequence: int = 0

    def get(self, name: str) -> str:
        return self.form.get(name, [""])[0]


@dataclass(frozen=True)
class Post:
    """A callback that we made, and what came of it."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    status: int
    reply: str


def sign(token: str, url: str, pairs: list[tuple[str, str]], algorithm: str = "sha1") -> str:
    """Sign as Twilio's security page says: the URL, then names and values in order of the names."""
    text = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), algorithm).digest()).decode()


class TwilioServer:
    """One account. Nothing happens by itself."""

    def __init__(self, *, clock: Callable[[], datetime], token: str = TOKEN) -> None:
        self.clock = clock
        self.token = token
        self.signing_token = token
        self.messages: list[Record] = []
        self.calls: list[Record] = []
        self.people: dict[str, Person] = {}
        self.posts: list[Post] = []
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault | None = None
        self.early = False
        """Callbacks come before the request is answered."""
        self.twice = False
        """Every callback comes two times."""
        self.queues_calls = False
        """No call is begun: all lines of the account are busy."""
        self.sms_url = ""
        """Where messages to our number are announced."""
        self._session: ClientSession | None = None
        self._numbers = 0
        self._canceled: list[Record] = []
        """Calls of which it has not been told yet."""
        app = web.Application()
        root = "/2010-04-01/Accounts/{account}"
        for name in ("Messages", "Calls"):
            app.router.add_post(f"{root}/{name}.json", self._guarded(self._create))
            app.router.add_get(f"{root}/{name}.json", self._guarded(self._list))
            app.router.add_get(f"{root}/{name}/{{sid}}.json", self._guarded(self._fetch))
            app.router.add_post(f"{root}/{name}/{{sid}}.json", self._guarded(self._update))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        self._site: web.TCPSite | None = None
        self._never = asyncio.Event()

    async def start(self) -> None:
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await self._site.start()
        self.url = f"http://127.0.0.1:{self._site.port}"
        self._session = ClientSession()

    async def close(self) -> None:
        self._never.set()
        await self._runner.cleanup()
        if self._session is not None:
            await self._session.close()

    async def refuse(self) -> None:
        """Take no more connections."""
        assert self._site is not None
        await self._site.stop()

    def person(self, number: str) -> Person:
        return self.people.setdefault(number, Person())

    # -------------------------------------------------------------------------- the interface

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def guarded(request: web.Request) -> web.StreamResponse:
            self.requests.append((request.method, request.path))
            known = (f"{ACCOUNT}:{self.token}", f"{KEY}:{KEY_SECRET}")
            wanted = {f"Basic {base64.b64encode(one.encode()).decode()}" for one in known}
            if request.headers.get("Authorization") not in wanted:
                return problem(401, 20003, "Authenticate")
            if request.match_info["account"] != ACCOUNT:
                return problem(404, 20404, "The requested resource was not found")
            match self.fault:
                case None:
                    return await handler(request)
                case Throttle(retry_after):
                    headers = {
                        "Retry-After": f"{retry_after:g}",
                        "Twilio-Concurrent-Requests": "101",
                    }
                    return problem(429, 20429, "Too many requests", headers)
                case Silence():
                    await self._never.wait()
                    return problem(503, 20503, "too late")
                case Fail(status, taken):
                    if taken:
                        await handler(request)
                    return problem(status, 20500, "An internal server error has occurred")
                case Garbage(body, status):
                    await handler(request)
                    return web.Response(status=status, text=body)
                case Cut():
                    self.fault = None
                    await handler(request)
                    assert request.transport is not None
                    request.transport.close()
                    await asyncio.sleep(0)
                    return problem(500, 20500, "cut")

        return guarded

    async def _create(self, request: web.Request) -> web.StreamResponse:
        form: dict[str, list[str]] = {}
        for name, value in parse_qsl((await request.read()).decode("ascii"), True):
            form.setdefault(name, []).append(value)
        is_text = request.path.endswith("/Messages.json")
        refusal = self._refusal(form, is_text=is_text)
        if refusal is not None:
            return problem(*refusal)
        record = Record(
            sid=self._sid("SM" if is_text else "CA"),
            form=form,
            status="accepted" if "MessagingServiceSid" in form else "queued",
            created_at=self.clock(),
        )
        (self.messages if is_text else self.calls).append(record)
        if self.early:
            first = "sent" if is_text else "initiated"
            await (self._text_status(record, first) if is_text else self._progress(record, first))
        return web.json_response(self._shown(record), status=201)

    @staticmethod
    def _refusal(form: Mapping[str, list[str]], *, is_text: bool) -> tuple[int, int, str] | None:
        to, sender = form.get("To", [""])[0], form.get("From", [""])[0]
        if not to:
            return 400, 21604 if is_text else 21201, "A 'To' phone number is required."
        if is_text and not sender and not form.get("MessagingServiceSid"):
            return 400, 21603, "A 'From' phone number is required."
        if is_text and not form.get("Body", [""])[0]:
            return 400, 21602, "Message body is required."
        if is_text and len(form["Body"][0]) > 1600:
            return 400, 21617, "The concatenated message body exceeds the 1600 character limit."
        validity = form.get("ValidityPeriod", ["1"])[0]
        if is_text and not (validity.isdecimal() and 1 <= int(validity) <= 36_000):
            return 400, 90007, "ValidityPeriod is out of range"
        if not is_text and not (form.get("Url") or form.get("Twiml")):
            return 400, 21205, "Url parameter is required."
        if not is_text and len(form.get("Twiml", [""])[0]) > TWIML_CHARS_MAX:
            return 400, 21218, "Twiml is longer than 4000 characters"
        if not to.startswith("+"):
            return (REFUSED_TEXTS if is_text else REFUSED_CALLS)["+15005550001"]
        refused = REFUSED_SENDERS if is_text else {}
        return refused.get(sender) or (REFUSED_TEXTS if is_text else REFUSED_CALLS).get(to)

    async def _list(self, request: web.Request) -> web.StreamResponse:
        is_text = request.path.endswith("/Messages.json")
        query = request.query
        found = list(reversed(self.messages if is_text else self.calls))
        if to := query.get("To"):
            found = [r for r in found if r.get("To") == to]
        if sender := query.get("From"):
            found = [r for r in found if r.get("From") == sender]
        if since := query.get("DateSent>"):
            # Only what has been sent has a DateSent: what still waits in the queue is not found.
            earliest = datetime.fromisoformat(since.replace("Z", "+00:00"))
            found = [r for r in found if r.sent_at is not None and r.sent_at >= earliest]
        if before := query.get("DateSent<"):
            latest = datetime.fromisoformat(before.replace("Z", "+00:00"))
            found = [r for r in found if r.sent_at is not None and r.sent_at <= latest]
        size, page = int(query.get("PageSize", 50)), int(query.get("Page", 0))
        shown = found[page * size : (page + 1) * size]
        following = None
        if len(found) > (page + 1) * size:
            more = {**query, "Page": page + 1, "PageSize": size}
            following = f"{request.path}?{urlencode(more)}"
        return web.json_response(
            {
                "messages" if is_text else "calls": [self._shown(r) for r in shown],
                "page": page,
                "page_size": size,
                "uri": str(request.rel_url),
                "first_page_uri": request.path,
                "next_page_uri": following,
                "previous_page_uri": None,
                "start": page * size,
                "end": page * size + len(shown),
            }
        )

    async def _fetch(self, request: web.Request) -> web.StreamResponse:
        record = self._find(request.match_info["sid"])
        if record is None:
            return problem(404, 20404, "The requested resource was not found")
        return web.json_response(self._shown(record))

    async def _update(self, request: web.Request) -> web.StreamResponse:
        record = self._find(request.match_info["sid"])
        if record is None:
            return problem(404, 20404, "The requested resource was not found")
        status = (await request.post()).get("Status")
        if record in self.messages:
            if record.status != "scheduled":
                return problem(400, 30409, "Message cannot be canceled in its current state")
            record.status = "canceled"
        elif record.status in CALL_ENDED:
            return problem(400, 21220, "Call is not in-progress. Cannot redirect.")
        elif status == "canceled" and record.status != "in-progress":
            record.status = "canceled"
            self._canceled.append(record)
        elif status == "completed":
            record.status = "completed"
        return web.json_response(self._shown(record))

    def _find(self, sid: str) -> Record | None:
        return next((r for r in [*self.messages, *self.calls] if r.sid == sid), None)

    def _sid(self, prefix: str) -> str:
        self._numbers += 1
        return f"{prefix}{self._numbers:032x}"

    def _shown(self, record: Record) -> dict[str, object]:
        def date(at: datetime | None) -> str | None:
            return at.astimezone(UTC).strftime(DATE) if at else None

        shared = {
            "sid": record.sid,
            "account_sid": ACCOUNT,
            "to": record.get("To"),
            "from": record.get("From") or None,
            "status": record.status,
            "direction": record.direction,
            "date_created": date(record.created_at),
            "date_updated": date(record.updated_at or record.created_at),
            "uri": f"/2010-04-01/Accounts/{ACCOUNT}/x/{record.sid}.json",
        }
        if record.sid.startswith("SM"):
            waits = record.status == "accepted"
            return {
                **shared,
                "body": record.get("Body"),
                "num_segments": "0" if waits else str(count(record.get("Body")).parts),
                "messaging_service_sid": record.get("MessagingServiceSid") or None,
                "date_sent": date(record.sent_at),
                "error_code": int(record.error) if record.error else None,
            }
        return {
            **shared,
            "answered_by": record.answered_by or None,
            "duration": str(record.seconds) if record.status == "completed" else None,
            "start_time": date(record.sent_at),
        }

    # ------------------------------------------------------------------------------- what happens

    async def settle(self) -> int:
        """Let everything that waits come to its end; returns how many messages and calls."""
        texts = [m for m in self.messages if m.status in {"queued", "accepted", "sent"}]
        texts = [m for m in texts if m.direction == "outbound-api" and m.sent_at is None]
        waiting = () if self.queues_calls else ("queued", "initiated")
        calls = [c for c in self.calls if c.status in waiting]
        canceled, self._canceled = self._canceled, []
        for call in canceled:
            await self._progress(call, "canceled")
        for message in texts:
            await self._deliver(message)
        for call in calls:
            await self._ring(call)
        return len(texts) + len(calls) + len(canceled)

    async def text(self, number: str, body: str, *, to: str = NUMBER, opt_out: str = "") -> Record:
        """Somebody writes to our number."""
        record = Record(
            sid=self._sid("SM"),
            form={"From": [number], "To": [to], "Body": [body]},
            status="received",
            created_at=self.clock(),
            sent_at=self.clock(),
            direction="inbound",
        )
        self.messages.append(record)
        if self.sms_url:
            fields = {
                "MessageSid": record.sid,
                "SmsMessageSid": record.sid,
                "SmsSid": record.sid,
                "AccountSid": ACCOUNT,
                "From": number,
                "To": to,
                "Body": body,
                "NumMedia": "0",
                "NumSegments": str(count(body).parts),
                "SmsStatus": "received",
                "ApiVersion": "2010-04-01",
                **({"OptOutType": opt_out} if opt_out else {}),
            }
            await self.post(self.sms_url, fields)
        return record

    async def _deliver(self, message: Record) -> None:
        person = self.person(message.get("To"))
        message.sent_at = self.clock()
        await self._text_status(message, "sent")
        message.error = person.text_error
        await self._text_status(message, person.text_ends)

    async def _text_status(self, message: Record, status: str) -> None:
        message.status, message.updated_at = status, self.clock()
        fields = {
            "MessageSid": message.sid,
            "SmsSid": message.sid,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": message.get("To"),
            "From": message.get("From") or NUMBER,
            "AccountSid": ACCOUNT,
            "ApiVersion": "2010-04-01",
            **({"ErrorCode": message.error} if message.error else {}),
        }
        if url := message.get("StatusCallback"):
            await self.post(url, fields)

    async def _ring(self, call: Record) -> None:
        person = self.person(call.get("To"))
        await self._progress(call, "initiated")
        if person.ends != "failed":
            await self._progress(call, "ringing")
        if person.ends != "completed":
            await self._progress(call, person.ends, sip=person.sip)
            return
        call.sent_at, call.status = self.clock(), "in-progress"
        await self._progress(call, "in-progress")
        if call.get("MachineDetection"):
            call.answered_by = person.answered_by
            await self.post(
                call.get("AsyncAmdStatusCallback"),
                {
                    "CallSid": call.sid,
                    "AccountSid": ACCOUNT,
                    "AnsweredBy": person.answered_by,
                    "MachineDetectionDuration": "2400",
                },
            )
        await _Player(self, call, person).play()
        if call.status != "canceled":
            await self._progress(call, "completed")

    async def _progress(self, call: Record, status: str, *, sip: str = "200") -> None:
        call.status, call.updated_at = status, self.clock()
        event = {"in-progress": "answered"}.get(status, status)
        if event in CALL_ENDED:
            event = "completed"
        fields = {
            **self._about(call),
            "CallbackSource": "call-progress-events",
            "SequenceNumber": str(call.sequence),
            "Timestamp": format_datetime(self.clock()),
        }
        if status in CALL_ENDED:
            fields |= {"CallDuration": str(call.seconds), "SipResponseCode": sip}
            if call.answered_by:
                fields["AnsweredBy"] = call.answered_by
        call.sequence += 1
        if event in call.form.get("StatusCallbackEvent", ["completed"]):
            await self.post(call.get("StatusCallback"), fields)

    def _about(self, call: Record) -> dict[str, str]:
        return {
            "CallSid": call.sid,
            "AccountSid": ACCOUNT,
            "From": call.get("From"),
            "To": call.get("To"),
            "CallStatus": call.status,
            "ApiVersion": "2010-04-01",
            "Direction": "outbound-api",
        }

    # --------------------------------------------------------------------------------- callbacks

    async def post(self, url: str, fields: Mapping[str, str]) -> str:
        """Post a signed callback, as often as its connection override says. Returns the answer."""
        if not url:
            return ""
        target, _, overrides = url.partition("#")
        rules = dict(parse_qsl(overrides))
        tries = 1 + (int(rules.get("rc", "1")) if rules.get("rp") == "all" else 0)
        reply = ""
        for _ in range(2 if self.twice else 1):
            for _ in range(tries):
                status, reply = await self._post_once(target, fields)
                if status < 400:
                    break
        return reply

    async def _post_once(self, url: str, fields: Mapping[str, str]) -> tuple[int, str]:
        assert self._session is not None
        body = urlencode(fields).encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "X-Twilio-Signature": sign(self.signing_token, url, list(fields.items())),
            "I-Twilio-Idempotency-Token": hashlib.sha256(body).hexdigest()[:32],
            "User-Agent": "TwilioProxy/1.1",
        }
        status, reply = 0, ""
        try:
            async with self._session.post(url, data=body, headers=headers) as response:
                status, reply = response.status, await response.text()
        except ClientError:
            status = 599
        self.posts.append(Post(url, headers, body, status, reply))
        return status, reply

    async def ask(self, call: Record, url: str, more: Mapping[str, str] | None = None) -> str:
        """Ask our callback how a call goes on."""
        return await self.post(url, {**self._about(call), **(more or {})})


class _Player:
    """Plays TwiML to a person: Say, Play, Pause, Gather, Redirect, Hangup."""

    def __init__(self, server: TwilioServer, call: Record, person: Person) -> None:
        self._server = server
        self._call = call
        self._person = person
        self._questions = 0
        self._steps = 0

    async def play(self) -> None:
        call = self._call
        document = call.get("Twiml") or await self._server.ask(call, call.get("Url"))
        base = call.get("Url")
        keys = list(self._person.keys)
        while document:
            document, base = await self._walk(document, base, keys)

    async def _walk(self, document: str, base: str, keys: list[str]) -> tuple[str, str]:
        """Walk one document; returns the next one, or "" at the end of the call."""
        for verb in ElementTree.fromstring(document):
            self._steps += 1
            assert self._steps < STEPS_MAX, "the call goes round for ever"
            match verb.tag:
                case "Say" | "Play":
                    self._hear(verb)
                case "Pause":
                    self._call.seconds += int(verb.get("length", "1"))
                case "Hangup":
                    return "", ""
                case "Redirect":
                    url = urljoin(base, verb.text or "")
                    return await self._server.ask(self._call, url), url
                case "Gather":
                    url = urljoin(base, verb.get("action", ""))
                    key = self._gather(verb, keys)
                    if key is None:
                        return "", ""
                    if key or verb.get("actionOnEmptyResult") == "true":
                        more = {"Digits": key, "FinishedOnKey": ""}
                        return await self._server.ask(self._call, url, more), url
                case unknown:
                    raise AssertionError(f"no such verb: {unknown}")
        return "", ""

    def _gather(self, verb: ElementTree.Element, keys: list[str]) -> str | None:
        """Return the key that is pressed, "" for silence, None when the person hangs up."""
        self._questions += 1
        for inner in verb:
            if inner.tag == "Pause":
                self._call.seconds += int(inner.get("length", "1"))
            elif self._questions == self._person.hangs_up_at:
                self._call.seconds += 2
                return None
            else:
                self._hear(inner)
        key = keys.pop(0) if keys else ""
        if key == verb.get("finishOnKey", "#"):
            return ""
        return key

    def _hear(self, verb: ElementTree.Element) -> None:
        words = verb.text or ""
        self._person.heard.append((verb.tag, verb.get("language", ""), words))
        self._call.seconds += 1 + len(words) // 4


def problem(
    status: int, code: int, message: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """An error as Twilio writes it."""
    body = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.json_response(body, status=status, headers=headers)


def query_of(url: str) -> dict[str, str]:
    """Return the query of a URL, without what only Twilio reads."""
    return dict(parse_qsl(urlsplit(url).query))
