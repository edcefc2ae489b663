"""Many messages in one request to a gateway, where its profile says how.

    requests ──► members ──► groups that may share a request ──► one answer ──► an outcome each
                                                                    └─ refused together: None

Numbers share a request when all else that it says is the same, and no number stands in it twice:
one id and a number name a message. Messages share one as they come. A request that was refused
took nothing, and one wrong number may be why: then nobody is blamed, and fewer are tried. One
without an answer leaves each of its messages in doubt. It sends nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from channels.base import SendOutcome, SendRequest
from channels.errors import ChannelError, ErrorClass, OutcomeUnknown, PermanentFailure
from channels.gateway_account import Account
from channels.gateway_answer import read_answer, read_records
from channels.gateway_profile import BatchRule, Profile, Sharing
from channels.gateway_request import Built, build, filled
from channels.gateway_send_rules import MESSAGES_NAME, NUMBER_NAMES, names_of
from channels.gateway_template import find, spelt, written
from channels.http_client import outcome_of

_OF_THE_REQUEST = frozenset({"signature", "body"})
"""Made anew for each request."""

Outcomes = dict[int, SendOutcome | None]
"""By the message's place among those that were handed over together."""


@dataclass(frozen=True, slots=True)
class Member:
    """A message that may share a request."""

    place: int
    request: SendRequest
    values: dict[str, Any]
    """What the names stand for in it."""


def groups_of(rule: BatchRule, members: Iterable[Member]) -> list[list[Member]]:
    """Return which messages share a request; the order is kept within each."""
    if rule.by is Sharing.MESSAGES:
        return _sliced(list(members), rule.size_max)
    same = names_of(rule.send) - NUMBER_NAMES - _OF_THE_REQUEST
    groups: dict[tuple[Any, ...], list[Member]] = {}
    seen: dict[tuple[Any, ...], int] = {}
    for member in members:
        key = tuple(member.values[name] for name in sorted(same))
        time = seen[(*key, member.request.to)] = seen.get((*key, member.request.to), 0) + 1
        groups.setdefault((*key, time), []).append(member)
    return [part for group in groups.values() for part in _sliced(group, rule.size_max)]


def _sliced(members: list[Member], size: int) -> list[list[Member]]:
    return [members[n : n + size] for n in range(0, len(members), size)]


def build_batch(rule: BatchRule, account: Account, group: Sequence[Member]) -> Built:
    """Return the request for a group. Raises PermanentFailure: it cannot be sent so."""
    values = dict(group[0].values)
    if rule.by is Sharing.NUMBERS:
        for name in NUMBER_NAMES:
            values[name] = rule.separator.join(member.values[name] for member in group)
    else:
        values[MESSAGES_NAME] = [filled(rule.message, member.values) for member in group]
    return build(rule.send, account, values)


@dataclass(frozen=True, slots=True)
class Said:
    """What the gateway answered to a request."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    at: datetime
    charset: str
    secrets: Sequence[str] = field(default=(), repr=False)
    """Ours: not to be shown where it quotes them."""


def read_batch_answer(
    profile: Profile, rule: BatchRule, group: Sequence[Member], said: Said
) -> Outcomes:
    """Return what an answer says of each. Raises ChannelError when it is one word for all."""
    if rule.by is Sharing.NUMBERS:
        return {member.place: _read(profile, member, said) for member in group}
    records = read_records(
        profile.answer,
        status=said.status,
        headers=said.headers,
        body=said.body,
        items=rule.items,
        now=said.at,
        charset=said.charset,
        secrets=said.secrets,
    )
    return {
        member.place: _read_record(profile, member, record, said)
        for member, record in zip(group, _in_order(rule, group, records), strict=True)
    }


def _in_order(rule: BatchRule, group: Sequence[Member], records: list[Any]) -> list[Any]:
    """Return a record for each message; None where there is none."""
    if not rule.token_field:
        return [records[n] if n < len(records) else None for n in range(len(group))]
    by_token = {spelt(find(record, rule.token_field)): record for record in records}
    return [by_token.get(member.request.token) for member in group]


def _read_record(profile: Profile, member: Member, record: Any, said: Said) -> SendOutcome:
    """Read a record as the answer to its message. It never raises: the others are not to blame."""
    if record is None:  # the request was taken: perhaps this one too
        return outcome_of(OutcomeUnknown("there is no word of it in the answer"))
    body = written(record).encode("utf-8", "surrogatepass")
    try:
        return _read(profile, member, replace(said, body=body, charset="utf-8"))
    except ChannelError as fault:
        return outcome_of(fault)


def _read(profile: Profile, member: Member, said: Said) -> SendOutcome:
    return read_answer(
        profile.answer,
        status=said.status,
        headers=said.headers,
        body=said.body,
        values=member.values,
        now=said.at,
        charset=said.charset,
        secrets=said.secrets,
    )


def shared_fate(rule: BatchRule, group: Sequence[Member], fault: ChannelError) -> Outcomes:
    """Return what a fault of the request means for each; None: it may be another one's."""
    if len(group) > 1 and isinstance(fault, PermanentFailure) and not _is_of_all(rule, fault):
        return dict.fromkeys((member.place for member in group), None)
    outcome = outcome_of(fault)
    return {member.place: outcome for member in group}


def _is_of_all(rule: BatchRule, fault: PermanentFailure) -> bool:
    """A text that is refused is everybody's where there is only one: it is not tried again."""
    return rule.by is Sharing.NUMBERS and fault.error_class is ErrorClass.FILTERED
