"""Regions from a file: read, checked as a whole, then written in one unit or not at all.

    read_regions(bytes) → RegionDraft        no database; a second or two for a province
    import_regions(unit, draft) → report     one unit; dry_run reports and writes nothing

Parents may stand below their children in the file, or already be in the database. Regions that the
file doesn't mention are kept. A parent is never guessed from a code: cities under 6590 have none of
their own, and a guess would hang them in the wrong place.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from contacts.directory.column import REGION_COLUMNS, Layout, example, is_known, lay_out
from contacts.directory.fault import CellRefused, FaultList, FileRefused
from contacts.directory.grid import Sheet
from contacts.directory.load import load_regions
from contacts.directory.port import DirectoryUnit
from contacts.directory.report import ImportReport, Progress, refusal, tick
from contacts.directory.row import RowReader
from contacts.directory.sheet import read_sheet
from contacts.directory.word import (
    LEVEL_WORDS,
    REGION_KIND_WORDS,
    as_whole,
    one_of,
)
from contacts.region import Region, RegionKind, RegionLevel

NAME_CHARS_MAX = 120
"""As the table has it; the longest village name of Xinjiang has 25."""
HEADCOUNT_MAX = 100_000_000
"""More than any province has."""
RING_SHOWN_MAX = 6
"""Enough codes to see the ring."""

_CODE = re.compile(r"\d{12}(?:-[SZ]\d{3})?")
_ROUNDED = re.compile(r"\d+(\.\d+)?[eE][+-]?\d+|\d+\.\d+")
_DEPTH = {level: depth for depth, level in enumerate(RegionLevel)} | {
    RegionLevel.ZONE: list(RegionLevel).index(RegionLevel.SITE)
}
_OPTIONAL = ("kind", "headcount", "valid_from", "valid_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionDraft:
    """What a file says, with what is wrong with it so far."""

    regions: Mapping[str, Region]
    rows: Mapping[str, int]
    """Code → row of the file."""
    headings: Mapping[str, str]
    given: frozenset[str]
    """The optional columns that the file has; the others keep their values."""
    rows_read: int
    without_level: set[str] = field(default_factory=set)
    """Codes whose level was refused; nothing can be said of what lies above or below them."""
    faults: FaultList = field(default_factory=FaultList)
    warnings: FaultList = field(default_factory=FaultList)


def read_regions(data: bytes, *, progress: Progress | None = None) -> RegionDraft:
    """Read a file of regions. Never raises for anything in the file; the draft holds the faults."""
    try:
        sheet = read_sheet(
            data,
            known=lambda heading: is_known(REGION_COLUMNS, heading),
            wanted=example(REGION_COLUMNS),
        )
    except FileRefused as refused:
        return _refused(refused)
    return _draft(sheet, lay_out(sheet, REGION_COLUMNS), progress)


async def import_regions(
    unit: DirectoryUnit,
    draft: RegionDraft,
    *,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> ImportReport:
    """Check the draft against what is stored, and write it unless anything is wrong."""
    stored = {region.code: region for region in await load_regions(unit)}
    merged = {code: _merge(draft, region, stored) for code, region in draft.regions.items()}
    faults = draft.faults.copy()
    _check_tree(draft, merged, stored, faults)
    if faults:
        return refusal(
            rows_read=draft.rows_read, faults=faults, warnings=draft.warnings, dry_run=dry_run
        )
    added = [region for code, region in merged.items() if code not in stored]
    changed = [r for code, r in merged.items() if code in stored and stored[code] != r]
    if not dry_run:
        await insert_regions(unit, added, progress=progress)
        await _update(unit, changed)
    return ImportReport(
        dry_run=dry_run,
        applied=not dry_run,
        rows_read=draft.rows_read,
        added=len(added),
        changed=len(changed),
        unchanged=len(merged) - len(added) - len(changed),
        warnings=draft.warnings.listed(),
        warning_count=draft.warnings.count,
    )


async def insert_regions(
    unit: DirectoryUnit, regions: Iterable[Region], *, progress: Progress | None = None
) -> None:
    """Insert new regions, parents before their children whatever the order given."""
    rows = [
        (r.code, r.parent_code, r.level.value, r.name, r.kind.value, r.headcount,
         r.valid_from, r.valid_to)
        for r in sorted(regions, key=lambda region: _DEPTH[region.level])
    ]  # fmt: skip
    if rows:
        await unit.insert_rows("region", _COLUMNS, rows)
        tick(progress, len(rows), len(rows))


_COLUMNS = (
    "code", "parent_code", "level", "name", "kind", "headcount", "valid_from", "valid_to"
)  # fmt: skip
_UPDATE = """
UPDATE region SET parent_code = $2, level = $3, name = $4, kind = $5, headcount = $6,
       valid_from = $7, valid_to = $8
 WHERE code = $1
