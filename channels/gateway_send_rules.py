"""Reads the half of a gateway profile that is about sending: requests, batches, answers.

What `gateway_rules` is for callbacks. It checks everything when it is read, as both do.
"""

from collections.abc import Callable

from channels.errors import ErrorClass
from channels.gateway_profile import (
    AnswerRule,
    Authentication,
    BatchRule,
    Encoding,
    Finder,
    LookupRule,
    Meaning,
    Means,
    SendRule,
    Sharing,
)
from channels.gateway_rules import read_signing
from channels.gateway_table import Table
from channels.gateway_template import instead, names_in

ACCOUNT_NAMES = frozenset(
    {"sender", "user", "secret", "inbound_url", "timestamp", "timestamp_ms", "timestamp_local"}
)
"""What is the same for all messages of a request."""
NUMBER_NAMES = frozenset({"to", "to_plain", "to_national"})
"""A number, however it is written."""
TOKEN_NAMES = frozenset({"token", "callback_url"})
"""What names one message, and no other that shares its request."""
SEND_NAMES = frozenset(
    {
        *ACCOUNT_NAMES,
        *NUMBER_NAMES,
        *TOKEN_NAMES,
        *("text", "text_hex", "coding", "parts", "language"),
        *("validity_seconds", "validity_minutes", "valid_until", "valid_until_unix"),
    }
)
"""What templates of a send may ask for, beside the profile's own values and `signature`."""
LOOKUP_NAMES = frozenset(
    {*ACCOUNT_NAMES - {"inbound_url"}, *NUMBER_NAMES, "text", "token", "reference"}
)
MESSAGES_NAME = "messages"
"""In a request of many messages: the list of them."""
BODY_NAME = "body"
"""In a signature: the body as it is sent. Then the signature can only stand in a header."""
STATUS_WORDS = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"})
BATCH_MAX = 1_000
"""So many stay without a word when one request is not answered: enough."""


def read_send(table: Table, names: frozenset[str]) -> SendRule:
    """Return where and how something is asked of the gateway."""
    signing_table = table.maybe("signature")
    signing = read_signing(signing_table, names | {BODY_NAME}) if signing_table else None
    signed = names | {"signature"} if signing else names
    over_body = signing is not None and BODY_NAME in signing.template.names
    rule = SendRule(
        method=table.one_of("method", ("GET", "POST", "PUT")),
        path=table.template("path", names),
        encoding=table.choice("encoding", Encoding),
        fields=table.templates("fields", names if over_body else signed),
        headers=table.templates("headers", signed - {"text"}),
        authentication=table.choice("authentication", Authentication, Authentication.NONE),
        charset=table.charset("charset"),
        signing=signing,
    )
    for header, template in rule.headers.items():
        if isinstance(template, dict | list | int):
            raise table.fault(f"headers.{header}", "must be a text")
    if rule.encoding is not Encoding.QUERY and rule.method == "GET":
        raise table.fault("encoding", "a GET has no body; take query, or the method POST")
    table.done()
    return rule


def read_answer_rule(table: Table, names: frozenset[str]) -> AnswerRule:
    """Return what an answer means. `names`: what its reference may be made of."""
    accepted, reference = table.table("accepted"), table.maybe("reference")
    statuses = accepted.texts("status", ("2xx",))
    for status in statuses:
        _status(accepted, "status", status)
    rule = AnswerRule(
        accepted_statuses=statuses,
        accepted_words=frozenset(accepted.texts("words", ())),
        accepted=_finder(accepted),
        reference_template=(
            reference.template("template", names)
            if reference is not None and "template" in reference
            else None
        ),
        reference=_finder(reference) if reference is not None else None,
        code=_maybe_finder(table, "code"),
        reason=_maybe_finder(table, "reason"),
        parts=_maybe_finder(table, "parts"),
        retry=_maybe_finder(table, "retry"),
        retry_seconds=table.number("retry_seconds", AnswerRule().retry_seconds),
        codes=table.meanings("codes", _meaning(table)),
        statuses=table.meanings("statuses", _meaning(table)),
    )
    for status in rule.statuses:
        _status(table, "statuses", status)
    table.done()
    return rule


def _maybe_finder(table: Table, name: str) -> Finder | None:
    found = table.maybe(name)
    return None if found is None else _finder(found)


def _finder(table: Table) -> Finder:
    finder = Finder(path=table.text("path", ""), pattern=table.pattern("pattern"))
    table.done()
    return finder


def _status(table: Table, name: str, given: str) -> None:
    if not (given in STATUS_WORDS or (given.isdecimal() and 100 <= int(given) <= 599)):
        raise table.fault(name, f"{given!r} is no status; write it like 202 or 5xx")


def _meaning(table: Table) -> Callable[[str, str], Meaning]:
    def read(place: str, ours: str) -> Meaning:
        known = [m.value for m in (*Means, *ErrorClass)]
        if ours not in known:
            raise table.fault(place, f"{ours!r} is none of our words; {instead(ours, known)}")
        return Means(ours) if ours in list(Means) else ErrorClass(ours)

    return read


def read_lookup(table: Table, names: frozenset[str]) -> LookupRule:
    """Return how the gateway is asked about a message."""
    items = table.text("items", "")
    return LookupRule(items=items, send=read_send(table, names))


def read_batch(table: Table, send: SendRule, values: frozenset[str]) -> BatchRule:
    """Return how many messages share a request. `values`: the profile's own names."""
    by = table.choice("by", Sharing)
    size_max = table.whole("max", 0)
    if not 2 <= size_max <= BATCH_MAX:
        raise table.fault("max", f"must be a whole number from 2 to {BATCH_MAX}")
    if by is Sharing.NUMBERS:
        return _of_numbers(table, send, size_max)
    rule = _of_messages(table, values, size_max)
    if rule.send.authentication not in (Authentication.NONE, send.authentication):
        raise table.fault("authentication", "must be as in [send]; leave it out")
    return rule


def _of_numbers(table: Table, send: SendRule, size_max: int) -> BatchRule:
    rule = BatchRule(
        by=Sharing.NUMBERS,
        size_max=size_max,
        send=send,
        separator=table.text("separator", ","),
    )
    used = names_of(send)
    if named := sorted(used & TOKEN_NAMES):
        raise table.fault(
            "by", f"numbers that share a request share its {{{named[0]}}}; take messages instead"
        )
    if not used & NUMBER_NAMES:
        raise table.fault("by", "there is no number in [send], such as {to}")
    table.done()
    return rule


def _of_messages(table: Table, values: frozenset[str], size_max: int) -> BatchRule:
    message = table.templates("message", SEND_NAMES | values)
    if not message:
        raise table.fault("message", "is missing: say what is sent of each message")
    answers = table.table("answers")
    items, token_field = answers.text("items"), answers.text("token", "")
    answers.done()
    send = read_send(table, ACCOUNT_NAMES | values | {MESSAGES_NAME})
    if send.encoding not in (Encoding.JSON, Encoding.BASE64_JSON):
        raise table.fault("encoding", "a list of messages goes as json or base64-json")
    if MESSAGES_NAME not in names_of(send):
        raise table.fault("fields", "put {messages} where the list of messages stands")
    return BatchRule(
        by=Sharing.MESSAGES,
        size_max=size_max,
        send=send,
        message=message,
        items=items,
        token_field=token_field,
    )


def names_of(rule: SendRule) -> frozenset[str]:
    """Return the names that a request asks for."""
    signed = rule.signing.template.names if rule.signing else frozenset()
    return names_in([rule.path, rule.fields, rule.headers]) | signed
