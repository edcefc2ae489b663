"""Boundaries of regions from a GeoJSON file, and back out for maps.

A FeatureCollection whose features carry the region's code (`code`, or `adcode` with six digits).
Only the form is checked; whether neighbours overlap is the business of whoever drew them (those we
measured do, by 1.4 % of the area). Maps for the public in China need an approved map number.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from contacts.directory.fault import CellRefused, FaultList
from contacts.directory.port import DirectoryUnit
from contacts.directory.region_import import as_code
from contacts.directory.report import ImportReport, Progress, refusal, tick

FILE_BYTES_MAX = 50 * 1024 * 1024
"""All townships of Xinjiang, simplified, are 12 MB."""
POINTS_MAX = 50_000
"""Of one boundary; a simplified county has a few hundred."""
DECIMALS = 6
"""A tenth of a metre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryDraft:
    """What a file says, with what is wrong with it so far. Rows are features, from 1."""

    geometries: Mapping[str, str]
    """Code → the geometry as canonical JSON."""
    rows: Mapping[str, int]
    features_read: int
    faults: FaultList = field(default_factory=FaultList)
    warnings: FaultList = field(default_factory=FaultList)


def read_boundaries(data: bytes, *, progress: Progress | None = None) -> BoundaryDraft:
    """Read a GeoJSON file. Never raises for anything in the file."""
    features = _features(data)
    geometries: dict[str, str] = {}
    rows: dict[str, int] = {}
    draft = BoundaryDraft(geometries=geometries, rows=rows, features_read=len(features or ()))
    if features is None:
        draft.faults.add("broken_boundary_file")
    for row, feature in enumerate(features or (), start=1):
        try:
            code, geometry = _code(feature), _geometry(feature)
        except CellRefused as refused:
            draft.faults.add(refused.code, row=row, **refused.detail)
            continue
        if code in rows:
            draft.faults.add("duplicate_region", row=row, value=code, other=rows[code])
        geometries[code], rows[code] = geometry, row
        tick(progress, row, len(features or ()))
    return draft


async def import_boundaries(
    unit: DirectoryUnit, draft: BoundaryDraft, *, dry_run: bool = False
) -> ImportReport:
    """Set the boundaries of the regions that exist; those of others are skipped with a warning."""
    warnings = draft.warnings.copy()
    if draft.faults:
        return refusal(
            rows_read=draft.features_read, faults=draft.faults, warnings=warnings, dry_run=dry_run
        )
    known = {row[0] for row in await unit.fetch("SELECT code FROM region")}
    stored = await load_boundaries(unit)
    for code in sorted(draft.geometries.keys() - known):
        warnings.add("boundary_skipped", row=draft.rows[code], value=code, region=code)
    wanted = {code: text for code, text in draft.geometries.items() if code in known}
    changed = [(code, text) for code, text in wanted.items() if stored.get(code) != text]
    if changed and not dry_run:
        await unit.execute_many("UPDATE region SET boundary_json = $2 WHERE code = $1", changed)
    added = sum(code not in stored for code, _ in changed)
    return ImportReport(
        dry_run=dry_run,
        applied=not dry_run,
        rows_read=draft.features_read,
        added=added,
        changed=len(changed) - added,
        unchanged=len(wanted) - len(changed),
        warnings=warnings.listed(),
        warning_count=warnings.count,
    )


async def load_boundaries(
    unit: DirectoryUnit, codes: Iterable[str] | None = None
) -> dict[str, str]:
    """Return code → geometry as JSON text, for the regions (None: all) that have one."""
    statement = "SELECT code, boundary_json FROM region WHERE boundary_json IS NOT NULL"
    if codes is None:
        rows = await unit.fetch(statement)
    else:
        rows = await unit.fetch(f"{statement} AND code = ANY($1)", list(codes))
    return {row[0]: row[1] for row in rows}


def _features(data: bytes) -> list[Any] | None:
    """Return the features, or None if this is not a FeatureCollection."""
    if len(data) > FILE_BYTES_MAX:
        return None
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        return None
    features = document.get("features")
    return features if isinstance(features, list) else None


def _code(feature: Any) -> str:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise CellRefused("bad_region_code")
    if "code" in properties:
        return as_code(str(properties["code"]))
    return as_code(f"{properties.get('adcode', '')}000000")


def _geometry(feature: Any) -> str:
    geometry = feature.get("geometry")
    if not isinstance(geometry, dict):
        raise CellRefused("bad_geometry", limit=POINTS_MAX)
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind not in {"Polygon", "MultiPolygon"}:
        raise CellRefused("bad_geometry", limit=POINTS_MAX)
    polygons = [coordinates] if kind == "Polygon" else _list(coordinates)
    clean = [[_ring(ring) for ring in _list(polygon)] for polygon in polygons]
    if sum(len(ring) for polygon in clean for ring in polygon) > POINTS_MAX:
        raise CellRefused("bad_geometry", limit=POINTS_MAX)
    document = {"type": kind, "coordinates": clean[0] if kind == "Polygon" else clean}
    return json.dumps(document, separators=(",", ":"), sort_keys=True)


def _list(value: Any) -> list[Any]:
    if isinstance(value, list) and value:
        return value
    raise CellRefused("bad_geometry", limit=POINTS_MAX)


def _ring(value: Any) -> list[list[float]]:
    ring = [_point(point) for point in _list(value)]
    if len(ring) < 4 or ring[0] != ring[-1]:
        raise CellRefused("bad_geometry", limit=POINTS_MAX)
    return ring


def _point(value: Any) -> list[float]:
    """Longitude and latitude; a third number (height) is dropped."""
    match value:
        case [int() | float() as longitude, int() | float() as latitude, *_]:
            if abs(longitude) <= 180 and abs(latitude) <= 90:
                return [round(float(longitude), DECIMALS), round(float(latitude), DECIMALS)]
    raise CellRefused("bad_geometry", limit=POINTS_MAX)
