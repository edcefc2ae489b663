"""A stand-in for Alibaba Cloud's SMS and Voice Service: it speaks their HTTP and keeps their rules.

    SendSms, QuerySendDetails            the phone's operator reports, people reply (SmsUp)
    SingleCallByTts, IvrCall             calls ring, are answered, listen, press keys, end
    what happened ──► pushed in batches to one address, again after 1, 5 and 10 minutes, then never

Everything runs on virtual time. Signatures are checked by a second implementation of the scheme that
shares nothing with the adapter's. It knows approved templates and how long their values may be, the
sign names and numbers of the account, and each callee's limits; it refuses what the real one
refuses, with its codes. What it does not know: operators, reviews, money.
"""

import asyncio
import hashlib
import hmac
import json
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import parse_qsl, quote

from aiohttp import ClientError, ClientSession, ClientTimeout, web

from channels.simulator import ManualTimeline

CHINA = timezone(timedelta(hours=8))
RETRY_MINUTES = (1, 5, 10)
SIGNED_FOR = timedelta(minutes=15)
SMS_LIMITS = ((50, 86_400),)
CALL_LIMITS = ((1, 60), (5, 3_600), (20, 86_400))
LIMIT_WORDS = {60: "分钟级", 3_600: "小时级", 86_400: "天级"}


