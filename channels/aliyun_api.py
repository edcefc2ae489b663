"""Alibaba Cloud's way of asking: RPC calls over HTTP, each signed by ACS3-HMAC-SHA256.

    POST {base_url}/?<parameters, sorted and quoted>        empty body
      x-acs-action, x-acs-version, x-acs-date, x-acs-signature-nonce, x-acs-content-sha256
      Authorization: ACS3-HMAC-SHA256 Credential=<id>,SignedHeaders=…,Signature=<hex>

    canonical request = method, path, query, headers, their names, hash of the body, each on a line
    signature         = HMAC-SHA256(secret, algorithm + newline + SHA-256 of the canonical request)

The signature holds for fifteen minutes and a nonce for one request, so both clock and nonce are
handed in. It answers with a Code in a JSON object; what a code means is `channels.aliyun_error`'s.
It never tries again and never logs a parameter: they hold phone numbers.
Source: Alibaba Cloud, "V3 request structure and signature", whose two worked examples are in the
tests.
"""

import hashlib
import hmac
import secrets as chance
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote

from aiohttp import ClientError
from yarl import URL

from channels.clock import Clock
from channels.http_client import (
    HttpClient,
    TimeLimits,
    fault_of,
    read_bounded,
    read_json_object,
    retry_after_seconds,
)

ALGORITHM: Final = "ACS3-HMAC-SHA256"
NO_BODY: Final = hashlib.sha256(b"").hexdigest()
"""All parameters travel in the address, as the API's description has them."""

ANSWER_BYTES_MAX = 512 * 1024
"""A page of fifty sends with their texts; an answer to a send is under one kilobyte."""

Nonce = Callable[[], str]
"""Returns a string that was never returned before."""


def new_nonce() -> str:
    """Return 128 random bits."""
    return chance.token_hex(16)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """Who asks. The secret never leaves this process: only signatures made with it do."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `code`: OK, or the carrier's word; "" when there was no JSON object."""

    status: int
    code: str
    message: str
    retry_after: float
    said: Mapping[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the carrier did what it was asked."""
        return self.status == 200 and self.code == "OK"


class AliyunApi:
    """One product's endpoint, asked with one access key."""

    def __init__(
        self,
        *,
        base_url: str,
        version: str,
        key: AccessKey,
        clock: Clock,
        nonce: Nonce = new_nonce,
        limits: TimeLimits | None = None,
    ) -> None:
        """`version` is the API's, such as 2017-05-25. Raises ValueError for a bad address."""
        self._base = URL(base_url)
        if self._base.scheme not in ("http", "https") or not self._base.host:
            raise ValueError("base_url must be an address such as https://dysmsapi.aliyuncs.com")
        self._version = version
        self._key = key
        self._clock = clock
        self._nonce = nonce
        self._client = HttpClient(
            limits=limits,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": "warnsvc",
            },
        )

    @property
    def host(self) -> str:
        """The host that is asked, for a repr."""
        return self._base.host or ""

    async def ask(self, action: str, parameters: Mapping[str, str]) -> Answer:
        """Return the carrier's answer. Raises ChannelError when there is none."""
        try:
            async with self._client.gate:
                query = canonical_query(parameters)
                async with self._client.session().post(
                    URL(f"{self._base.origin()}/?{query}", encoded=True),
                    headers=self._headers(action, query),
                    allow_redirects=False,
                ) as response:
                    said = read_json_object(await read_bounded(response, ANSWER_BYTES_MAX))
                    pause = retry_after_seconds(response.headers, self._clock())
                    return _answer(response.status, said, pause)
        except (ClientError, TimeoutError, OSError) as error:
            raise fault_of(error) from error

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    def _headers(self, action: str, query: str) -> dict[str, str]:
        signed = {
            "host": self._base.authority if not self._base.is_default_port() else self.host,
            "x-acs-action": action,
            "x-acs-content-sha256": NO_BODY,
            "x-acs-date": self._clock().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-version": self._version,
        }
        return {**signed, "Authorization": authorization(self._key, signed, query)}


def canonical_query(parameters: Mapping[str, str]) -> str:
    """Return the parameters sorted by name and quoted as RFC 3986 says."""
    return "&".join(
        f"{quote(name, safe='')}={quote(parameters[name], safe='')}" for name in sorted(parameters)
    )


def authorization(key: AccessKey, headers: Mapping[str, str], query: str) -> str:
    """Return the Authorization header of a POST to `/`. `headers`: those signed, in lower case."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in sorted(headers))
    content = headers.get("x-acs-content-sha256", NO_BODY)
    canonical = f"POST\n/\n{query}\n{lines}\n{names}\n{content}"
    hashed = hashlib.sha256(canonical.encode()).hexdigest()
    signature = hmac.digest(key.secret.encode(), f"{ALGORITHM}\n{hashed}".encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={key.id},SignedHeaders={names},Signature={signature}"


def _answer(status: int, said: Mapping[str, Any], pause: float) -> Answer:
    return Answer(
        status=status,
        code=str(said.get("Code", "")),
        message=str(said.get("Message", "")),
        retry_after=pause,
        said=said,
    )


def instant(text: object) -> datetime | None:
    """Return the instant of a local time without a zone, or None when it is none.

    The carrier writes the time in China: `2017-06-01 10:00:00`, in older messages without marks.
    """
    digits = "".join(character for character in str(text) if character.isdigit())
    if len(digits) != LOCAL_TIME_DIGITS or not digits.isascii():
        return None
    try:
        return datetime.strptime(f"{digits} +0800", "%Y%m%d%H%M%S %z").astimezone(UTC)
    except ValueError:
        return None


LOCAL_TIME_DIGITS = 14
"""Year to second."""
