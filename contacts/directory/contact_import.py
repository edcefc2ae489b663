"""Contacts from a draft into the database: checked as a whole, then written in one unit.

    read_contacts(bytes) → ContactDraft       no database (contact_draft)
    import_contacts(unit, draft) → report     one unit; dry_run reports and writes nothing

A contact of the file is found again by its key, else by name and first number. His numbers become
those of the file; his other duties stay, unless the file is said to be complete for its regions.
Contacts that the file doesn't mention are kept: silence in a list is not a resignation.
"""

from collections.abc import Mapping
from datetime import date, datetime

from contacts.contact import ContactKind, NumberKind
from contacts.directory.contact_change import Changes, write_changes
from contacts.directory.contact_draft import DERIVED_KEY_PREFIX, ContactDraft
from contacts.directory.contact_row import DutyDraft, PersonDraft
from contacts.directory.contact_stored import Facts, StoredContact, StoredDuty, load_stored
from contacts.directory.fault import FaultList, Visibility
from contacts.directory.port import DirectoryUnit
from contacts.directory.report import ImportReport, Progress, refusal

_HOLDERS = """
SELECT n.address, c.id, c.name FROM contact_number n JOIN contact c ON c.id = n.contact_id
 WHERE n.address = ANY($1) AND c.active
"""


