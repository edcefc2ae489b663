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
from warnsvc.core.case import Case, Changes, NewAlarm, NewAttempt, NewTask
from warnsvc.core.pack import Rule
from warnsvc.service.context import Context
from warnsvc.store.attempt import insert_attempts, insert_notices
from warnsvc.store.case import save_states
from warnsvc.store.ledger import append_lines
from warnsvc.store.message import keep_messages, message_digest
from warnsvc.store.port import Unit

TASK_MINUTES = 5
"""A human has as long as a tier: the red window of domain.md (b)."""
NOTICE_MINUTES = 30
"""How long a stand-down or a listing is worth delivering."""
_STILL_CALLED = ACTIVE | {CalloutState.SILENT}
"""What was planned for a silent one still goes out: it warns him."""
_TASK_COLUMNS = (
    "id",
    "bulletin_id",
    "escalation_id",
    "callout_id",
    "kind",
    "desk",
    "title",
    "detail",
    "priority",
    "state",
    "due_at",
    "result",
    "created_at",
)
_ALARM_COLUMNS = ("id", "kind", "bulletin_id", "escalation_id", "text", "raised_at")


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
) -> None:
    """Write everything a case decided.

    `languages` and `contacts` (of each callout) spare two look-ups where they are known already.
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
    )
    await _save_tasks(ctx, unit, changes, bulletin=bulletin, now=now)
    await _save_alarms(unit, changes, bulletin=bulletin, now=now)
    await append_lines(unit, changes.lines, now=now)


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
) -> int:
    """Render and write the planned attempts; returns how many."""
    wanted = [a for a in changes.attempts if a.purpose != "call" or _still_called(changes, a)]
    if not wanted:
        return 0
    if languages is None or contacts is None:
        languages, contacts = await _people(unit, {a.callout_id for a in wanted})
    messages = {
        key: ctx.renderer.message(
            bulletin,
            language=key[0],
            channel=key[1],
            purpose=key[2],
            listing=key[3],
        )
        for key in {_key(a, languages) for a in wanted}
    }
    ids = await keep_messages(unit, bulletin.id, messages.values())
    message_ids = {key: ids[message_digest(message)] for key, message in messages.items()}
    attempt_ids = await unit.new_ids("attempt", len(wanted))
    rows = [
        _row(
            attempt_id,
            a,
            bulletin,
            rule,
            now,
            contacts[a.callout_id],
            message_ids[_key(a, languages)],
        )
        for attempt_id, a in zip(attempt_ids, wanted, strict=True)
    ]
    await insert_attempts(
        unit, [r for r, a in zip(rows, wanted, strict=True) if a.purpose == "call"]
    )
    notices = [r for r, a in zip(rows, wanted, strict=True) if a.purpose != "call"]
    if notices:
        await insert_notices(unit, notices)
    return len(rows)


def _still_called(changes: Changes, attempt: NewAttempt) -> bool:
    """A round planned and then found needless in the same step is not written at all."""
    state = changes.callouts.get(attempt.callout_id)
    return state is None or state.state in _STILL_CALLED


def _key(
    attempt: NewAttempt, languages: Mapping[int, str]
) -> tuple[str, str, str, tuple[str, ...]]:
    return (languages[attempt.callout_id], attempt.channel, attempt.purpose, attempt.listing)


def _row(
    attempt_id: int,
    a: NewAttempt,
    bulletin: Bulletin,
    rule: Rule,
    now: datetime,
    contact_id: int,
    message_id: int,
) -> tuple[Any, ...]:
    seconds = rule.tier(a.tier).window_seconds if a.purpose == "call" else NOTICE_MINUTES * 60
    valid_until = now + timedelta(seconds=seconds)
    if a.purpose == "call":
        valid_until = min(valid_until, bulletin.expires_at)
    return (
        attempt_id,
        bulletin.id,
        contact_id,
        a.callout_id,
        a.tier,
        a.channel,
        a.number,
        a.purpose,
        a.address,
        message_id,
        priority_of(bulletin, a.tier, a.purpose),
        "planned",
        now,
        valid_until,
        0,
    )


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


def priority_of(bulletin: Bulletin, tier: int, purpose: str) -> int:
    """Lower goes first: live before drill, danger before rank, calls before notices."""
    drill = 100 if bulletin.is_drill else 0
    notice = 9 if purpose in {"inform", "stand_down"} else min(tier, 8)
    return drill + (4 - bulletin.colour.rank) * 10 + notice


async def _people(unit: Unit, callout_ids: Iterable[int]) -> tuple[dict[int, str], dict[int, int]]:
    rows = await unit.fetch(
        "SELECT id, language, contact_id FROM callout WHERE id = ANY($1)", list(callout_ids)
    )
    return {r["id"]: r["language"] for r in rows}, {r["id"]: r["contact_id"] for r in rows}


async def _save_tasks(
    ctx: Context, unit: Unit, changes: Changes, *, bulletin: Bulletin, now: datetime
) -> None:
    await _end_moot_tasks(unit, changes, now)
    wanted = await _without_open(unit, changes.tasks)
    if not wanted:
        return
    titles = await _titles(unit, wanted)
    ids = await unit.new_ids("task", len(wanted))
    due_at = now + timedelta(minutes=TASK_MINUTES)
    await unit.insert_rows(
        "task",
        _TASK_COLUMNS,
        [
            (
                task_id,
                bulletin.id,
                t.escalation_id,
                t.callout_id,
                t.kind,
                ctx.settings.desk_name,
                *titles[t],
                priority_of(bulletin, 1, "call"),
                "open",
                due_at,
                "",
                now,
            )
            for task_id, t in zip(ids, wanted, strict=True)
        ],
    )


async def _end_moot_tasks(unit: Unit, changes: Changes, now: datetime) -> None:
    """An answer ends what was asked because of the silence; a wrong number stays wrong."""
    for column, kind, ids in (
        ("escalation_id", "knock", changes.moot_escalations),
        ("callout_id", "call_by_hand", changes.moot_callouts),
    ):
        if ids:
            await unit.execute(
                "UPDATE task SET state = 'moot', claimed_until = NULL, ended_at = $2,"
                f" result = 'answered' WHERE {column} = ANY($1) AND kind = $3"
                " AND state IN ('open','claimed')",
                list(ids),
                now,
                kind,
            )


async def _without_open(unit: Unit, tasks: Sequence[NewTask]) -> list[NewTask]:
    """Drop what stands on somebody's list already."""
    wanted = list(dict.fromkeys(tasks))
    if not wanted:
        return []
    rows = await unit.fetch(
        "SELECT kind, escalation_id, callout_id FROM task"
        " WHERE state IN ('open','claimed') AND (escalation_id = ANY($1) OR callout_id = ANY($2))",
        [t.escalation_id for t in wanted if t.escalation_id],
        [t.callout_id for t in wanted if t.callout_id],
    )
    known = {(row["kind"], row["escalation_id"], row["callout_id"]) for row in rows}
    return [t for t in wanted if (t.kind, t.escalation_id, t.callout_id) not in known]


