"""A step of the engine inside one unit: what a case decided is saved, with words and lines.

    Case.changes ──► states, messages, attempts, tasks, alarms, ledger lines      one transaction

Shared by release, answers, receipts, deadlines and lifting, so that there is one way in which a
decision becomes rows. It never sends.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from warnsvc.core.bulletin import Bulletin, BulletinState
from warnsvc.core.callout import ACTIVE, CalloutState
from warnsvc.core.case import Case, Changes, NewAttempt
from warnsvc.core.pack import Rule
from warnsvc.service.context import Context
from warnsvc.service.endpoint import Places, places_of
from warnsvc.service.priority import priority_of
from warnsvc.service.summon import summon
from warnsvc.service.voice import message_of
from warnsvc.store.attempt import insert_attempts, insert_notices
from warnsvc.store.case import Portion
from warnsvc.store.case_save import save_states
from warnsvc.store.ledger import append_lines
from warnsvc.store.message import keep_messages, message_digest
from warnsvc.store.port import Unit

NOTICE_MINUTES = 30
"""How long a stand-down or a listing is worth delivering."""
_STILL_CALLED = ACTIVE | {CalloutState.SILENT}
"""What was planned for a silent one still goes out: it warns him."""


Key = tuple[str, str, str, tuple[str, ...], Places]
"""Language, channel, purpose, listing and an endpoint's regions: what a text depends on."""
Texts = dict[Key, int]
"""What is kept already → its message's id. For one unit only: it may be rolled back."""


async def save_case(
    ctx: Context,
    unit: Unit,
    case: Case,
    *,
    bulletin: Bulletin,
    rule: Rule,
    now: datetime,
    languages: Mapping[int, str] | None = None,
    contacts: Mapping[int, int] | None = None,
    texts: Texts | None = None,
) -> None:
    """Write everything a case decided.

    `languages` and `contacts` (of each callout) and `texts` (of earlier cases of this unit) spare
    look-ups where they are known already.
    """
    changes = case.changes
    await save_states(unit, changes, now=now)
    await save_attempts(
        ctx,
        unit,
        changes,
        bulletin=bulletin,
        rule=rule,
        now=now,
        languages=languages,
        contacts=contacts,
        texts=texts,
    )
    await summon(ctx, unit, changes, bulletin=bulletin, now=now)
    await append_lines(unit, changes.lines, now=now)


async def save_portion(
    ctx: Context,
    unit: Unit,
    portion: Portion,
    *,
    bulletin: Bulletin,
    rule: Rule,
    now: datetime,
    texts: Texts | None = None,
) -> None:
    """Write what a portion's case decided."""
    await save_case(
        ctx,
        unit,
        portion.case,
        bulletin=bulletin,
        rule=rule,
        now=now,
        languages=portion.languages,
        contacts=portion.contacts,
        texts=texts,
    )


async def save_attempts(
    ctx: Context,
    unit: Unit,
    changes: Changes,
    *,
    bulletin: Bulletin,
    rule: Rule,
    now: datetime,
    languages: Mapping[int, str] | None = None,
    contacts: Mapping[int, int] | None = None,
    texts: Texts | None = None,
) -> int:
    """Render and write the planned attempts; returns how many."""
    wanted = [a for a in changes.attempts if a.purpose != "call" or _still_called(changes, a)]
    if not wanted:
        return 0
    if languages is None or contacts is None:
        languages, contacts = await _people(unit, {a.callout_id for a in wanted})
    texts = {} if texts is None else texts
    keys = _keys(wanted, languages, await places_of(unit, wanted))
    await _keep_texts(ctx, unit, bulletin, set(keys), texts)
    attempt_ids = await unit.new_ids("attempt", len(wanted))
    common: dict[tuple[int, str], tuple[int, datetime]] = {}
    calls: list[tuple[Any, ...]] = []
    notices: list[tuple[Any, ...]] = []
    for attempt_id, a, key in zip(attempt_ids, wanted, keys, strict=True):
        callout_id, channel, tier, number, address, purpose, _ = a
        shared = common.get((tier, purpose))
        if shared is None:
            shared = common[tier, purpose] = _shared(bulletin, rule, tier, purpose, now)
        (calls if purpose == "call" else notices).append(
            (
                attempt_id,
                bulletin.id,
                contacts[callout_id],
                callout_id,
                tier,
                channel,
                number,
                purpose,
                address,
                texts[key],
                shared[0],
                "planned",
                now,
                shared[1],
                0,
            )
        )
    await insert_attempts(unit, calls)
    if notices:
        await insert_notices(unit, notices)
    return len(wanted)


def _still_called(changes: Changes, attempt: NewAttempt) -> bool:
    """A round planned and then found needless in the same step is not written at all."""
    state = changes.callouts.get(attempt.callout_id)
    return state is None or state.state in _STILL_CALLED


def _keys(
    attempts: Sequence[NewAttempt], languages: Mapping[int, str], places: Mapping[int, Places]
) -> list[Key]:
    """Return what each text depends on. `places`: of those few that go to an endpoint."""
    keys: list[Key] = [
        (languages[a.callout_id], a.channel, a.purpose, a.listing, ()) for a in attempts
    ]
    for at, told in places.items():
        keys[at] = (*keys[at][:4], told)
    return keys


async def _keep_texts(
    ctx: Context, unit: Unit, bulletin: Bulletin, keys: Iterable[Key], texts: Texts
) -> None:
    """Render each text once and keep it."""
    messages = {
        key: message_of(
            ctx,
            bulletin,
            language=key[0],
            channel=key[1],
            purpose=key[2],
            listing=key[3],
            places=key[4],
        )
        for key in sorted(keys)
        if key not in texts
    }
    if messages:
        ids = await keep_messages(unit, bulletin.id, messages.values())
        texts.update((key, ids[message_digest(message)]) for key, message in messages.items())


def _shared(
    bulletin: Bulletin, rule: Rule, tier: int, purpose: str, now: datetime
) -> tuple[int, datetime]:
    """Return the priority and the end of what all attempts of a tier and purpose share."""
    if purpose == "call":
        valid_until = now + timedelta(seconds=rule.tier(tier).window_seconds)
        valid_until = min(valid_until, bulletin.expires_at)
    else:
        valid_until = now + timedelta(minutes=NOTICE_MINUTES)
    return priority_of(bulletin, tier, purpose), valid_until


def still_wanted(purpose: str, bulletin_state: str, callout_state: str) -> bool:
    """Whether an attempt that was not sent is worth sending now.

    Asked of what the carrier put off and of what nobody knows about: meanwhile he may have
    answered, or the warning may be over.
    """
    if purpose == "lift":
        return True
    if bulletin_state != BulletinState.RELEASED:
        return False
    return purpose != "call" or callout_state in _STILL_CALLED


async def _people(unit: Unit, callout_ids: Iterable[int]) -> tuple[dict[int, str], dict[int, int]]:
    rows = await unit.fetch(
        "SELECT id, language, contact_id FROM callout WHERE id = ANY($1)", list(callout_ids)
    )
    return {r["id"]: r["language"] for r in rows}, {r["id"]: r["contact_id"] for r in rows}


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as stored: sorted, compact, UTF-8."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
