"""What people and carriers do to a rig over HTTP: an officer's browser, signed and forged callbacks."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from re import search
from typing import Any
from urllib.parse import urlencode

import aiohttp

from channels import signature
from tests.faults.rig import PASSWORD, SECRET_KEY, SENDER, Rig
from warnsvc.token import sign_token

REFUSED = 0
"""The status of a request that got no answer at all."""
AGAIN_SECONDS = 0.25
"""A carrier that is not answered comes again; here soon, so that a test is short."""


class Browser:
    """An officer's browser. Forms are posted with the token of the page they stand on."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        # A session cookie on a plain address: CookieJar(unsafe) takes it for 127.0.0.1.
        self._session = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        self.csrf = ""

    async def close(self) -> None:
        """Close it."""
        await self._session.close()

    async def get(self, path: str) -> tuple[int, str]:
        """Return status and text of a page; REFUSED when nobody answered."""
        return await self._ask("GET", path, None)

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        """Post a form and follow to the page that it leads to."""
        return await self._ask("POST", path, {"csrf": self.csrf, **fields})

    async def log_in(self, login: str = "duty") -> None:
        """Log in, with the password of all."""
        status, _ = await self.post("/login", login=login, password=PASSWORD, next="/")
        assert status == 200, f"cannot log in: {status}"

    async def _ask(
        self, method: str, path: str, fields: Mapping[str, str] | None
    ) -> tuple[int, str]:
        try:
            async with self._session.request(
                method, self._rig.web_url + path, data=fields
            ) as answer:
                text = await answer.text()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return REFUSED, ""
        if found := search(r'name="csrf" value="([^"]+)"', text):
            self.csrf = found[1]
        return answer.status, text


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One callback, signed or not; `raw` is what a load generator writes to the wire."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def raw(self, port: int) -> bytes:
        """Return the request's bytes."""
        lines = [
            f"POST {self.path} HTTP/1.1",
            f"Host: 127.0.0.1:{port}",
            f"Content-Length: {len(self.body)}",
            *(f"{name}: {value}" for name, value in self.headers.items()),
        ]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def callback(
    rig: Rig,
    form: Mapping[str, str],
    *,
    carrier: str = "sim-sms",
    token: str = "",
    secret: str = "",
    signed_at: datetime | None = None,
) -> Callback:
    """Return a form signed as the carrier would (or by another secret, or at another time)."""
    path = f"/callbacks/{carrier}" + (f"/{token}" if token else "")
    base = rig.public_base_url or rig.web_url
    now = signed_at or datetime.now(UTC)
    signed = signature.form_headers(secret or rig.secret, base + path, list(form.items()), now)
    headers = {"Content-Type": "application/x-www-form-urlencoded", **signed}
    return Callback(path=path, headers=headers, body=urlencode(form).encode())


def reply_form(ident: str, sender: str, text: str = "1") -> dict[str, str]:
    """Return a person's reply."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"Id": ident, "From": sender, "To": SENDER, "Timestamp": at, "Text": text}


def receipt_form(
    attempt_id: int, status: str, sequence: int, *, sid: str = "", late: timedelta = timedelta()
) -> dict[str, str]:
    """Return the carrier's word about an attempt; `late`: it happened so long ago."""
    at = (datetime.now(UTC) - late).isoformat(timespec="milliseconds")
    return {
        "Sid": sid or f"SM{attempt_id:020x}",
        "Reference": attempt_token(attempt_id),
        "To": "+8619900000000",
        "From": SENDER,
        "Status": status,
        "Sequence": str(sequence),
        "Timestamp": at,
    }


def attempt_token(attempt_id: int) -> str:
    """Return the token of an attempt, as the service makes it."""
    return sign_token(SECRET_KEY.encode(), "attempt", attempt_id)


async def send(rig: Rig, wanted: Callback) -> int:
    """Post a callback once; return the status, REFUSED when there was no answer."""
    try:
        async with rig.session.post(
            rig.web_url + wanted.path, data=wanted.body, headers=dict(wanted.headers)
        ) as answer:
            await answer.read()
            return answer.status
    except (aiohttp.ClientError, OSError, TimeoutError):
        return REFUSED


async def send_until_taken(rig: Rig, make: Any, *, tries: int = 400) -> int:
    """Post what `make()` returns until it is answered 2xx; return how many tries it took."""
    for number in range(1, tries + 1):
        if 200 <= await send(rig, make()) < 300:
            return number
        await asyncio.sleep(AGAIN_SECONDS)
    raise AssertionError(f"not taken in {tries} tries")