@dataclass(frozen=True, kw_only=True)
class Approved:
    """A template as it was approved: its text, and how long each of its variables may be."""

    text: str
    limits: Mapping[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class Sent:
    """One text or call that was taken."""

    out_id: str
    phone: str
    text: str
    template: str
    reference: str
    at: datetime
    parameters: Mapping[str, str]
    status: str = "1"
    code: str = ""
    received: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Person:
    """Who picks up: after how long, how long they listen, and which keys they press."""

    picks_up: bool = True
    listens: float = 999.0
    keys: str = ""
    end: str = ""
    """A status code that overrules: 200002 engaged, 200010 switched off, …"""


class Aliyun:
    """One account at the provider, and the phones of its callees."""

    def __init__(self, start: datetime) -> None:
        self.timeline = ManualTimeline(start)
        self.secrets = {"LTAI-test": "access-key-word"}
        self.sign_names = {"清河县应急管理局"}
        self.numbers = {"09915550000"}
        self.templates: dict[str, Approved] = {}
        self.sent: list[Sent] = []
        self.requests: list[dict[str, str]] = []
        self.people: dict[str, Person] = {}
        self.operators: dict[str, str] = {}
        """Phone → the code that its operator reports instead of DELIVERED."""
        self.push_url = ""
        self.copies = 1
        """How often each report is pushed."""
        self.holds_back = 0.0
        """Seconds for which reports are gathered into one batch."""
        self.pushes: list[tuple[datetime, int]] = []
        self.refuse_with: tuple[int, str, str, dict[str, str]] | None = None
        self.silent = False
        self.cuts = False
        self._nonces: set[str] = set()
        self._dialled: dict[str, list[datetime]] = defaultdict(list)
        self._queue: list[dict[str, Any]] = []
        self._ended = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self.url = ""

    # ------------------------------------------------------------------------------ its own server

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/", self._take)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"

    async def close(self) -> None:
        self._ended.set()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
        await self.timeline.close()

    async def _take(self, request: web.Request) -> web.Response:
        if self.silent:
            await self._ended.wait()
        if self.refuse_with is not None:
            status, code, message, headers = self.refuse_with
            return web.json_response({"Code": code, "Message": message}, status=status, headers=headers)
        fault = self._not_signed(request, await request.read())
        if fault:
            return web.json_response({"Code": fault, "Message": fault}, status=400)
        parameters = dict(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        self.requests.append({"Action": request.headers["x-acs-action"], **parameters})
        status, said = self._do(request.headers["x-acs-action"], parameters)
        if self.cuts:
            self.cuts = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"RequestId": "R-1", "Message": "OK", **said}, status=status)

    def _not_signed(self, request: web.Request, body: bytes) -> str:
        """Return the code for a request that is not signed as it should be: a second reading of
        the same page, written from the string outwards."""
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        said = dict(part.split("=", 1) for part in rest.split(",") if "=" in part)
        if scheme != "ACS3-HMAC-SHA256" or {"Credential", "SignedHeaders", "Signature"} - set(said):
            return "IncompleteSignature"
        secret = self.secrets.get(said["Credential"])
        if secret is None:
            return "InvalidAccessKeyId.NotFound"
        names = said["SignedHeaders"].split(";")
        must = {n.lower() for n in request.headers if n.lower().startswith("x-acs-")} | {"host"}
        if names != sorted(names) or must - set(names):
            return "IncompleteSignature"
        when = datetime.strptime(request.headers["x-acs-date"], "%Y-%m-%dT%H:%M:%S%z")
        if abs(when - self.timeline.now_at()) > SIGNED_FOR:
            return "InvalidTimeStamp.Expired"
        if hashlib.sha256(body).hexdigest() != request.headers["x-acs-content-sha256"]:
            return "SignatureDoesNotMatch"
        pairs = sorted(parse_qsl(request.rel_url.raw_query_string, keep_blank_values=True))
        canonical = [
            "POST",
            "/",
            "&".join("=".join(quote(word, safe="-_.~") for word in pair) for pair in pairs),
            *(f"{name}:{request.headers[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        ]
        digest = hashlib.sha256("\n".join(canonical).encode("utf-8")).hexdigest()
        code = hmac.new(secret.encode("utf-8"), digestmod="sha256")
        code.update(b"ACS3-HMAC-SHA256\n" + digest.encode("ascii"))
        if not hmac.compare_digest(code.hexdigest(), said["Signature"]):
            return "SignatureDoesNotMatch"
        nonce = request.headers["x-acs-signature-nonce"]
        if nonce in self._nonces:
            return "SignatureNonceUsed"
        self._nonces.add(nonce)
        return ""

    def _do(self, action: str, parameters: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        match action:
            case "SendSms":
                return self._send(parameters)
            case "QuerySendDetails":
                return 200, self._details(parameters)
            case "SingleCallByTts":
                return self._call(parameters, parameters.get("TtsCode", ""), "TtsParam")
            case "IvrCall":
                return self._call(parameters, parameters.get("StartCode", ""), "StartTtsParams")
            case _:
                return 404, {"Code": "InvalidAction.NotFound", "Message": action}

    # ---------------------------------------------------------------------------------------- texts

    def _send(self, parameters: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        phone = parameters.get("PhoneNumbers", "")
        if not _is_mobile(phone):
            return refused("isv.MOBILE_NUMBER_ILLEGAL", f"{phone}invalid mobile number")
        if parameters.get("SignName") not in self.sign_names:
            return refused("isv.SMS_SIGNATURE_ILLEGAL", "签名不合法")
        if len(parameters.get("OutId", "")) >= 256:
            return refused("isv.INVALID_PARAMETERS", "OutId")
        code = parameters.get("TemplateCode", "")
        text = self._filled(code, parameters.get("TemplateParam", "{}"), "isv.SMS_TEMPLATE_ILLEGAL")
        if isinstance(text, tuple):
            return refused(*text)
        limited = self._limited(f"{phone} {code}", SMS_LIMITS)
        if limited:
            return refused("isv.BUSINESS_LIMIT_CONTROL", limited)
        sent = self._kept(parameters, phone, code, text, f"9{len(self.sent):05d}^0")
        self.timeline.after(3.0, lambda: self._arrives(sent))
        return 200, {"Code": "OK", "BizId": sent.reference}

    def _arrives(self, sent: Sent) -> None:
        code = self.operators.get(sent.phone, "DELIVERED")
        sent.code, sent.received = code, self.timeline.now_at()
        sent.status = "3" if code == "DELIVERED" else "2"
        self._report(
            {
                "phone_number": sent.phone,
                "send_time": local(sent.at),
                "report_time": local(sent.received),
                "success": code == "DELIVERED",
                "err_code": code,
                "err_msg": "用户接收成功" if code == "DELIVERED" else code,
                "sms_size": "1",
                "biz_id": sent.reference,
                "out_id": sent.out_id,
            }
        )

    def says(self, phone: str, text: str, *, numbered: bool = True) -> None:
        """Let somebody reply by text."""
        reply = {
            "phone_number": phone,
            "content": text,
            "send_time": local(self.timeline.now_at()),
            "dest_code": "4455",
        }
        if numbered:
            reply["sequence_id"] = str(70_000 + len(self.pushes) + len(self._queue))
        self._report(reply)

    def _details(self, parameters: Mapping[str, str]) -> dict[str, Any]:
        day, phone = parameters["SendDate"], parameters["PhoneNumber"]
        size, page = int(parameters["PageSize"]), int(parameters["CurrentPage"])
        assert 1 <= size <= 50, "the API shows fifty at most"
        rows = [
            {
                "PhoneNum": sent.phone,
                "SendStatus": int(sent.status),
                "ErrCode": sent.code,
                "TemplateCode": sent.template,
                "Content": f"【清河县应急管理局】{sent.text}",
                "SendDate": local(sent.at),
                "OutId": sent.out_id,
                **({"ReceiveDate": local(sent.received)} if sent.received else {}),
            }
            for sent in self.sent
            if sent.phone == phone and sent.at.astimezone(CHINA).strftime("%Y%m%d") == day
        ]
        shown = rows[(page - 1) * size : page * size]
        return {
            "Code": "OK",
            "TotalCount": str(len(rows)),
            "SmsSendDetailDTOs": {"SmsSendDetailDTO": shown},
        }

    # ---------------------------------------------------------------------------------------- calls

    def _call(
        self, parameters: Mapping[str, str], code: str, values: str
    ) -> tuple[int, dict[str, Any]]:
        phone, shown = parameters.get("CalledNumber", ""), parameters.get("CalledShowNumber", "")
        if not (_is_mobile(phone) or (phone.startswith("0") and phone.isdigit() and len(phone) > 9)):
            return refused("isv.MOBILE_NUMBER_ILLEGAL", "被叫号码格式非法")
        if (shown or values == "StartTtsParams") and shown not in self.numbers:
            return refused("isv.DISPLAY_NUMBER_ILLEGAL", "号显不合法")
        if not 1 <= len(parameters.get("OutId", "").encode()) <= 15:
            return refused("isv.INVALID_PARAMETERS", "OutId 长度为 1~15 个字节")
        if int(parameters.get("PlayTimes", "1")) not in (1, 2, 3):
            return refused("isv.INVALID_PARAMETERS", "PlayTimes")
        menu = [v for k, v in parameters.items() if k.startswith("MenuKeyMap.") and k.endswith(".Code")]
        if any(one not in self.templates for one in menu):
            return refused("isv.TTS_TEMPLATE_ILLEGAL", "按键模板不合法")
        text = self._filled(code, parameters.get(values, "{}"), "isv.TTS_TEMPLATE_ILLEGAL")
        if isinstance(text, tuple):
            return refused(*text)
        limited = self._limited(phone, CALL_LIMITS)
        if limited:
            return refused("isv.BUSINESS_LIMIT_CONTROL", limited)
        sent = self._kept(parameters, phone, code, text, f"11{len(self.sent):05d}^22")
        self._ring(sent)
        return 200, {"Code": "OK", "CallId": sent.reference}

    def _ring(self, sent: Sent) -> None:
        """Let the call happen: each step is reported on the way, and the whole at its end."""
        person = self.people.get(sent.phone, Person())
        answered = person.picks_up and not person.end
        spoken = len(sent.text) / 4.5 * int(sent.parameters.get("PlayTimes", "1"))
        self._later(1.0, sent, "200101")
        if person.end:
            self._ends(4.0, sent, person.end, 0, "")
        elif not answered:
            self._later(4.0, sent, "200201")
            self._ends(34.0, sent, "200003", 0, "")
        else:
            self._later(4.0, sent, "200201")
            self._later(10.0, sent, "200102")
            heard = min(person.listens, spoken)
            listening = "MenuKeyMap.1.Key" in sent.parameters
            keys = person.keys if listening else ""
            for place, key in enumerate(keys, 1):
                self._later(10.0 + heard + place, sent, "300000", dtmf=key)
            code = "200000" if heard >= spoken else "200001"
            if listening and heard >= spoken and not keys:
                code, heard = "200008", heard + int(sent.parameters.get("Timeout", "0")) / 1000
            self._later(12.0 + heard + len(keys), sent, "200100")
            self._ends(13.0 + heard + len(keys), sent, code, int(heard), keys)

    def _later(self, seconds: float, sent: Sent, code: str, **more: str) -> None:
        self.timeline.after(
            seconds,
            lambda: self._report(
                {
                    "call_id": sent.reference,
                    "out_id": sent.out_id,
                    "status_code": code,
                    "status_time": local(self.timeline.now_at()),
                    **more,
                }
            ),
        )

    def _ends(self, seconds: float, sent: Sent, code: str, duration: int, keys: str) -> None:
        self.timeline.after(
            seconds,
            lambda: self._report(
                {
                    "status_code": code,
                    "callee": sent.phone,
                    "duration": str(duration),
                    "voice_type": "voice",
                    "originate_time": local(sent.at),
                    "end_time": local(self.timeline.now_at()),
                    "call_id": sent.reference,
                    "caller": sent.parameters.get("CalledShowNumber", ""),
                    "status_msg": "执行完成",
                    "out_id": sent.out_id,
                    "toll_type": "LOCAL",
                    **({"dtmf": keys} if keys else {}),
                }
            ),
        )

    # ------------------------------------------------------------------------------------ its rules

    def _filled(self, code: str, values: str, unknown: str) -> str | tuple[str, str]:
        """Return the template's text with its values, or why it is refused."""
        approved = self.templates.get(code)
        if approved is None:
            return unknown, "模板不合法(不存在或未审核通过)"
        try:
            given = json.loads(values)
        except ValueError:
            return "isv.INVALID_JSON_PARAM", "JSON参数不合法"
        if not isinstance(given, dict) or any(not isinstance(v, str) for v in given.values()):
            return "isv.INVALID_JSON_PARAM", "JSON参数不合法,只接受字符串值"
        text = approved.text
        for name, limit in approved.limits.items():
            if not given.get(name):
                return "isv.TEMPLATE_MISSING_PARAMETERS", f"模板缺少变量:{name}"
            if len(given[name]) > limit:
                return "isv.PARAM_LENGTH_LIMIT", f"变量{name}超过长度限制"
            if "http" in given[name].lower() or "www." in given[name].lower():
                return "isv.PARAM_NOT_SUPPORT_URL", "变量不支持传入URL"
            text = text.replace(f"${{{name}}}", given[name])
        return text

    def _limited(self, callee: str, limits: tuple[tuple[int, int], ...]) -> str:
        now, before = self.timeline.now_at(), self._dialled[callee]
        for count, seconds in limits:
            lately = [at for at in before if now - at < timedelta(seconds=seconds)]
            if len(lately) >= count:
                return f"触发{LIMIT_WORDS[seconds]}流控Permits:{count}"
        before.append(now)
        return ""

    def _kept(
        self, parameters: Mapping[str, str], phone: str, code: str, text: str, reference: str
    ) -> Sent:
        sent = Sent(
            out_id=parameters.get("OutId", ""),
            phone=phone,
            text=text,
            template=code,
            reference=reference,
            at=self.timeline.now_at(),
            parameters=parameters,
        )
        self.sent.append(sent)
        return sent

    # ---------------------------------------------------------------------------------------- pushes

    def _report(self, report: dict[str, Any]) -> None:
        """Put a report into the batch that is pushed next."""
        if not self._queue:
            self.timeline.after(self.holds_back, self._push_queue)
        self._queue.append(report)

    def _push_queue(self) -> Any:
        batch, self._queue = self._queue, []
        return self._push_copies(batch)

    async def _push_copies(self, batch: list[dict[str, Any]]) -> None:
        for _ in range(self.copies):
            await self._push(batch, 0)

    async def _push(self, batch: list[dict[str, Any]], tries: int) -> None:
        """Post one batch; only 200 with a number in `code` ends it, or the fourth failure."""
        if not self.push_url:
            return
        self.pushes.append((self.timeline.now_at(), len(batch)))
        if await self._taken(batch) or tries >= len(RETRY_MINUTES):
            return
        again: Callable[[], Any] = lambda: self._push(batch, tries + 1)  # noqa: E731
        self.timeline.after(60.0 * RETRY_MINUTES[tries], again)

    async def _taken(self, batch: list[dict[str, Any]]) -> bool:
        body = json.dumps(batch, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json; charset=UTF-8"}
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=10)) as session,
                session.post(self.push_url, data=body, headers=headers) as response,
            ):
                said = json.loads(await response.read())
                return response.status == 200 and isinstance(said.get("code"), int)
        except (ClientError, TimeoutError, OSError, ValueError, AttributeError):
            return False


def refused(code: str, message: str) -> tuple[int, dict[str, Any]]:
    """A refusal of the product comes with 200, as the real one's do."""
    return 200, {"Code": code, "Message": message}


def local(at: datetime) -> str:
    """A time in China, without its zone."""
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _is_mobile(phone: str) -> bool:
    return len(phone) == 11 and phone.isdigit() and phone[0] == "1" and phone[1] in "3456789"


START = datetime(2025, 7, 11, 6, 0, tzinfo=UTC)
