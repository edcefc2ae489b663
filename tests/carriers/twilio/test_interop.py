"""Our reading of signatures against Twilio's own library for Node, where npm is there."""

import json
import shutil
import subprocess
from urllib.parse import urlencode

import pytest

from channels.base import CallbackRequest
from channels.twilio_signature import CallbackReader
from tests.carriers.twilio.prism import installed
from tests.carriers.twilio.server import TOKEN, sign

pytestmark = pytest.mark.carriers

URL = "https://county.example/callbacks/twilio-voice/1a2b.Zr3kQm0c9Yy1n0pXw5dT7g"
CASES = [
    (f"{URL}?step=said&n=1&l=kk-Arab", {"CallSid": "CA1", "Digits": "#", "To": "+8613912345678"}),
    (URL, {"Body": "收到 سەل 😀 a+b=c & d%20e\r\n", "From": "+77001234567"}),
    (f"{URL}?x=%E6%B4%AA", {}),
    ("https://county.example:8443/a", {"b": "2", "B": "1", "a": ""}),
]

SCRIPT = """
const {getExpectedTwilioSignature} = require('twilio/lib/webhooks/webhooks');
const cases = JSON.parse(process.argv[1]);
console.log(JSON.stringify(
  cases.map(([url, fields]) => getExpectedTwilioSignature(process.argv[2], url, fields))));
"""


def test_twilios_node_library_signs_what_we_believe_and_what_the_stand_in_signs() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node on this machine")
    done = subprocess.run(
        [node, "-e", SCRIPT, json.dumps(CASES), TOKEN],
        cwd=installed(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    signatures = json.loads(done.stdout)

    for (url, fields), signature in zip(CASES, signatures, strict=True):
        assert sign(TOKEN, url, list(fields.items())) == signature, url
        request = CallbackRequest(
            url=url, headers={"X-Twilio-Signature": signature}, body=urlencode(fields).encode()
        )
        assert CallbackReader([TOKEN]).read(request) == fields
