"""An HTTP client of ours under Twilio's SDK: the SDK makes the requests, this one sends them.

    SDK ──► TwilioHttp.request ──► channels.http_client (limits, gate, pool) ──► api.twilio.com
               2xx with a JSON object ──► back to the SDK
               anything else          ──► Refusal, with the headers of that very answer

The SDK's own client has no time limit that holds, repeats POSTs when told to retry, loses headers
and logs phone numbers (carriers.md §2). This one never repeats, never logs, never follows a
redirect, and makes the `Authorization` header itself, because aiohttp's `auth=` is going away.
Network faults come out as aiohttp raises them; `channels.http_client.fault_of` knows their meaning.
"""

import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from twilio.http import AsyncHttpClient  # type: ignore[import-untyped]
from twilio.http.response import Response  # type: ignore[import-untyped]
from yarl import URL

from channels.http_client import (
    REPLY_BYTES_MAX,
    HttpClient,
    TimeLimits,
    read_bounded,
    read_json_object,
)
from channels.veil import without_secrets

LIST_BYTES_MAX = 8 * 1024 * 1024
"""A page of a thousand messages; each is about two kilobytes of JSON."""

REASON_CHARS_MAX = 200
"""Twilio's sentences are shorter; a proxy's error page is not worth keeping."""

_NUMBER = re.compile(r"\+?\d{7,}")
"""Twilio quotes the number in its errors; ours are kept and shown without."""


class Refusal(Exception):
    """Twilio's answer was no success. `headers` are those of this answer and no other's."""

    def __init__(self, *, status: int, code: int, reason: str, headers: Mapping[str, str]) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        """Twilio's own code, or the HTTP status where it gave none."""
        self.reason = reason
        self.headers = headers


class TwilioHttp(AsyncHttpClient):  # type: ignore[misc]
    """What the SDK calls an async HTTP client. Opens connections on first use."""

    def __init__(self, *, limits: TimeLimits | None = None) -> None:
        super().__init__(logger=None, is_async=True)
        self._http = HttpClient(limits=limits)

    async def request(
        self,
        method: str,
        url: str,
        params: Mapping[str, object] | None = None,
        data: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        timeout: float | None = None,
        allow_redirects: bool = False,
    ) -> Any:
        """Send once. Raises Refusal, ReplyTooLong, and what aiohttp raises.

        `timeout` and `allow_redirects` belong to the SDK's interface; ours do not vary by request.
        """
        sent = {**(headers or {}), "Accept-Encoding": "identity"}
        if auth is not None:
            sent["Authorization"] = basic(*auth)
        target = URL(url)
        if params:
            target = target.update_query({name: str(value) for name, value in params.items()})
        body = urlencode(data, doseq=True).encode("ascii") if data else None
        async with (
            self._http.gate,
            self._http.session().request(
                method, target, data=body, headers=sent, allow_redirects=False
            ) as response,
        ):
            limit = LIST_BYTES_MAX if method == "GET" else REPLY_BYTES_MAX
            answer = await read_bounded(response, limit)
            document = read_json_object(answer)
            if not 200 <= response.status < 300 or not document:
                secrets = auth[1:] if auth is not None else ()
                raise refusal(response.status, document, response.headers, secrets)
            return Response(response.status, answer.decode("utf-8"), response.headers)

    async def close(self) -> None:
        """Close the connections. A later request opens new ones."""
        await self._http.close()


def refusal(
    status: int,
    document: Mapping[str, Any],
    headers: Mapping[str, str],
    secrets: Sequence[str] = (),
) -> Refusal:
    """Read an error in either of Twilio's shapes: `code, message`, or RFC 9457's `code, title`.

    `secrets`: ours, which whoever stands between may have quoted.
    """
    code = document.get("code")
    said = document.get("message") or document.get("detail") or document.get("title") or ""
    return Refusal(
        status=status,
        code=code if isinstance(code, int) else status,
        reason=_NUMBER.sub("…", without_secrets(str(said), secrets))[:REASON_CHARS_MAX],
        headers=headers,
    )


def basic(username: str, password: str) -> str:
    """Return the value of an `Authorization` header."""
    return "Basic " + b64encode(f"{username}:{password}".encode()).decode("ascii")
