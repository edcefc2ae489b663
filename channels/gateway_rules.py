"""Reads the half of a gateway profile that is about callbacks: receipts, replies, their proof.

It is `gateway_reader`'s other half and checks in the same way: everything, when it is read.
"""

from collections.abc import Callable, Collection

from channels.base import HALVES, ReceiptWord
from channels.errors import ErrorClass
from channels.gateway_profile import (
    Digest,
    Encoding,
    InboundRule,
    Proof,
    ProofRule,
    ReceiptRule,
    RecordRule,
    ReplyRule,
    Said,
    Signing,
    Spelling,
    TextForm,
    TimeRule,
)
from channels.gateway_table import Table

PROOF_NAMES = frozenset({"body", "timestamp", "url", "token", "user", "secret"})
"""What the signature of a callback may be made of."""


def read_signing(table: Table, names: Collection[str]) -> Signing:
    """Return how something is signed."""
    signing = Signing(
        template=table.template("template", names),
        digest=table.choice("digest", Digest),
        spelling=table.choice("spelling", Spelling, Spelling.HEX),
    )
    table.done()
    return signing


def read_receipts(table: Table, zone: str) -> ReceiptRule:
    """Return how the gateway's word about a message comes."""
    rule = ReceiptRule(
        token_field=table.text("token", ""),
        reference=table.any_template("reference"),
        word=table.text("word"),
        words=table.meanings("words", _said(table)),
        code=table.text("code", ""),
        code_pattern=table.pattern("code_pattern"),
        codes=table.meanings("codes", lambda place, ours: table.word(place, ours, ErrorClass)),
        record=_record(table, zone),
    )
    if not rule.words:
        raise table.fault("words", "is empty; say what the gateway's words mean")
    table.done()
    return rule


def _said(table: Table) -> Callable[[str, str], Said]:
    def read(place: str, ours: str) -> Said:
        word, _, error_class = ours.partition(" ")
        if word in HALVES:  # they need keys of their own to meet; a gateway says "heard"
            raise table.fault(place, f"{word!r} is for calls that tell two things of one")
        return (
            table.word(place, word, ReceiptWord),
            table.word(place, error_class.strip(), ErrorClass) if error_class else None,
        )

    return read


def read_inbound(table: Table, zone: str) -> InboundRule:
    """Return how people's replies come."""
    rule = InboundRule(
        sender=table.text("from"),
        text=table.text("text"),
        recipient=table.text("to", ""),
        token_field=table.text("token", ""),
        text_form=table.choice("text_form", TextForm, TextForm.PLAIN),
        address_suffix=table.text("address_suffix", ""),
        record=_record(table, zone),
    )
    table.done()
    return rule


def _record(table: Table, zone: str) -> RecordRule:
    time = table.maybe("time")
    return RecordRule(
        encoding=table.choice("encoding", Encoding),
        charset=table.charset("charset"),
        items=table.text("items", ""),
        requires=table.texts("requires"),
        key=table.any_template("key"),
        time=_time(time, zone) if time else None,
    )


def _time(table: Table, zone: str) -> TimeRule:
    rule = TimeRule(
        field=table.text("field"), form=table.text("form"), zone=table.zone("zone", zone)
    )
    if rule.form not in ("unix", "unix-ms", "iso") and "%" not in rule.form:
        raise table.fault("form", "must be unix, unix-ms, iso, or a form like %Y%m%d%H%M%S")
    table.done()
    return rule


def read_proof(table: Table) -> ProofRule:
    """Return how a callback proves where it is from."""
    by = table.choice("by", Proof)
    signing_table = table.maybe("signature")
    rule = ProofRule(
        by=by,
        header=table.text("header", ""),
        signing=read_signing(signing_table, PROOF_NAMES) if signing_table else None,
        time_header=table.text("time_header", ""),
    )
    if by is Proof.SIGNATURE and (rule.signing is None or not rule.header):
        raise table.fault("by", "a signature needs proof.header and a table [proof.signature]")
    if rule.signing and "timestamp" in rule.signing.template.names and not rule.time_header:
        raise table.fault("time_header", "is missing: the signature is over {timestamp}")
    table.done()
    return rule


def read_reply(table: Table | None) -> ReplyRule:
    """Return what the gateway hears when its callback is on disk."""
    if table is None:
        return ReplyRule()
    rule = ReplyRule(
        status=table.whole("status", 200),
        body=table.text("body", ""),
        content_type=table.text("content_type", "text/plain"),
    )
    if not 200 <= rule.status <= 299:
        raise table.fault("status", "must be from 200 to 299: the callback is on disk by then")
    table.done()
    return rule
