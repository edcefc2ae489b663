"""A gateway that quotes our request shows nobody our secret: not on a page, not in the ledger."""

import json
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import unquote, unquote_plus

import pytest
from aiohttp import web

from channels.base import OutcomeKind, SendRequest
from channels.gateway import HttpGateway
from channels.gateway_proof import address_key
from channels.veil import HIDDEN, SECRET_CHARS_MIN, without_secrets
from tests.carriers.gateway.rigs import PHONE, START

SECRET = 'pa ss/wör"d+&<x>%7'


class Quoting:
    """A gateway that refuses everything and repeats all that it was asked, in the text of a page
    or in the fields of an error."""

    url = ""
    pad = 0
    """So many characters stand before what it quotes."""
    asked = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{rest:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{site.port}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.Response:
        body = (await request.read()).decode()
        who = request.headers.get("Authorization", "")
        self.asked = f"{who} {request.rel_url.raw_path_qs} {body}"
        said = "-" * self.pad + self.asked
        if "plain" in request.path or "cgi-bin" in request.path:
            return web.Response(status=400, text=said)
        fields = {"error": {"code": said, "message": said}, "rspcod": said, "success": False}
        return web.json_response(fields, status=400)


@pytest.fixture
async def quoting() -> AsyncIterator[Quoting]:
    far = Quoting()
    await far.start()
    yield far
    await far.close()


OURS = """
title = "Puts the secret where it likes"
needs = ["user", "secret"]
[send]
method = "POST"
path = "/plain"
encoding = "ENCODING"
authentication = "WHO"
fields = { a = "{secret}", b = "{secret}!", to = "{to}", back = "{callback_url}" }
[answer.accepted]
path = "id"
[answer.code]
pattern = '^(.{1,100})'
[answer.reason]
pattern = '(?s).+'
[proof]
by = "key"
"""
PROFILES = {
    # the profile, or what differs in one of ours
    "kannel": ("kannel", ""),
    "mas": ("mas", ""),
    "json": ("json", ""),
    "a form": ("form", "none"),
    "JSON": ("json", "none"),
    "JSON in base64": ("base64-json", "none"),
    "user and secret in a header": ("json", "basic"),
    "the secret in a header": ("form", "bearer"),
}


def gateway(far: Quoting, folder: Path, profile: str, who: str, secret: str) -> HttpGateway:
    if who:
        path = folder / "ours.toml"
        path.write_text(OURS.replace("ENCODING", profile).replace("WHO", who))
        profile = str(path)
    return HttpGateway(
        name="sms",
        profile=profile,
        base_url=far.url,
        user="county",
        sender="1069",
        values="ec_name=e; sign=s" if profile == "mas" else "",
        secrets=(secret,),
        clock=lambda: START,
    )


def asked(token: str = "tok-1") -> SendRequest:
    return SendRequest(
        token=token,
        to=PHONE,
        text="暴雨",
        language="zh",
        valid_until=START + timedelta(minutes=10),
        callback_url=f"https://warn.example.org/callbacks/sms/{token}",
    )


def spellings(secret: str) -> set[str]:
    coded = b64encode(f"county:{secret}".encode()).decode()
    return {secret, json.dumps(secret)[1:-1], coded, coded[10:]}


@pytest.mark.parametrize("secret", [SECRET, "plainsecret"])
@pytest.mark.parametrize("pad", [0, 60, 90, 180])
@pytest.mark.parametrize(("profile", "who"), PROFILES.values(), ids=PROFILES)
async def test_what_a_gateway_quotes_is_shown_without_our_secret(
    quoting: Quoting, tmp_path: Path, profile: str, who: str, pad: int, secret: str
) -> None:
    if "bearer" in who or (profile, who) == ("json", ""):
        secret = "plainsecret"  # nothing else can stand in a header
    channel = gateway(quoting, tmp_path, profile, who, secret)
    quoting.pad = pad

    alone = await channel.send(asked())
    (first, second) = await channel.send_batch(
        [asked(), replace(asked("tok-2"), to="+8613900000002")]
    )

    await channel.close()
    key = address_key(secret, "sms", "tok-1")
    for outcome in (alone, first, second):
        if outcome is None:  # a batch that was refused blames nobody
            continue
        assert outcome.kind is not OutcomeKind.ACCEPTED
        for said in (outcome.code, outcome.reason):
            for shown in (said, unquote(said), unquote_plus(unquote(said))):
                assert not any(one in shown for one in spellings(secret))
                assert key not in shown
                assert secret[:SECRET_CHARS_MIN] not in shown, "half a secret is one too"


def test_a_short_secret_blanks_no_ordinary_words() -> None:
    assert (
        without_secrets("a number is missing", ("a", "num", "", "ber i")) == "a number is missing"
    )
    assert without_secrets("the number", ("number",)) == f"the {HIDDEN}"


def test_all_of_two_secrets_are_hidden_and_the_longer_first() -> None:
    assert without_secrets("x secret-one secret-one-b y", ("secret-one", "secret-one-b")) == (
        f"x {HIDDEN} {HIDDEN} y"
    )
