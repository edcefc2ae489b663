"""Whether a callback is from Twilio: X-Twilio-Signature, by the SDK's validator, without its traps.

    POST   HMAC-SHA1 over the public URL with its query, and the sorted fields
    GET    … over the URL alone
    X-Twilio-Webhooks-Signature-Settings: algorithm=HMAC_SHA256   signed with a shared key instead

The validator raises TypeError for a missing header and for a body in bytes (carriers.md §1.2), so
neither reaches it. Several secrets are believed, because a rotation needs two. Nothing that Twilio
signs says a time: a callback that was overheard stays good, and is a repeat that changes nothing.
The fragment of an address (`#rc=5`) is for Twilio itself; it is not requested and not signed.
"""

from collections.abc import Sequence
from urllib.parse import parse_qsl, urlsplit

from multidict import MultiDict
from twilio.request_validator import (  # type: ignore[import-untyped]
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from channels.base import CallbackRequest, SignatureInvalid
from channels.signature import CALLBACK_BYTES_MAX, FIELDS_MAX, form_pairs, header


class CallbackReader:
    """Reads callbacks that are really Twilio's."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """`secrets`: auth tokens, or the secrets of shared keys."""
        self._validators = [RequestValidator(secret) for secret in secrets]

    def read(self, request: CallbackRequest) -> dict[str, str]:
        """Return the fields of a genuine callback. Raises SignatureInvalid."""
        pairs = fields_of(request)
        signed = MultiDict(pairs if request.method != "GET" else ())
        given = header(request.headers, SIGNATURE_HEADER)
        algorithm = get_signature_algorithm(header(request.headers, SIGNATURE_SETTINGS_HEADER))
        try:
            # Every secret is tried, so that the time taken does not say which one is in use.
            genuine = [v.validate(request.url, signed, given, algorithm) for v in self._validators]
        except ValueError as error:  # an address with a port that is none
            raise SignatureInvalid("the callback's address cannot be read") from error
        if not any(genuine):
            raise SignatureInvalid("Twilio's signature is missing or wrong")
        return dict(pairs)


def fields_of(request: CallbackRequest) -> list[tuple[str, str]]:
    """Return the fields of a callback, whoever sent it. Raises SignatureInvalid."""
    if len(request.body) > CALLBACK_BYTES_MAX:
        raise SignatureInvalid("the callback is too long to be Twilio's")
    try:
        if request.method == "GET":
            return parse_qsl(urlsplit(request.url).query, True, max_num_fields=FIELDS_MAX)
        return form_pairs(request.body)
    except ValueError as error:
        raise SignatureInvalid("the callback is not a form") from error


def step_of(request: CallbackRequest) -> dict[str, str]:
    """Return what we ourselves wrote into the query of a callback address; it is signed."""
    return dict(parse_qsl(urlsplit(request.url).query))