async def _titles(unit: Unit, tasks: Sequence[NewTask]) -> dict[NewTask, tuple[str, str]]:
    """Return (place or person, detail) of each task, as the desk reads it."""
    places = await _places(unit, [t.escalation_id for t in tasks if t.escalation_id])
    people = {
        r["id"]: r["contact_name"]
        for r in await unit.fetch(
            "SELECT id, contact_name FROM callout WHERE id = ANY($1)",
            [t.callout_id for t in tasks if t.callout_id],
        )
    }
    return {
        t: (places.get(t.escalation_id or 0) or people.get(t.callout_id or 0, ""), "")
        for t in tasks
    }


async def _places(unit: Unit, escalation_ids: Sequence[int]) -> dict[int, str]:
    rows = await unit.fetch(
        "SELECT id, region_name, parent_name FROM escalation WHERE id = ANY($1)",
        list(escalation_ids),
    )
    return {r["id"]: " ".join(filter(None, (r["parent_name"], r["region_name"]))) for r in rows}


async def _save_alarms(unit: Unit, changes: Changes, *, bulletin: Bulletin, now: datetime) -> None:
    alarms = list(dict.fromkeys(changes.alarms))
    if not alarms:
        return
    places = await _places(unit, [a.escalation_id for a in alarms if a.escalation_id])
    people = {
        r["id"]: r["contact_name"]
        for r in await unit.fetch(
            "SELECT id, contact_name FROM callout WHERE id = ANY($1)",
            [a.callout_id for a in alarms if a.callout_id],
        )
    }
    ids = await unit.new_ids("alarm", len(alarms))
    await unit.insert_rows(
        "alarm",
        _ALARM_COLUMNS,
        [
            (alarm_id, a.kind, bulletin.id, a.escalation_id, _alarm_text(a, places, people), now)
            for alarm_id, a in zip(ids, alarms, strict=True)
        ],
    )


def _alarm_text(alarm: NewAlarm, places: Mapping[int, str], people: Mapping[int, str]) -> str:
    return places.get(alarm.escalation_id or 0) or people.get(alarm.callout_id or 0, "")


def to_json(document: Mapping[str, Any]) -> str:
    """Return a document as stored: sorted, compact, UTF-8."""
    return json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