"""


async def _update(unit: DirectoryUnit, regions: Sequence[Region]) -> None:
    rows = [
        (r.code, r.parent_code, r.level.value, r.name, r.kind.value, r.headcount,
         r.valid_from, r.valid_to)
        for r in regions
    ]  # fmt: skip
    if rows:
        await unit.execute_many(_UPDATE, rows)


def _refused(refused: FileRefused) -> RegionDraft:
    draft = RegionDraft(regions={}, rows={}, headings={}, given=frozenset(), rows_read=0)
    draft.faults.add(refused.code, row=refused.row, **refused.detail)
    return draft


def _draft(sheet: Sheet, layout: Layout, progress: Progress | None) -> RegionDraft:
    regions: dict[str, Region] = {}
    rows: dict[str, int] = {}
    draft = RegionDraft(
        regions=regions,
        rows=rows,
        headings=layout.headings,
        given=frozenset(name for name in _OPTIONAL if layout.has(name)),
        rows_read=len(sheet.rows),
        faults=sheet.faults,
        warnings=sheet.warnings,
    )
    for done, row in enumerate(sheet.rows, start=1):
        reader = RowReader(row, layout, sheet.flaws, sheet.faults)
        region = _read(reader, draft.without_level)
        if region.code in regions:
            reader.refuse("duplicate_region", "code", other=rows[region.code])
        elif region.code:
            regions[region.code] = region
            rows[region.code] = row.number
        tick(progress, done, len(sheet.rows))
    return draft


def _read(reader: RowReader, without_level: set[str]) -> Region:
    code = reader.parse("code", as_code) or ""
    if reader.is_blank("code"):
        reader.text("code", limit=24, required=True)
    level = reader.parse("level", lambda text: one_of(text, LEVEL_WORDS))
    if reader.is_blank("level"):
        reader.text("level", limit=20, required=True)
    if level is None:
        without_level.add(code)
    if "-" in code and level is not None and level not in {RegionLevel.SITE, RegionLevel.ZONE}:
        reader.refuse("suffix_needs_site", "code")
    first, last = reader.dates()
    return Region(
        code=code,
        parent_code=reader.parse("parent_code", as_code),
        level=level or RegionLevel.ZONE,
        name=reader.text("name", limit=NAME_CHARS_MAX, required=True),
        kind=reader.word("kind", REGION_KIND_WORDS, RegionKind.GOV),
        headcount=reader.parse("headcount", _headcount) or 0,
        valid_from=first,
        valid_to=last,
    )


def as_code(text: str) -> str:
    """Read a region code: 12 digits, and -S001 or -Z001 for sites and zones."""
    code = text.upper()
    if _CODE.fullmatch(code) and code.isascii():
        return code
    raise CellRefused("rounded_code" if _ROUNDED.fullmatch(text) else "bad_region_code")


def _headcount(text: str) -> int:
    return as_whole(text, lowest=0, highest=HEADCOUNT_MAX, code="bad_headcount")


def _merge(draft: RegionDraft, region: Region, stored: Mapping[str, Region]) -> Region:
    """Keep what the file has no column for."""
    if (old := stored.get(region.code)) is None:
        return region
    return replace(
        old,
        parent_code=region.parent_code,
        level=region.level,
        name=region.name,
        **{name: getattr(region, name) for name in draft.given},
    )


def _check_tree(
    draft: RegionDraft,
    merged: Mapping[str, Region],
    stored: Mapping[str, Region],
    faults: FaultList,
) -> None:
    """Check parents, rings and levels of the tree as it would be."""
    after = {**stored, **merged}
    rings = _rings(after, merged)
    for code, region in merged.items():
        row = draft.rows[code]
        if region.parent_code is not None and region.parent_code not in after:
            _note(draft, faults, "unknown_parent", row, "parent_code", region.parent_code)
        elif code in rings:
            _note(draft, faults, "parent_ring", row, "parent_code", code, ring=rings[code])
    for child in _touched(after, merged):
        parent = after.get(child.parent_code or "")
        if parent is None or child.code in rings or _DEPTH[child.level] > _DEPTH[parent.level]:
            continue
        if draft.without_level & {child.code, parent.code}:
            continue
        blamed = child if child.code in draft.rows else parent
        _note(
            draft, faults, "level_order", draft.rows[blamed.code], "level", child.code,
            level=child.level, parent=parent.code, parent_level=parent.level,
        )  # fmt: skip


def _note(
    draft: RegionDraft, faults: FaultList, code: str, row: int, column: str, value: str,
    **detail: Any,
) -> None:  # fmt: skip
    heading = draft.headings.get(column, "")
    faults.add(code, row=row, column=heading, value=value, **detail)


def _touched(after: Mapping[str, Region], merged: Mapping[str, Region]) -> list[Region]:
    """The regions of the file, and stored children of those."""
    return [r for r in after.values() if r.code in merged or r.parent_code in merged]


def _rings(after: Mapping[str, Region], merged: Iterable[str]) -> dict[str, str]:
    """Return code → the ring it lies in, for every region of the file that lies in one."""
    found: dict[str, str] = {}
    safe: set[str] = set()
    for start in merged:
        path: list[str] = []
        seen: set[str] = set()
        code: str | None = start
        while code is not None and code in after and code not in seen and code not in safe:
            path.append(code)
            seen.add(code)
            code = after[code].parent_code
        if code in seen and code is not None and code not in found:
            ring = path[path.index(code) :]
            found.update(dict.fromkeys(ring, _show(ring)))
        safe |= seen
    return found


def _show(ring: Sequence[str]) -> str:
    shown = " → ".join(ring[:RING_SHOWN_MAX])
    return f"{shown} → …" if len(ring) > RING_SHOWN_MAX else f"{shown} → {ring[0]}"
