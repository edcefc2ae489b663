"""Reads a gateway profile: a shipped one by its name, or a file of the operator's own.

    read_profile("kannel")                    channels/gateway_profiles/kannel.toml
    read_profile("/etc/warnsvc/county.toml")  anything with a slash or ending in .toml

Everything is checked when it is read, so that a mistake stops the start with the field's name and
not a warning at night. It connects to nobody and sees no secrets.
"""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from channels.country import codes
from channels.gateway_profile import Limits, Profile, Sharing
from channels.gateway_rules import read_inbound, read_proof, read_receipts, read_reply
from channels.gateway_send_rules import (
    LOOKUP_NAMES,
    MESSAGES_NAME,
    NUMBER_NAMES,
    SEND_NAMES,
    names_of,
    read_answer_rule,
    read_batch,
    read_lookup,
    read_send,
)
from channels.gateway_table import ProfileFault, Table
from channels.gateway_template import instead, names_in

_TAKEN = frozenset({"signature", "reference", "id", MESSAGES_NAME})
NEEDS = frozenset({"user", "secret", "sender"})
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
    if taken := sorted(values.keys() & (SEND_NAMES | _TAKEN)):
        raise ProfileFault(f"values.{taken[0]}: this name has a meaning already; take another")
    zone = top.zone("zone", "UTC")
    proof = read_proof(top.table("proof"))
    lookup, batch = top.maybe("lookup"), top.maybe("batch")
    receipts, inbound = top.maybe("receipts"), top.maybe("inbound")
    own = frozenset(values)
    send = read_send(top.table("send"), SEND_NAMES | own)
    profile = Profile(
        name=name,
        title=top.text("title"),
        needs=frozenset(top.texts("needs", ())),
        values=values,
        country=top.text("country", "86"),
        national_digits=top.whole("national_digits", 11),
        zone=zone,
        limits=_limits(top.maybe("limits")),
        send=send,
        batch=read_batch(batch, send, own) if batch else None,
        answer=read_answer_rule(top.table("answer"), SEND_NAMES | own | {"id"}),
        receipts=read_receipts(receipts, zone.key) if receipts else None,
        inbound=read_inbound(inbound, zone.key) if inbound else None,
        proof=proof,
        reply=read_reply(top.maybe("reply")),
        lookup=read_lookup(lookup, LOOKUP_NAMES | own) if lookup else None,
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
    _check_batch(profile, top)
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


def _check_batch(profile: Profile, top: Table) -> None:
    """Refuse a batch whose messages nobody could tell apart afterwards."""
    batch, receipts = profile.batch, profile.receipts
    if batch is None:
        return
    if batch.by is Sharing.NUMBERS:
        template = profile.answer.reference_template
        if profile.answer.reference and not (template and template.names & NUMBER_NAMES):
            raise top.fault(
                "batch", "put a number into answer.reference.template, as in {id}:{to_national}"
            )
        return
    named = names_in(batch.message)
    by_address = "callback_url" in names_of(profile.send)
    wanted = "token" if receipts and receipts.token_field else "callback_url" if by_address else ""
    if receipts and wanted and wanted not in named:
        raise top.fault("batch.message", f"nothing names the message: put {{{wanted}}} into it")


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
        countries=_countries(table, "countries", ("*",)),
        inbound_countries=_countries(table, "inbound_countries", ()),
    )
    table.done()
    return limits


def _countries(table: Table, name: str, default: tuple[str, ...]) -> frozenset[str]:
    try:
        return codes(table.texts(name, default))
    except ValueError as wrong:
        raise table.fault(name, str(wrong)) from None
