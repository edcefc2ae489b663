"""What a step asks of humans: tasks for the desk, alarms for its ears.

A task that stands on somebody's list already is not written twice; what an answer made needless is
ended. Deciding that a human is needed is `core`'s.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from warnsvc.core.bulletin import Bulletin
from warnsvc.core.case import Changes, NewAlarm, NewTask
from warnsvc.service.context import Context
from warnsvc.service.priority import priority_of
from warnsvc.store.port import Unit

TASK_MINUTES = 5
"""A human has as long as a tier: the red window of domain.md (b)."""
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


async def summon(
    ctx: Context, unit: Unit, changes: Changes, *, bulletin: Bulletin, now: datetime
) -> None:
    """Write the tasks and alarms of a step, and end those that an answer made needless."""
    await _save_tasks(ctx, unit, changes, bulletin=bulletin, now=now)
    await _end_alarms(unit, changes, now)
    await _save_alarms(unit, changes, bulletin=bulletin, now=now)


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


async def _end_alarms(unit: Unit, changes: Changes, now: datetime) -> None:
    """A place that answers late has been found after all; in time, there was no alarm about it."""
    answered = [e.id for e in changes.escalations.values() if e.late]
    if answered:
        await unit.execute(
            "UPDATE alarm SET ended_at = $2 WHERE escalation_id = ANY($1) AND ended_at IS NULL"
            " AND kind IN ('exhausted','expired','no_contact')",
            answered,
            now,
        )


def _alarm_text(alarm: NewAlarm, places: Mapping[int, str], people: Mapping[int, str]) -> str:
    return places.get(alarm.escalation_id or 0) or people.get(alarm.callout_id or 0, "")
