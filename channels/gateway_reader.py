"""Reads a gateway profile: a shipped one by its name, or a file of the operator's own.

    read_profile("kannel")                    channels/gateway_profiles/kannel.toml
    read_profile("/etc/warnsvc/county.toml")  anything with a slash or ending in .toml

Everything is checked when it is read, so that a mistake stops the start with the field's name and
not a warning at night. It connects to nobody and sees no secrets.
"""

import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from channels.errors import ErrorClass
from channels.gateway_profile import (
    AnswerRule,
    Authentication,
    Encoding,
    Finder,
    Limits,
    LookupRule,
    Meaning,
    Means,
    Profile,
    SendRule,
)
from channels.gateway_rules import (
    read_inbound,
    read_proof,
    read_receipts,
    read_reply,
    read_signing,
)
from channels.gateway_table import ProfileFault, Table
from channels.gateway_template import instead

_BOTH = {
    *("to", "to_plain", "to_national", "text", "token", "sender", "user", "secret"),
    *("timestamp", "timestamp_ms", "timestamp_local"),
}
SEND_NAMES = frozenset(
    {
        *_BOTH,
        *("text_hex", "coding", "parts", "language", "callback_url", "inbound_url"),
        *("validity_seconds", "validity_minutes", "valid_until", "valid_until_unix"),
    }
)
"""What templates of a send may ask for, beside the profile's own values and `signature`."""
LOOKUP_NAMES = frozenset({*_BOTH, "reference"})
BODY_NAME = "body"
"""In a signature: the body as it is sent. Then the signature can only stand in a header."""
NEEDS = frozenset({"user", "secret", "sender"})
STATUS_WORDS = frozenset({"1xx", "2xx", "3xx", "4xx", "5xx"})
PROFILE_BYTES_MAX = 100_000
"""A profile has a hundred lines; a larger file is not one."""


def shipped_profiles() -> list[str]:
    """Return the names of the profiles that come with us."""
    folder = files("channels") / "gateway_profiles"
    return sorted(
        item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml")
    )


def read_profile(given: str) -> Profile:
    """Return a profile by name or path. Raises ProfileFault."""
    name = Path(given).stem
    try:
        return profile_from(tomllib.loads(_source(given)), name=name)
    except tomllib.TOMLDecodeError as fault:
        raise ProfileFault(f"profile {name}: this is no TOML: {fault}") from fault
    except ProfileFault as fault:
        raise ProfileFault(f"profile {name}: {fault}") from fault


def _source(given: str) -> str:
    if "/" not in given and not given.endswith(".toml"):
        if given not in shipped_profiles():
            hint = instead(given, shipped_profiles())
            raise ProfileFault(f"no such profile is shipped; {hint}, or give the path of a file")
        where = files("channels") / "gateway_profiles" / f"{given}.toml"
        return where.read_text(encoding="utf-8")
    try:
        path = Path(given)
        if path.stat().st_size > PROFILE_BYTES_MAX:
            raise ProfileFault(f"the file has more than {PROFILE_BYTES_MAX} bytes")
        return path.read_text(encoding="utf-8")
    except OSError as fault:
        raise ProfileFault(f"cannot read the file: {fault.strerror}") from fault
    except UnicodeDecodeError as fault:
        raise ProfileFault("the file is not in UTF-8; save it so") from fault


def profile_from(document: dict[str, Any], *, name: str) -> Profile:
    """Return the profile in a parsed document. Raises ProfileFault."""
    top = Table(document)
    values = {key: _default(table) for key, table in top.tables("values").items()}
    if taken := sorted(values.keys() & (SEND_NAMES | {"signature", "reference", "id"})):
        raise ProfileFault(f"values.{taken[0]}: this name has a meaning already; take another")
    zone = top.zone("zone", "UTC")
    proof = read_proof(top.table("proof"))
    lookup = top.maybe("lookup")
    receipts, inbound = top.maybe("receipts"), top.maybe("inbound")
    profile = Profile(
        name=name,
        title=top.text("title"),
        needs=frozenset(top.texts("needs", ())),
        values=values,
        country=top.text("country", "86"),
        national_digits=top.whole("national_digits", 11),
        zone=zone,
        limits=_limits(top.maybe("limits")),
        send=_send(top.table("send"), SEND_NAMES | values.keys()),
        answer=_answer(top.table("answer"), SEND_NAMES | values.keys() | {"id"}),
        receipts=read_receipts(receipts, zone.key) if receipts else None,
        inbound=read_inbound(inbound, zone.key) if inbound else None,
        proof=proof,
        reply=read_reply(top.maybe("reply")),
        lookup=_lookup(lookup, LOOKUP_NAMES | values.keys()) if lookup else None,
    )
    top.done()
    return _checked(profile, top)


def _checked(profile: Profile, top: Table) -> Profile:
    """Return the profile if its parts fit together."""
    if wrong := sorted(profile.needs - NEEDS):
        raise top.fault("needs", f"there is no {wrong[0]}; {instead(wrong[0], NEEDS)}")
    if not profile.country.isdecimal():
        raise top.fault("country", "write the calling code in digits, without a plus")
    if profile.lookup and not profile.receipts:
        raise top.fault("lookup", "its answer is read as receipts are, and [receipts] is missing")
    token_comes_back = profile.receipts and (
        profile.receipts.token_field
        or "callback_url" in str(profile.send)
        or profile.answer.reference is not None
    )
    if profile.receipts and not token_comes_back:
        raise top.fault(
            "receipts", "nothing names the message: put {callback_url} or {token} into send.fields"
        )
    return profile


def _default(table: Table) -> str | None:
    table.text("about")
    default = table.text("default") if "default" in table else None
    table.done()
    return default


def _limits(table: Table | None) -> Limits:
    if table is None:
        return Limits()
    plain = Limits()
    limits = Limits(
        chars_max=table.whole("chars_max", plain.chars_max),
        per_second=table.number("per_second", plain.per_second),
        validity_seconds_min=table.whole("validity_seconds_min", plain.validity_seconds_min),
        validity_seconds_max=table.whole("validity_seconds_max", plain.validity_seconds_max),
        links_allowed=table.flag("links_allowed", plain.links_allowed),
        countries=frozenset(table.texts("countries", ("*",))),
        inbound_countries=frozenset(table.texts("inbound_countries", ())),
    )
    table.done()
    return limits


def _send(table: Table, names: frozenset[str]) -> SendRule:
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


def _answer(table: Table, names: frozenset[str]) -> AnswerRule:
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


def _lookup(table: Table, names: frozenset[str]) -> LookupRule:
    items = table.text("items", "")
    return LookupRule(items=items, send=_send(table, names))