async def import_contacts(
    unit: DirectoryUnit,
    draft: ContactDraft,
    *,
    now: datetime,
    complete: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Check the draft against what is stored, and write it unless anything is wrong.

    `complete`: the file names everybody for the regions in it, so other duties there end.
    """
    faults, warnings = draft.faults.copy(), draft.warnings.copy()
    await _check_regions(unit, draft, faults)
    if faults:
        return refusal(rows_read=draft.rows_read, faults=faults, warnings=warnings, dry_run=dry_run)
    stored = await load_stored(unit, draft)
    matched = _match(draft, stored)
    await _warn_shared(unit, draft, matched, warnings)
    _warn_reactivated(draft, matched, warnings)
    changes = _compare(draft, matched)
    if complete:
        await _end_other_duties(unit, draft, matched, changes)
    if not dry_run:
        await write_changes(unit, changes, now, progress)
    return ImportReport(
        dry_run=dry_run,
        applied=not dry_run,
        rows_read=draft.rows_read,
        added=len(changes.new),
        changed=len(changes.changed),
        unchanged=len(draft.people) - len(changes.new) - len(changes.changed),
        removed=len(changes.removed_duties),
        warnings=warnings.listed(),
        warning_count=warnings.count,
    )


async def _check_regions(unit: DirectoryUnit, draft: ContactDraft, faults: FaultList) -> None:
    duties = [duty for person in draft.people for duty in person.duties]
    codes = sorted({duty.region_code for duty in duties})
    rows = await unit.fetch("SELECT code FROM region WHERE code = ANY($1)", codes)
    known = {row[0] for row in rows}
    for duty in duties:
        if duty.region_code not in known:
            faults.add(
                "unknown_region",
                row=duty.row,
                column=draft.headings.get("region_code", ""),
                value=duty.region_code,
            )


def _match(draft: ContactDraft, stored: Mapping[int, StoredContact]) -> dict[str, StoredContact]:
    """Return key of the file → the stored contact that is the same person.

    By key first. By name and first number only if one of the two has no real 编号.
    """
    by_key = {contact.facts.key: contact for contact in stored.values()}
    matched = {person.key: by_key[person.key] for person in draft.people if person.key in by_key}
    taken = {contact.id for contact in matched.values()}
    by_identity: dict[tuple[str, str], StoredContact] = {}
    for contact in stored.values():
        if contact.id not in taken and contact.numbers:
            by_identity.setdefault((contact.facts.name, contact.numbers[0][1]), contact)
    for person in draft.people:
        if person.key in matched or not person.numbers:
            continue
        same = by_identity.get((person.name, person.numbers[0][1]))
        if same is not None and (_is_derived(person.key) or _is_derived(same.facts.key)):
            matched[person.key] = by_identity.pop((person.name, person.numbers[0][1]))
    return matched


def _is_derived(key: str) -> bool:
    return key.startswith(DERIVED_KEY_PREFIX)


async def _warn_shared(
    unit: DirectoryUnit,
    draft: ContactDraft,
    matched: Mapping[str, StoredContact],
    warnings: FaultList,
) -> None:
    """One phone under two names is called twice, so it is remarked on."""
    holders: dict[str, list[tuple[int, str]]] = {}
    addresses = sorted({number[1] for person in draft.people for number in person.numbers or ()})
    for row in await unit.fetch(_HOLDERS, addresses):
        holders.setdefault(row[0], []).append((row[1], row[2]))
    ours = {contact.id for contact in matched.values()}
    for person in draft.people:
        for _, address in person.numbers or ():
            others = [name for at, name in holders.get(address, ()) if at not in ours]
            if others:
                warnings.add(
                    "shared_number", row=person.row, value=address, show=Visibility.MASKED,
                    other="、".join(others[:3]),
                )  # fmt: skip


def _warn_reactivated(
    draft: ContactDraft, matched: Mapping[str, StoredContact], warnings: FaultList
) -> None:
    for person in draft.people:
        old = matched.get(person.key)
        if old is not None and not old.facts.active:
            warnings.add("reactivated", row=person.row, value=person.name)


def _compare(draft: ContactDraft, matched: Mapping[str, StoredContact]) -> Changes:
    changes = Changes()
    for person in draft.people:
        old = matched.get(person.key)
        facts = _facts(person, old, draft.given)
        if old is None:
            changes.new.append((person, facts))
            continue
        if facts != old.facts:
            changes.facts.append((old.id, facts))
            changes.changed.add(old.id)
        if list(person.numbers or ()) != old.numbers:
            changes.numbers.append((old, person))
            changes.changed.add(old.id)
        _compare_duties(person, old, draft.given, changes)
    return changes


def _facts(person: PersonDraft, old: StoredContact | None, given: frozenset[str]) -> Facts:
    """What the file says, else what is stored for columns that it doesn't have, else defaults."""
    before = old.facts if old is not None else None
    kind = person.kind or _kind_of(person)
    keeps_key = before is not None and _is_derived(person.key)
    return Facts(
        key=before.key if before is not None and keeps_key else person.key,
        kind=before.kind if before and "kind" not in given else kind.value,
        name=person.name,
        unit=before.unit if before and "unit" not in given else person.unit or "",
        post=before.post if before and "post" not in given else person.post or "",
        language=before.language if before and "language" not in given else person.language or "zh",
        robot_ok=before.robot_ok
        if before and "robot" not in given
        else person.robot_ok is not False,
    )


def _kind_of(person: PersonDraft) -> ContactKind:
    """Something that only takes web requests is a machine."""
    kinds = {kind for kind, _ in person.numbers or ()}
    return ContactKind.ENDPOINT if kinds == {NumberKind.WEBHOOK} else ContactKind.PERSON


def _compare_duties(
    person: PersonDraft, old: StoredContact, given: frozenset[str], changes: Changes
) -> None:
    for duty in person.duties:
        stored = _same_duty(duty, old, given)
        if stored is None:
            changes.new_duties.append((old.id, duty))
            changes.changed.add(old.id)
            continue
        wanted = _duty_values(duty, stored, given)
        if wanted != (stored.hazards, stored.valid_from, stored.valid_to):
            changes.duties.append((stored.id, *wanted))
            changes.changed.add(old.id)


def _same_duty(duty: DutyDraft, old: StoredContact, given: frozenset[str]) -> StoredDuty | None:
    if "role" in given:
        return old.duties.get((duty.region_code, duty.tier, duty.role))
    places = ((place[:2], stored) for place, stored in old.duties.items())
    return next((stored for at, stored in places if at == (duty.region_code, duty.tier)), None)


def _duty_values(
    duty: DutyDraft, stored: StoredDuty, given: frozenset[str]
) -> tuple[str, date | None, date | None]:
    return (
        duty.hazards if "hazards" in given else stored.hazards,
        duty.valid_from if "valid_from" in given else stored.valid_from,
        duty.valid_to if "valid_to" in given else stored.valid_to,
    )


async def _end_other_duties(
    unit: DirectoryUnit, draft: ContactDraft, matched: Mapping[str, StoredContact], changes: Changes
) -> None:
    codes = sorted({duty.region_code for person in draft.people for duty in person.duties})
    kept = {
        stored.id
        for person in draft.people
        if (old := matched.get(person.key)) is not None
        for duty in person.duties
        if (stored := _same_duty(duty, old, draft.given)) is not None
    }
    rows = await unit.fetch(
        "SELECT id, contact_id FROM assignment WHERE region_code = ANY($1)", codes
    )
    ours = {contact.id for contact in matched.values()}
    for row in rows:
        if row[0] not in kept:
            changes.removed_duties.append(row[0])
            changes.changed |= {row[1]} & ours
